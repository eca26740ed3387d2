"""What the bounce of a challenge means, and what mends it."""

from __future__ import annotations

import pytest

from gateway.verify.bounce_remarks import explain_bounce

MICROSOFT = """Remote Server returned '550 5.7.520 Access denied, Your organization does not allow external forwarding.
Please contact your administrator for further assistance. AS(7555)'"""


@pytest.mark.parametrize(
    ("text", "statuses", "code"),
    [
        (MICROSOFT, (), "external-forwarding-forbidden"),
        ("Your organization does not allow external forwarding.", ("5.7.1",), "external-forwarding-forbidden"),
        ("550 5.1.1 unknown\r\n550 5.7.520 Access denied", ("5.0.0",), "external-forwarding-forbidden"),
        ("", ("5.7.520",), "external-forwarding-forbidden"),
        ("550 5.7.1 relaying denied", (), "refused-by-policy"),
        ("550 5.7.133 sender not authenticated for group", (), "refused-by-policy"),
        ("550-5.7.26 unauthenticated", (), "authentication-refused"),
        ("550 5.1.1 <x@acme.test>: no such user", (), "no-such-mailbox"),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", (), "no-such-mailbox"),
        ("550 5.4.4 host not found", (), "no-such-domain"),
        ("554 5.4.6 too many hops", (), "loop"),
        ("554 5.4.14 Hop count exceeded - possible mail loop", (), "loop"),
        ("mail for acme.test loops back to myself: mail loop", (), "loop"),
        ("552 5.2.2 over quota", (), "mailbox-full"),
        ("552 5.2.1 disabled", (), "mailbox-refused"),
        ("552 5.6.1 attachment", (), "content-refused"),
        ("451 4.7.1 greylisted", (), "not-yet"),
        ("451 4.7.1 greylisted\n\nStatus: 5.1.1", (), "no-such-mailbox"),
        ("Action: failed\nStatus: 5.0.0", (), "undeliverable"),
        ("it did not work", (), "undeliverable"),
        ("", (), "undeliverable"),
        ("", ("4.4.1",), "not-yet"),
        # addresses and versions are no status codes
        ("host 5.1.1.7 said nothing; Exim 4.96.2.1", (), "undeliverable"),
    ],
)
def test_a_bounce_is_explained(text, statuses, code):
    found = explain_bounce(text, statuses)
    assert found.code == code
    assert found.text
    assert found.cure
    assert not found.is_good


def test_microsofts_default_is_explained_with_the_policy_to_change():
    found = explain_bounce(MICROSOFT)
    assert "outbound spam filter policy" in found.cure
    assert "for this one mailbox" in found.cure
    assert "5.7.520" in found.text
