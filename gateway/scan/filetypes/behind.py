"""Archives behind something else: programs that unpack themselves, and pictures with a RAR or 7z glued on.

WinRAR and 7-Zip look for an archive's beginning and open what they find, so such a file is what it begins with and an archive.
"""

from __future__ import annotations

import zlib

WITHIN_BYTES = 1024 * 1024
"""So far the beginning may lie, by the technotes of RAR; 7-Zip looks as far."""
_RAR = b"Rar!\x1a\x07"
_SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"
_TRIES = 100


def rar_start(data: bytes) -> int:
    """Where a RAR archive begins, -1 where none does: the signature with the main header behind it, for programs that unpack
    RAR have the signature in them.
    """
    at = data.find(_RAR, 0, WITHIN_BYTES)
    for _ in range(_TRIES):
        if at < 0 or _rar4(data, at) or _rar5(data, at):
            return at
        at = data.find(_RAR, at + 1, WITHIN_BYTES)
    return -1


def seven_zip_start(data: bytes) -> int:
    """Where a 7z archive begins, -1 where none does: the sum over its start header must be right."""
    at = data.find(_SEVEN_ZIP, 0, WITHIN_BYTES)
    for _ in range(_TRIES):
        if at < 0 or zlib.crc32(data[at + 12 : at + 32]) == int.from_bytes(data[at + 8 : at + 12], "little"):
            return at
        at = data.find(_SEVEN_ZIP, at + 1, WITHIN_BYTES)
    return -1


def archives(data: bytes) -> tuple[str, ...]:
    """`rar` and `7z`, where the file has one in it that those programs open."""
    return (*(("rar",) if rar_start(data) >= 0 else ()), *(("7z",) if seven_zip_start(data) >= 0 else ()))


def _rar4(data: bytes, at: int) -> bool:
    """The main header (type 0x73) follows with its sum, which leaves an old comment out."""
    size = int.from_bytes(data[at + 12 : at + 14], "little")
    crc = int.from_bytes(data[at + 7 : at + 9], "little")
    right = crc in {zlib.crc32(data[at + 9 : at + 7 + end]) & 0xFFFF for end in (size, 13)}
    return data[at + 6 : at + 7] == b"\0" and data[at + 9 : at + 10] == b"\x73" and right


def _rar5(data: bytes, at: int) -> bool:
    """The first header (main or encryption) is short: its size is one or two octets, and its sum right."""
    if data[at + 6 : at + 8] != b"\1\0" or len(data) < at + 14:
        return False
    low, high = data[at + 12], data[at + 13]
    end = at + 13 + low if low < 0x80 else at + 14 + (low & 0x7F) + (high << 7)
    return zlib.crc32(data[at + 12 : end]) == int.from_bytes(data[at + 8 : at + 12], "little")
