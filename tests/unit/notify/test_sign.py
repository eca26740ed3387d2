from __future__ import annotations

import base64
import time

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.notice import Notice
from gateway.core.tokens import Tokens
from gateway.notify.compose import compose
from gateway.notify.render import Templates
from gateway.notify.sign import new_key, public_record, sign

MAIL = b"From: a@acme.example\r\nTo: b@c.example\r\nSubject: x\r\n  y\r\nDate: Thu, 05 Nov 2026 10:11:12 +0000\r\n\r\nhello  \t world \r\n\r\n\r\n"


@pytest.fixture(scope="module")
def key() -> tuple[bytes, str]:
    return new_key()


def verifies(content: bytes, record: str) -> bool:
    asked = []

    def answer(name: bytes, timeout: float = 5) -> bytes:
        asked.append(name)
        return record.encode()

    good = dkim.verify(content, dnsfunc=answer)
    assert asked in ([], [b"s1._domainkey.acme.example."])
    return bool(good)


def signed(content: bytes, key: tuple[bytes, str]) -> bytes:
    return sign(content, domain="acme.example", selector="s1", private_key_pem=key[0])


def test_a_composed_notification_verifies(
    notice: Notice, tokens: Tokens, templates: Templates, key: tuple[bytes, str]
) -> None:
    content = compose(notice, tokens=tokens, templates=templates).content
    result = signed(content, key)

    assert result.endswith(content)
    assert verifies(result, key[1])
    assert all(len(line) <= 78 for line in result[: -len(content)].split(b"\r\n"))


@pytest.mark.parametrize("header", [b"From", b"Subject", b"To", b"Reply-To", b"Date"])
def test_a_field_put_on_top_later_breaks_the_signature(header: bytes, key: tuple[bytes, str]) -> None:
    assert verifies(signed(MAIL, key), key[1])
    assert not verifies(header + b": evil\r\n" + signed(MAIL, key), key[1])


@pytest.mark.parametrize(("old", "new"), [(b"hello", b"HELLO"), (b"a@acme", b"b@acme"), (b"Subject: x", b"Subject: z")])
def test_a_change_breaks_the_signature(old: bytes, new: bytes, key: tuple[bytes, str]) -> None:
    assert not verifies(signed(MAIL, key).replace(old, new), key[1])


def test_another_key_does_not_verify(key: tuple[bytes, str]) -> None:
    assert not verifies(signed(MAIL, key), new_key()[1])


def test_a_relay_may_fold_otherwise_and_trim_the_end(key: tuple[bytes, str]) -> None:
    """What `relaxed` is for."""
    altered = (
        signed(MAIL, key)
        .replace(b"Subject: x\r\n  y", b"subject:  x y  ")
        .replace(b" world \r\n\r\n\r\n", b" world\r\n")
    )

    assert verifies(altered, key[1])


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n", b"x\r\n", b" \r\n", b"a \t\r\n \r\n\t\r\n", b"\r\n x\r\n"])
def test_the_ends_of_bodies_are_hashed_as_dkimpy_does(body: bytes, key: tuple[bytes, str]) -> None:
    assert verifies(signed(MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body, key), key[1])


@settings(max_examples=100, deadline=None)
@given(lines=st.lists(st.text(alphabet="a \t.é", max_size=12), max_size=8))
def test_every_body_of_lines_verifies(lines: list[str], key: tuple[bytes, str]) -> None:
    body = "".join(f"{line}\r\n" for line in lines).encode()

    assert verifies(signed(MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body, key), key[1])


@pytest.mark.parametrize(
    "content", [b"", b"Subject: x\r\n\r\nno from", b"From: a@acme.example\n\nbare line ends", MAIL + b"no end"]
)
def test_what_has_no_from_is_not_signed(content: bytes, key: tuple[bytes, str]) -> None:
    with pytest.raises(ValueError, match="From"):
        signed(content, key)


def test_a_key_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError):
        sign(MAIL, domain="acme.example", selector="s1", private_key_pem=b"no key")


def test_a_selector_cannot_add_tags(key: tuple[bytes, str]) -> None:
    with pytest.raises(ValueError):
        sign(MAIL, domain="acme.example", selector="s1; l=0", private_key_pem=key[0])


def test_the_record_is_that_of_a_key_of_2048_bits(key: tuple[bytes, str]) -> None:
    assert public_record(key[0]) == key[1]
    assert key[1].startswith("v=DKIM1; k=rsa; p=")
    assert len(base64.b64decode(key[1].rpartition("p=")[2])) == 294


def test_runs_of_blanks_do_not_cost_more_than_their_length(key: tuple[bytes, str]) -> None:
    """dkimpy's own canonicalisation is quadratic here: more than a second for these lines, a millisecond for ours."""
    body = (b" " * 997 + b"x\r\n") * 2000
    signed(MAIL, key)
    begun = time.process_time()
    signed(MAIL + body, key)

    assert time.process_time() - begun < 1
