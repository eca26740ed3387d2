"""Costs that must stay in bounds on any machine: generous limits, so that only a wrong order of growth fails."""

from __future__ import annotations

import os
import time
from binascii import b2a_base64

import pytest

from gateway.parse import decode_part, parse

from .shapes import message


def _seconds(content: bytes) -> float:
    begun = time.process_time()
    parse(content)
    return time.process_time() - begun


def test_a_large_attachment_costs_little_more_than_its_decoding() -> None:
    lines = b2a_base64(os.urandom(7_500_000), newline=False)
    folded = b"\r\n".join(lines[n : n + 76] for n in range(0, len(lines), 76))
    content = message(
        "Content-Type: multipart/mixed; boundary=bb",
        body=b"--bb\r\n\r\nhello\r\n--bb\r\nContent-Transfer-Encoding: base64\r\nContent-Type: a/b\r\n\r\n"
        + folded
        + b"\r\n--bb--\r\n",
    )
    assert _seconds(content) < 0.6
    assert len(decode_part(content, parse(content).parts[1])) == 7_500_000


@pytest.mark.parametrize(
    "content",
    [
        b"x" * 10_000_000,
        message(body=b"\n" * 4_000_000),
        message("To: " + "(" * 200_000),
        message('To: "' + '\\"' * 100_000),
        message("From: " + "(a" * 100_000),
        message("From: " + '"\\' * 100_000),
        message("From: " + "a " * 100_000 + "<"),
        message("Subject: " + "=?" * 100_000),
        message("Subject: " + "=?a?q?" * 40_000),
        message("References: " + "<" * 200_000),
        message("Content-Type: text/plain" + ";" * 200_000),
        message('Content-Type: text/plain; a="' + '\\"' * 100_000),
        message("Date: " + " 1" * 100_000),
        message("To: " + ",".join(f"a@ü{n}.example" for n in range(15_000))),
        message("From: " + ",".join(f"a@ü{n}.example" for n in range(15_000))),
        message("Content-Transfer-Encoding: base64", body=b"A=" * 2_000_000),
        message("Content-Transfer-Encoding: quoted-printable", body=b"=" + b" " * 4_000_000),
        message("Content-Transfer-Encoding: x-uuencode", body=b"begin 644 " * 200_000),
        message(body=bytes(range(128, 256)) * 8_000),
    ],
    ids=[
        "junk",
        "blank",
        "parens",
        "quotes",
        "comments",
        "escapes",
        "words",
        "word-starts",
        "half-words",
        "ids",
        "semicolons",
        "pairs",
        "date",
        "to-idn",
        "from-idn",
        "base64",
        "qp",
        "uu",
        "8bit",
    ],
)
def test_hostile_fields_and_bodies_cost_linear_time(content: bytes) -> None:
    assert _seconds(content) < 1.5
