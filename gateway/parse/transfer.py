"""Content-Transfer-Encoding (RFC 2045 section 6): decoding that gives what can be given, and never raises."""

from __future__ import annotations

import binascii
import io
import re
from collections.abc import Iterator

from gateway.parse.charsets import codec_for

IDENTITY = frozenset({"7bit", "8bit", "binary"})
ENCODINGS = IDENTITY | {"base64", "quoted-printable", "x-uuencode"}
_SYNONYMS = {
    "": "7bit",
    "7-bit": "7bit",
    "8-bit": "8bit",
    "uuencode": "x-uuencode",
    "x-uue": "x-uuencode",
    "uue": "x-uuencode",
    "quoted_printable": "quoted-printable",
    "quotedprintable": "quoted-printable",
    "x-base64": "base64",
}
_SLIPS = frozenset({"7bits", "8bits", "none", "plain", "text", "text/plain", "text/html"})
"""Written by programs that mean no encoding. Like a charset's name they are nothing that anybody would decode."""
_MISSPELT = frozenset({"quoted_printable", "quotedprintable", "x-base64"})
"""Decoded by some programs, shown as they stand by others."""
_TOKEN_ALONE = re.compile(r"\s*+(?:[^\s;()]++\s*+;?\s*+(?:\([^()]*+\)\s*+)?)?")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))
_BLANKS = b" \t\r\n"
_PADDING_ALONE = re.compile(rb"[= \t\r\n]*+")
_PADDING = re.compile(rb"[=\s]*+")
_GLUED = 10_000
"""Pieces of base64 with padding of their own that are told apart; real mail has one for each attachment glued on."""
_PADDED_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n)")
_BARE_CR = re.compile(rb"\r(?!\n)")
_UU_BEGIN = re.compile(rb"begin [0-7]{3,4} [^\r\n]*\r?\n")
PIECE_OCTETS = 256 * 1024
"""Bodies are decoded piece by piece: one call into C over ten megabytes keeps every other thread, the event loop among
them, waiting for a twentieth of a second.
"""


def encoding_of(token: str) -> str:
    """The name of a transfer encoding as RFC 2045 spells it; what is unknown comes back as it is, in lower case."""
    name = _first_word(token)
    if name in ENCODINGS or name in _SYNONYMS:
        return _SYNONYMS.get(name, name)
    return "8bit" if name in _SLIPS or codec_for(name) else name


def is_misspelt(token: str) -> bool:
    """Whether not every program knows that this means base64 or quoted-printable."""
    return _first_word(token) in _MISSPELT


def _first_word(token: str) -> str:
    return next(iter(re.split(r"[\s;(]", token.strip().lower(), maxsplit=1)))


def is_plain_token(written: str) -> bool:
    """Whether nothing but a comment stands beside the token: `base64 7bit` and `(x) base64` are read differently."""
    return bool(_TOKEN_ALONE.fullmatch(written))


def decode(octets: bytes, encoding: str, start: int = 0, end: int | None = None) -> tuple[bytes, bool]:
    """What is between `start` and `end`, decoded, and whether the encoding was sound. An unknown one is taken as 8bit."""
    end = len(octets) if end is None else end
    if encoding == "base64":
        return base64_octets(octets, start, end)
    if encoding == "quoted-printable":
        return _quoted_printable(octets, start, end), True
    if encoding == "x-uuencode":
        return _uuencoded(octets, start, end)
    return octets[start:end], True


def base64_octets(octets: bytes, start: int = 0, end: int | None = None) -> tuple[bytes, bool]:
    """Base64 with whatever else stands in it skipped, concatenated pieces with padding of their own included."""
    end = len(octets) if end is None else end
    padding = octets.find(b"=", start, end)
    stop = end if padding < 0 else padding
    if _PADDING_ALONE.fullmatch(octets, stop, end):
        try:
            return _sound_base64(octets, start, stop, octets.count(b"=", stop, end)), True
        except binascii.Error:
            return _damaged_base64(octets, start, end), False
    return _damaged_base64(octets, start, end), False


