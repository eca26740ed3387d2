"""Content-Transfer-Encoding (RFC 2045 section 6): decoding that gives what can be given, and never raises."""

from __future__ import annotations

import binascii
import re

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
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))
_PADDED_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n)")
_PIECES = 10_000
"""Pieces of base64 with padding of their own that are told apart; real mail has one for each attachment glued on."""
_BARE_CR = re.compile(rb"\r(?!\n)")
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} [^\r\n]*\r?\n", re.MULTILINE)


def encoding_of(token: str) -> str:
    """The name of a transfer encoding as RFC 2045 spells it; what is unknown comes back as it is, in lower case."""
    name = next(iter(re.split(r"[\s;(]", token.strip().lower(), maxsplit=1)))
    return _SYNONYMS.get(name, name)


def decode(octets: bytes, encoding: str) -> tuple[bytes, bool]:
    """The decoded octets, and whether the encoding was sound. An unknown encoding is taken as 8bit."""
    if encoding == "base64":
        return base64_octets(octets)
    if encoding == "quoted-printable":
        return _quoted_printable(octets), True
    if encoding == "x-uuencode":
        return _uuencoded(octets)
    return octets, True


def base64_octets(octets: bytes) -> tuple[bytes, bool]:
    """Base64 with whatever else stands in it skipped, concatenated pieces with padding of their own included."""
    padding = octets.find(b"=")
    if padding < 0 or not octets[padding:].strip(b"= \t\r\n"):
        try:
            decoded = binascii.a2b_base64(octets)
        except binascii.Error:
            return _damaged_base64(octets), False
        return decoded, _nothing_skipped(octets, decoded)
    return _damaged_base64(octets), False


def _nothing_skipped(octets: bytes, decoded: bytes) -> bool:
    """Whether line ends and padding explain the whole difference in length: a2b_base64 skips junk silently."""
    digits = len(octets) - octets.count(b"\n") - octets.count(b"\r") - octets.count(b"=")
    if _explains(digits, decoded):
        return True
    return _explains(digits - octets.count(b" ") - octets.count(b"\t"), decoded)


def _explains(digits: int, decoded: bytes) -> bool:
    return digits * 3 // 4 == len(decoded) and digits % 4 != 1


def _damaged_base64(octets: bytes) -> bytes:
    pieces = []
    for piece in re.split(rb"=++[\s=]*+", octets, maxsplit=_PIECES):
        digits = piece.translate(None, _NOT_BASE64)
        whole = digits[:-1] if len(digits) % 4 == 1 else digits
        pieces.append(binascii.a2b_base64(whole + b"=" * (-len(whole) % 4)))
    return b"".join(pieces)


def _quoted_printable(octets: bytes) -> bytes:
    if b"= " in octets or b"=\t" in octets:  # blanks added behind a soft line break (rule 3)
        octets = _PADDED_SOFT_BREAK.sub(b"=", octets)
    if octets.count(b"\r") != octets.count(b"\r\n"):  # a2b_qp drops all text between `=` CR and the next LF
        octets = _BARE_CR.sub(b"\r\n", octets)
    return binascii.a2b_qp(octets)


def _uuencoded(octets: bytes) -> tuple[bytes, bool]:
    begin = _UU_BEGIN.search(octets)
    if not begin:
        return octets, False
    decoded = []
    sound = False
    for line in octets[begin.end() :].splitlines():
        if line.strip() == b"end":
            sound = True
            break
        decoded.append(_uu_line(line))
    return b"".join(decoded), sound


def _uu_line(line: bytes) -> bytes:
    if not line:
        return b""
    wanted = ((((line[0] - 32) & 63) + 2) // 3) * 4 + 1  # some encoders append a checksum, some cut blanks at the end
    try:
        return binascii.a2b_uu(line[:wanted])
    except binascii.Error:
        return b""
