"""RAR archives put together header by header, with right sums (technotes 4 and 5)."""

from __future__ import annotations

import struct
import zlib

MAGIC4, MAGIC5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"


def block4(kind: int, flags: int, body: bytes, *, data: bytes = b"") -> bytes:
    header = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
    return struct.pack("<H", zlib.crc32(header) & 0xFFFF) + header + data


def file4(name: bytes, *, flags: int = 0, data: bytes = b"data", large: bool = False) -> bytes:
    body = struct.pack("<LLBLLBBHL", len(data), 9, 3, 0, 0, 29, 0x33, len(name), 0o644)
    body += (struct.pack("<LL", 0, 0) if large else b"") + name
    return block4(0x74, 0x8000 | flags | (0x0100 if large else 0), body, data=data)


def rar4(*blocks: bytes, flags: int = 0) -> bytes:
    return MAGIC4 + block4(0x73, flags, bytes(6)) + b"".join(blocks) + block4(0x7B, 0x4000, b"")


def recipe(plain: bytes, high: int, *steps: tuple[int, bytes]) -> bytes:
    """A name of RAR 4 with its recipe: each step is 0 to 3 and its octets."""
    out = plain + b"\0" + bytes([high])
    for at in range(0, len(steps), 4):
        four = steps[at : at + 4]
        out += bytes([sum(how << (6 - 2 * i) for i, (how, _) in enumerate(four))]) + b"".join(
            octets for _, octets in four
        )
    return out


def vint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def block5(kind: int, body: bytes, *, flags: int = 0, extra: bytes = b"", data: bytes = b"") -> bytes:
    fields = vint(kind) + vint(flags | bool(extra) | (2 if data else 0))
    fields += (vint(len(extra)) if extra else b"") + (vint(len(data)) if data else b"") + body + extra
    header = vint(len(fields)) + fields
    return struct.pack("<L", zlib.crc32(header)) + header + data


def file5(name: str, *, flags: int = 0, directory: bool = False, encrypted: bool = False) -> bytes:
    body = vint(1 if directory else 6) + vint(4) + vint(0o644) + (b"" if directory else bytes(8))
    body += vint(0) + vint(1) + vint(len(name.encode())) + name.encode()
    extra = vint(2) + vint(5) + b"\0" + (vint(2) + vint(1) + b"\0" if encrypted else b"")
    return block5(2, body, flags=flags, extra=extra, data=b"" if directory else b"data")


def rar5(*blocks: bytes, volume: bool = False) -> bytes:
    return MAGIC5 + block5(1, vint(int(volume))) + b"".join(blocks) + block5(5, vint(0))
