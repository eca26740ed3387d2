"""The secret key file."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from gateway.core.errors import InvalidInput
from gateway.store import secret
from gateway.store.secret import Secret


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret.key"
    assert secret.make(path)
    first = secret.read(path)
    assert not secret.make(path)
    assert secret.read(path) == first
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_sealed_opens_for_its_purpose_and_after_rotation_only() -> None:
    old, new = Secret((b"o" * 32,)), Secret((b"n" * 32, b"o" * 32))
    sealed = old.encrypt(b"plain", "dkim:1")
    assert new.decrypt(sealed, "dkim:1") == b"plain"
    assert old.encrypt(b"plain", "dkim:1") != sealed
    for wrong, purpose, text in (
        (Secret((b"x" * 32,)), "dkim:1", sealed), (old, "dkim:2", sealed), (old, "dkim:1", sealed[:-1] + bytes([sealed[-1] ^ 1])),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match="backup"):
            wrong.decrypt(text, purpose)


@pytest.mark.parametrize("text", ["", "\n", "no base64!", base64.b64encode(b"short").decode(), "é"])
def test_a_file_that_holds_no_key_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret.key"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"secret\.key"):
        secret.read(path)


def test_a_missing_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="db upgrade"):
        secret.read(tmp_path / "secret.key")
