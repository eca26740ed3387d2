"""Whatever the bytes: the parser gives a result of valid strings, or says TooComplex."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.errors import TooComplex
from gateway.core.message import ParsedMessage
from gateway.parse import decode_part, parse
from gateway.parse.transfer import ENCODINGS, decode

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
PIECES = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b":", b";", b"=", b'"', b"\\", b"<", b">", b"(", b")", b"@", b",", b"--", b"*", b"'", b"%",
    b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Message-ID: ", b"References: ", b"Auto-Submitted: ", b"From", b"Received: x",
    b"Content-Type: ", b"Content-Transfer-Encoding: ", b"Content-Disposition: ", b"Content-ID: ", b"multipart/mixed", b"multipart/alternative",
    b"text/plain", b"text/html", b"message/rfc822", b"; boundary=b", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"\r\n\r\n", b"; charset=", b"utf-8",
    b"utf-7", b"utf-16", b"iso-2022-jp", b"hz", b"idna", b"base64", b"quoted-printable", b"x-uuencode", b"begin 644 a\r\n", b"attachment",
    b"; filename=", b"; filename*0*=", b"; filename*1=", b"utf-8''", b"=?utf-8?q?=00=0A?=", b"=?utf-7?b?K==?=", b"=?utf-16?b?2AA=?=",
    b"a@b.example", b"21 Nov 0000 99:99:99 +9999", b"31 Dec 9999 23:59:60 -2359", b"<div>", b"</div>", b"<a href='", b"&#xd800;", b"&#99999999999;",
    b"<blockquote>", b"<!--", b"<script>", b"On 20 Nov 2025 wrote:", b"> ", b"\xff", b"\xc3\xa4", b"\xed\xa0\x80", b"\xe2\x80\xae", b"AAAA", b"=3D",
]  # fmt: skip


def strings_of(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for item in value for text in strings_of(item)]
    if is_dataclass(value):
        return [text for field in fields(value) for text in strings_of(getattr(value, field.name))]
    return []


def check(content: bytes) -> None:
    try:
        parsed = parse(content)
    except TooComplex:
        return
    assert isinstance(parsed, ParsedMessage)
    for text in strings_of(parsed):
        assert not CONTROLS.search(text)
        text.encode()
    assert bool(parsed.text.strip()) == bool(parsed.text_new.strip())
    for part in parsed.parts:
        decode_part(content, part)
    assert len(parsed.defects) <= 50
    assert parsed.author is None or not any(d.startswith("ambiguous-author") for d in parsed.defects)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
def test_pieces_of_mail_in_any_order(content: bytes) -> None:
    check(content)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes(content: bytes) -> None:
    check(content)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(PIECES), st.lists(st.sampled_from(PIECES), max_size=15).map(b"".join))
def test_any_value_in_any_field(name: bytes, value: bytes) -> None:
    check(name + value + b"\r\nContent-Type: text/html" + value + b"\r\n\r\n" + value)


@given(st.sampled_from(sorted(ENCODINGS)), st.lists(st.sampled_from([*PIECES, b"M", b"`"]), max_size=30).map(b"".join))
def test_any_body_in_any_encoding(encoding: str, octets: bytes) -> None:
    decode(octets, encoding)
