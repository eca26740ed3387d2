"""What a message may be made of (T35): counted before anything is interpreted, at the same cost however far over."""

from __future__ import annotations

import time

import pytest

from gateway.core.errors import TooComplex
from gateway.parse import parse
from gateway.parse.limits import BOUNDARY_OCTETS, FIELDS, HEADER_BYTES, PARAMETERS

from .shapes import message, multipart

WORTH = 'Content-Disposition: attachment; filename="a.pdf"'


def pieces(count: int) -> str:
    return WORTH + "".join(f"; filename*{n}=a" for n in range(count))


OVER = {
    "100,000 parameters": ("parameters", message("Content-Type: a/b" + "; a=b" * 50_000)),
    "one parameter too many": ("parameters", message("Content-Type: a/b" + "; a=b" * (PARAMETERS + 1))),
    "parameters of a part": ("parameters", multipart("\nx", f"{WORTH}{'; a=b' * 20_000}\n\nx")),
    "pieces of RFC 2231": ("parameters", multipart("\nx", f"{pieces(10_000)}\n\nx")),
    "pieces with one number": ("parameters", multipart("\nx", WORTH + "; filename*0*=utf-8''a" * 9_000 + "\n\nx")),
    "pieces of a boundary": (
        "parameters",
        message("Content-Type: multipart/mixed" + "".join(f"; boundary*{n}=a" for n in range(12_000))),
    ),
    "parameters on lines of their own": ("parameters", message("Content-Type: a/b" + ";\r\n a=b" * 30_000)),
    "a boundary in pieces": (
        "boundary octets",
        message("Content-Type: multipart/mixed; boundary*0=" + "a" * BOUNDARY_OCTETS + "; boundary*1=a"),
    ),
    "a header of one line": ("header bytes", message("Subject: " + "a" * HEADER_BYTES)),
    "a header of one line without an end": ("header bytes", b"Subject: " + b"a" * 20_000_000),
    "a field of folded lines": ("header bytes", message("Subject: a" + "\r\n a" * 100_000)),
    "a part's header of one line": ("header bytes", multipart("\nx", f"X: {'a' * HEADER_BYTES}\n\nx")),
    "fields": ("header fields", message(*["X: y"] * (FIELDS + 1))),
    "100,000 fields": ("header fields", message(*["X: y"] * 100_000)),
    "fields of a part": ("header fields", multipart("\nx", "X: y\n" * (FIELDS + 1) + "\nx")),
    "blank lines before the header": ("header bytes", b"\r\n" * HEADER_BYTES + message()),
}


@pytest.mark.parametrize(("limit", "content"), OVER.values(), ids=OVER)
def test_over_a_limit_is_too_complex_and_soon_told(limit: str, content: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(TooComplex, match=limit):
        parse(content)
    assert time.process_time() - begun < 1


WITHIN = {
    "parameters": message("Content-Type: a/b" + "; a=b" * PARAMETERS),
    "pieces": multipart("\nx", pieces(PARAMETERS - 1) + "\n\nx"),
    "a long line": message("Subject: " + "a" * (HEADER_BYTES - 200)),
    "fields": message(*["X: y"] * (FIELDS - 1)),
    "semicolons and nothing else": message("Content-Type: text/plain" + ";" * 100_000),
}


@pytest.mark.parametrize("content", WITHIN.values(), ids=WITHIN)
def test_at_a_limit_is_read(content: bytes) -> None:
    assert parse(content).parts


def test_ninety_nine_pieces_make_one_name() -> None:
    names = parse(multipart("\nx", pieces(PARAMETERS - 1) + "\n\nx")).parts[1].names
    assert names == ("a" * (PARAMETERS - 1), "a.pdf")
