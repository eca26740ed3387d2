"""Encoded-words (RFC 2047), read as tolerantly as mail programs do, without a library that raises on them."""

from __future__ import annotations

import binascii
import re

from gateway.core.addresses import without_controls
from gateway.parse.charsets import header_octets_text, word_text
from gateway.parse.defects import Defects
from gateway.parse.transfer import base64_octets

_WORD = re.compile(r"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,60})?\?([BbQq])\?([^?]*)\?=")


def decoded(value: bytes, defects: Defects) -> str:
    """The text of an unstructured field (or of a phrase): decoded, one line, free of control characters."""
    text = header_octets_text(value, defects)
    if "=?" in text:
        text = decode_words(text, defects)
    return without_controls(text.replace("\t", " ")).strip()


def decode_words(text: str, defects: Defects) -> str:
    """Text with its encoded-words decoded. They may touch other text: section 5 forbids it and real mail does it.

    Neighbours of one charset and encoding are joined before decoding: senders cut characters in two, and even base64.
    """
    shown: list[str] = []
    raw: list[bytes] = []
    charset = encoding = ""
    behind = 0
    for match in _WORD.finditer(text):
        label, kind = match[1].lower(), match[2].lower()
        gap = text[behind : match.start()]
        touching = bool(raw) and not gap.strip()
        if not touching or label != charset or kind != encoding:
            shown.append(_flushed(raw, encoding, charset, defects))
            shown.append("" if touching else gap)
            charset, encoding = label, kind
        raw.append(match[3].encode() if match[3].isascii() else _raw_8bit(match[3], label))
        behind = match.end()
    shown.append(_flushed(raw, encoding, charset, defects))
    shown.append(text[behind:])
    return "".join(shown)


def _raw_8bit(encoded: str, charset: str) -> bytes:
    """Raw 8-bit text inside an encoded-word is in the word's charset, not yet encoded: Outlook 2000 did that."""
    if charset in ("utf-8", "utf8"):
        return encoded.encode("utf-8", "replace")
    try:
        return encoded.encode("cp1252")
    except UnicodeEncodeError:
        return encoded.encode("utf-8", "replace")


def _flushed(raw: list[bytes], encoding: str, charset: str, defects: Defects) -> str:
    if not raw:
        return ""
    joined = b"".join(raw)
    raw.clear()
    octets = base64_octets(joined)[0] if encoding == "b" else binascii.a2b_qp(joined, header=True)
    return word_text(octets, charset, defects)
