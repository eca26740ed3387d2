"""How a Mac sends a file with what it has besides octets: AppleSingle, AppleDouble (RFC 1740) and MacBinary."""

from __future__ import annotations

import binascii
import struct


def apple(magic: bytes, *entries: tuple[int, bytes], version: int = 2) -> bytes:
    at = 26 + 12 * len(entries)
    head, body = magic + struct.pack(">HH16xH", version, 0, len(entries)), b""
    for kind, content in entries:
        head += struct.pack(">LLL", kind, at + len(body), len(content))
        body += content
    return head + body


def single(content: bytes) -> bytes:
    return apple(b"\0\5\x16\0", (3, b"report.pdf"), (1, content))


def double(*more: tuple[int, bytes]) -> bytes:
    """What stands beside the file: the Finder's facts and a resource fork."""
    return apple(b"\0\5\x16\7", (9, b"PDF CARO" + bytes(24)), (2, bytes(286)), *more)


def macbinary(content: bytes, *, version: int = 2, name: bytes = b"report.pdf") -> bytes:
    head = bytearray(b"\0" + bytes([len(name)]) + name.ljust(63, b"\0") + b"PDF CARO").ljust(128, b"\0")
    head[83:91] = struct.pack(">LL", len(content), 0)
    if version > 1:
        head[122:124] = b"\x81\x81"
        head[124:126] = struct.pack(">H", binascii.crc_hqx(bytes(head[:124]), 0))
    if version > 2:
        head[102:106] = b"mBIN"
    return bytes(head) + content + bytes(-len(content) % 128)
