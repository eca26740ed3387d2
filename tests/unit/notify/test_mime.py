from __future__ import annotations

import email
import email.policy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.notify.mime import alternative


def parts(text: str, html: str) -> tuple[bytes, list[str], list[str]]:
    content_type, body = alternative(text, html, "seed")
    raw = b"MIME-Version: 1.0\r\nContent-Type: " + " ".join(content_type).encode() + b"\r\n\r\n" + body
    message = email.message_from_bytes(raw, policy=email.policy.default)
    leaves = list(message.iter_parts())
    return (
        body,
        [leaf.get_payload(decode=True).decode() for leaf in leaves],
        [leaf["Content-Transfer-Encoding"] for leaf in leaves],
    )


def test_latin_text_travels_as_quoted_printable_and_other_scripts_as_base64() -> None:
    _, texts, encodings = parts("Grüße, Straße\n.\nFrom here \n", "<p>打印机着火了打印机着火了</p>")

    assert texts == ["Grüße, Straße\r\n.\r\nFrom here \r\n", "<p>打印机着火了打印机着火了</p>\r\n"]
    assert encodings == ["quoted-printable", "base64"]


def test_the_same_texts_give_the_same_octets() -> None:
    assert alternative("a", "b", "seed") == alternative("a", "b", "seed")
    assert alternative("a", "b", "seed") != alternative("a", "b", "other")


@pytest.mark.parametrize("text", ["a\rb", "a\r\nb", "a\u2028b", "a\x85b"])
def test_every_line_end_becomes_one_line_end(text: str) -> None:
    assert parts(text, "x")[1][0] == "a\r\nb\r\n"


@given(st.text(max_size=2000), st.text(max_size=500))
def test_no_text_breaks_out_of_its_part(text: str, html: str) -> None:
    body, texts, _ = parts(text, html)

    assert body.isascii()
    assert len(texts) == 2
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|[^\n]{79}|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", body)
