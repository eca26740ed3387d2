"""winmail.dat put together attribute by attribute ([MS-OXTNEF])."""

from __future__ import annotations

import struct

SIGNATURE = b"\x78\x9f\x3e\x22\x01\x00"
RENDERING, TITLE, DATA, PROPERTIES, MESSAGE = 0x00069002, 0x00018010, 0x0006800F, 0x00069005, 0x00069003
IID_MESSAGE = bytes.fromhex("0703020000000000c000000000000046")
IID_STORAGE = bytes.fromhex("0b00000000000000c000000000000046")


def attribute(kind: int, value: bytes, *, level: int = 2, checksum: int | None = None) -> bytes:
    stated = sum(value) & 0xFFFF if checksum is None else checksum
    return struct.pack("<BLL", level, kind, len(value)) + value + struct.pack("<H", stated)


def prop(identity: int, of_type: int, value: bytes) -> bytes:
    """One property; strings and octets are counted and padded to four."""
    if of_type in (0x1E, 0x1F, 0x0D, 0x102):
        value = struct.pack("<LL", 1, len(value)) + value + bytes(-len(value) % 4)
    return struct.pack("<HH", of_type, identity) + value


def properties(*each: bytes, kind: int = PROPERTIES, level: int = 2) -> bytes:
    return attribute(kind, struct.pack("<L", len(each)) + b"".join(each), level=level)


def wide(identity: int, text: str) -> bytes:
    return prop(identity, 0x1F, (text + "\0").encode("utf-16-le"))


def narrow(identity: int, text: str) -> bytes:
    return prop(identity, 0x1E, text.encode("latin-1") + b"\0")


def attachment(*, title: str = "", data: bytes | None = None, props: tuple[bytes, ...] = ()) -> bytes:
    found = attribute(RENDERING, bytes(14))
    if title:
        found += attribute(TITLE, title.encode("latin-1") + b"\0")
    if data is not None:
        found += attribute(DATA, data)
    return found + (properties(*props) if props else b"")


def winmail(*attributes: bytes) -> bytes:
    return SIGNATURE + b"".join(attributes)