def _sound_base64(octets: bytes, start: int, end: int, padding: int) -> bytes:
    """Raises binascii.Error for what is neither digit nor blank, and where digits or padding are missing."""
    decoded = io.BytesIO()
    left = _decode_groups(decoded, octets, start, end, unwanted=_BLANKS)
    decoded.write(binascii.a2b_base64(left + b"=" * min(padding, -len(left) % 4), strict_mode=True))
    return decoded.getvalue()


def _damaged_base64(octets: bytes, start: int, end: int) -> bytes:
    decoded = io.BytesIO()
    for begin, stop in _between_padding(octets, start, end):
        left = _decode_groups(decoded, octets, begin, stop, unwanted=_NOT_BASE64)
        if len(left) > 1:
            decoded.write(binascii.a2b_base64(left + b"=="))
    return decoded.getvalue()


def _decode_groups(decoded: io.BytesIO, octets: bytes, start: int, end: int, *, unwanted: bytes) -> bytes:
    """Decode the groups of four digits; what is left of the digits is given back. Raises binascii.Error for others."""
    left = b""
    for at in range(start, end, PIECE_OCTETS):
        digits = left + octets[at : min(at + PIECE_OCTETS, end)].translate(None, unwanted)
        whole = len(digits) - len(digits) % 4
        decoded.write(binascii.a2b_base64(digits[:whole], strict_mode=True))
        left = digits[whole:]
    return left


def _between_padding(octets: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    for _ in range(_GLUED):
        padding = octets.find(b"=", start, end)
        if padding < 0:
            break
        yield start, padding
        behind = _PADDING.match(octets, padding, end)
        start = behind.end() if behind else end
    yield start, end


def _pieces(octets: bytes, start: int, end: int) -> Iterator[bytes]:
    """Whole lines, many at a time; where a line is longer than a piece, that line."""
    while start < end:
        near = start + PIECE_OCTETS
        cut = end if near >= end else octets.rfind(b"\n", start, near) + 1 or octets.find(b"\n", near, end) + 1 or end
        yield octets[start:cut]
        start = cut


def _quoted_printable(octets: bytes, start: int, end: int) -> bytes:
    decoded = io.BytesIO()
    for piece in _pieces(octets, start, end):
        decoded.write(_quoted_lines(piece))
    return decoded.getvalue()


def _quoted_lines(octets: bytes) -> bytes:
    if b"= " in octets or b"=\t" in octets:  # blanks added behind a soft line break (rule 3)
        octets = _PADDED_SOFT_BREAK.sub(b"=", octets)
    if octets.count(b"\r") != octets.count(b"\r\n"):  # a2b_qp drops all text between `=` CR and the next LF
        octets = _BARE_CR.sub(b"\r\n", octets)
    return binascii.a2b_qp(octets)


def _uuencoded(octets: bytes, start: int, end: int) -> tuple[bytes, bool]:
    begin = _behind_uu_begin(octets, start, end)
    if begin < 0:
        return octets[start:end], False
    decoded = io.BytesIO()
    for piece in _pieces(octets, begin, end):
        for line in filter(None, piece.splitlines()):
            if line.strip() == b"end":
                return decoded.getvalue(), True
            decoded.write(_uu_line(line))
    return decoded.getvalue(), False


def _behind_uu_begin(octets: bytes, start: int, end: int) -> int:
    """Where the data begin, below zero when there are none. Found before it is matched: `^` is tried at every octet."""
    at = start
    while at >= 0:
        begin = _UU_BEGIN.match(octets, at, end)
        if begin:
            return begin.end()
        at = octets.find(b"\nbegin ", at, end) + 1 or -1
    return at


def _uu_line(line: bytes) -> bytes:
    wanted = ((((line[0] - 32) & 63) + 2) // 3) * 4 + 1  # some encoders append a checksum, some cut blanks at the end
    try:
        return binascii.a2b_uu(line[:wanted])
    except binascii.Error:
        return b""
