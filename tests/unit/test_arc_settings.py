"""The sealers an operator trusts are domains, or the start says which is none."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.settings import AuthSettings


def test_google_and_microsoft_are_trusted_sealers_unless_said_otherwise():
    assert AuthSettings().trusted_arc_sealers == ("google.com", "microsoft.com")
    assert AuthSettings(trusted_arc_sealers="a.test, b.test").trusted_arc_sealers == ("a.test", "b.test")


@pytest.mark.parametrize("name", ["", "@a.test", "a b", "https://a.test", "a..test"])
def test_a_sealer_that_is_no_domain_is_refused_with_the_cure(name):
    with pytest.raises(ValidationError, match=r"is no domain; write the d= of the ARC-Seal"):
        AuthSettings(trusted_arc_sealers=(name,))
