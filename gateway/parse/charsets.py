"""From bytes to text by the declared charset, and what to do when the declaration is wrong.

Labels map to the superset that senders mean (WHATWG Encoding does the same): nobody sends C1 controls on purpose, so
`iso-8859-1` is read as windows-1252. Only text codecs are reachable: Python would also offer `zlib` or `rot13`.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from charset_normalizer import from_bytes

from gateway.parse.defects import Defects

_SAMPLE_BYTES = 8192
_WORTH_GUESSING_BYTES = 200
"""Shorter texts are misdetected: gb18030 as cp949, koi8-r as shift_jis."""
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+()-]{1,39}")
_SUPERSETS = {
    "ascii": "ascii",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
}
_UNKNOWN_TO_PYTHON = {
    "cp65001": "utf-8",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "ks_c_5601": "cp949",
    "ansi_x3.4-1968": "ascii",
    "unicode-1-1-utf-7": "utf-7",
    "utf8mb4": "utf-8",
    "windows-874": "cp874",
    "windows-949": "cp949",
    "x-cp1250": "cp1250",
    "x-cp1251": "cp1251",
    "x-cp1252": "cp1252",
    "x-euc-jp": "euc_jp",
    "x-gbk": "gb18030",
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-roman": "mac-roman",
    "x-sjis": "cp932",
    "x-x-big5": "big5hkscs",
}
_TEXT_CODECS = re.compile(
    r"ascii|utf-(7|8|8-sig|16|16-le|16-be|32|32-le|32-be)|iso8859-\d+|iso2022_\w+|cp\d{3,4}|koi8-[rut]|mac-\w+|"
    r"big5(hkscs)?|gb18030|hz|euc_(jp|jis_2004|jisx0213)|shift_jis\w*|johab|ptcp154|kz1048"
)
_CANDIDATES = [
    "cp1252",
    "cp1250",
    "cp1251",
    "koi8_r",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp932",
    "euc_jp",
    "iso2022_jp",
    "cp949",
    "gb18030",
    "big5",
    "iso8859_2",
]


@lru_cache(maxsize=512)
def codec_for(label: str) -> str | None:
    """The Python codec a charset label means, None for a label nobody knows."""
    name = label.strip().lower()
    if not _LABEL.fullmatch(name):
        return None
    try:
        found = codecs.lookup(_UNKNOWN_TO_PYTHON.get(name, name)).name
    except LookupError:
        return None
    found = _SUPERSETS.get(found, found)
    return found if _TEXT_CODECS.fullmatch(found) else None


def word_text(octets: bytes, label: str, defects: Defects) -> str:
    """A short text of declared charset (an encoded-word, a parameter value): too short to guess from."""
    codec = codec_for(label)
    if codec is None:
        defects.add("unknown-charset")
        return _utf8_or_cp1252(octets)
    try:
        return octets.decode(codec)
    except UnicodeDecodeError:
        defects.add("bad-charset")
    text = octets.decode(codec, "replace")
    return text if text.count("\ufffd") <= 1 else _utf8_or_cp1252(octets)


def header_octets_text(octets: bytes, defects: Defects) -> str:
    """Header text as it stands in the message: ASCII, UTF-8 (RFC 6532), else what it most likely is."""
    if not octets.isascii():
        try:
            return octets.decode()
        except UnicodeDecodeError:
            defects.add("8bit-header")
    return _utf8_or_cp1252(octets)


def body_text(octets: bytes, label: str | None, defects: Defects) -> str:
    """A body: declared charset, else UTF-8, else a guess where there is enough to guess from, else windows-1252."""
    codec = codec_for(label) if label else "ascii"
    if codec is None:
        defects.add("unknown-charset")
    elif (declared := _declared(octets, codec)) is not None:
        return declared
    elif label:
        defects.add("bad-charset")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        guess = _guess(octets) if len(octets) > _WORTH_GUESSING_BYTES else None
        return octets.decode(guess or "cp1252", "replace")


def _declared(octets: bytes, codec: str) -> str | None:
    """By the declared charset, with a little damage forgiven: one cut character must not turn a letter into mojibake."""
    try:
        return octets.decode(codec)
    except UnicodeDecodeError:
        if codec == "ascii":
            return None
    text = octets.decode(codec, "replace")
    return text if text.count("\ufffd") <= 1 + len(text) // 500 else None


def _guess(octets: bytes) -> str | None:
    sample = octets[:_SAMPLE_BYTES]
    best = from_bytes(sample, cp_isolation=_CANDIDATES, steps=4, chunk_size=256, enable_fallback=False).best()
    return best.encoding if best else None


def _utf8_or_cp1252(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")
