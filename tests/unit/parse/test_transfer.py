"""Bodies and digests piece by piece: wherever they are cut, nothing changes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.parse import digest, transfer
from gateway.parse.digest import BodyDigest
from gateway.parse.transfer import decode

DIGITS = st.sampled_from([b"QUJD", b"bG8=", b"A", b"=", b"==", b"!", b"\xff", b"\0", b"=C3", b"=\r\n", b"= \n"])
LINES = st.sampled_from(
    [b"begin 644 a\n", b"\nbegin 600 b\r\n", b"%:&5L;&\\\n", b"M" + b"A" * 60 + b"\r\n", b"end\r\n"]
)
BLANKS = st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b"\t"])
OCTETS = st.lists(DIGITS | LINES | BLANKS, max_size=30).map(b"".join)


def in_pieces(module: object, size: int, call: object) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE_OCTETS", size)
        return call()  # type: ignore[operator]


@given(OCTETS, st.sampled_from(["base64", "quoted-printable", "x-uuencode", "8bit"]), st.integers(2, 40))
def test_a_body_is_decoded_alike_in_whatever_pieces(octets: bytes, encoding: str, size: int) -> None:
    assert in_pieces(transfer, size, lambda: decode(octets, encoding)) == decode(octets, encoding)


@given(OCTETS, OCTETS, OCTETS, st.sampled_from(["base64", "quoted-printable", "x-uuencode", "8bit"]))
def test_a_body_is_decoded_where_it_lies(before: bytes, octets: bytes, behind: bytes, encoding: str) -> None:
    if encoding == "x-uuencode":
        before += b"\n"  # a body begins a line
    content = before + octets + behind
    assert decode(content, encoding, len(before), len(before + octets)) == decode(octets, encoding)


@given(OCTETS, st.integers(2, 40))
def test_the_digest_of_a_body_forgets_line_ends_and_blanks_behind_it_in_whatever_pieces(
    octets: bytes, size: int
) -> None:
    def digested() -> str:
        one = BodyDigest()
        one.add(octets)
        return one.hexdigest()

    plain = octets if b"\0" in octets else octets.replace(b"\r\n", b"\n").rstrip(b" \t\r\n")
    expected = hashlib.sha256(hashlib.sha256(plain).digest()).hexdigest()
    assert in_pieces(digest, size, digested) == digested() == expected


def test_uuencoded_data_in_empty_lines_cost_no_more_than_lines() -> None:
    """Each of four million empty lines became an object, in one list."""
    decoded, sound = decode(b"begin 644 a\n" + b"\r\n" * 1_000_000 + b"%:&5L;&\\\nend\n", "x-uuencode")
    assert (decoded, sound) == (b"hello", True)
