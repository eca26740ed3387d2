"""7z archives put together property by property, with right sums (7zFormat.txt)."""

from __future__ import annotations

import lzma
import struct
import zlib


def archive(header: bytes, packed: bytes = b"") -> bytes:
    start = struct.pack("<QQL", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<L", zlib.crc32(start)) + start + packed + header


def number(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else b"\xff" + struct.pack("<Q", value)


def files(*of_names: str, count: int | None = None) -> bytes:
    text = b"\0" + b"".join((name + "\0").encode("utf-16-le") for name in of_names)
    return (
        b"\x01\x05" + number(len(of_names) if count is None else count) + b"\x11" + number(len(text)) + text + b"\0\0"
    )


def packed_twice(header: bytes) -> bytes:
    """Packed by nothing, and what says so once more."""
    body, said = b"", header
    for _ in range(2):
        streams = b"\x06" + number(len(body)) + b"\x01\x09" + number(len(said)) + b"\0\x07\x0b\x01\0\x01\x01\0"
        body, said = body + said, b"\x17" + streams + b"\x0c" + number(len(said)) + b"\0\0"
    return archive(said, body)


def packed_header(header: bytes, *, unpacked_bytes: int | None = None, dictionary: int = 1 << 16) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "lc": 3, "lp": 0, "pb": 2, "dict_size": 1 << 16}]
    packed = lzma.compress(header, lzma.FORMAT_RAW, filters=filters)
    size = number(len(header) if unpacked_bytes is None else unpacked_bytes)
    coder = b"\x23\x03\x01\x01\x05" + struct.pack("<BL", 93, dictionary)
    streams = b"\x06\0\x01\x09" + number(len(packed)) + b"\0" + b"\x07\x0b\x01\0\x01" + coder + b"\x0c" + size + b"\0\0"
    return archive(b"\x17" + streams, packed)


def coder(method: bytes, properties: bytes = b"", streams: tuple[int, int] | None = None) -> bytes:
    """`streams`: of several, how many go in and come out."""
    flags = len(method) | (0x10 if streams else 0) | (0x20 if properties else 0)
    return (
        bytes([flags]) + method + bytes(streams or ()) + (number(len(properties)) + properties if properties else b"")
    )


def packed_by(*coders: bytes, bonds: bytes = b"", outputs: int | None = None, name: str = "a.txt") -> bytes:
    """One file that goes through `coders`; its packed octets are none of theirs."""
    packed = b"hello"
    sizes = number(len(packed)) * (outputs or len(coders))
    folder = number(len(coders)) + b"".join(coders) + bonds
    streams = b"\x06\0\x01\x09" + number(len(packed)) + b"\0" + b"\x07\x0b\x01\0" + folder + b"\x0c" + sizes + b"\0\0"
    return archive(b"\x01\x04" + streams + files(name)[1:], packed)
