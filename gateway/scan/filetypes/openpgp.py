"""OpenPGP messages (RFC 9580) by their packets, binary or in ASCII armour.

Keys and detached signatures carry nothing and are no messages; nor is clear-signed text, which everybody sees.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_PACKETS_READ = 10_000
_CHUNKS_READ = 100_000
_HEAD_BYTES = 4096
_DEPTH = 3
"""Packets in compressed packets that are looked at."""
_BLOCKS_READ = 1_000
_ENCRYPTED = frozenset({9, 18, 20})
_OPEN = frozenset({8, 11})
"""Compressed and literal data: everybody may read it who has the program."""
_KEYS = frozenset({5, 6, 7, 14})
_BESIDE_KEYS = frozenset({12, 13, 17})
_VERSIONED = _KEYS | {1, 2, 3, 4, 8, 10, 11, 18, 20}
"""Packets that can be told from random octets."""
_PUBLIC_KEY_ALGORITHMS = frozenset({1, 2, 3, 16, 17, 18, 19, 20, 22, 25, 26, 27, 28, 35, 36})
_CIPHERS = range(1, 14)
_ARMOUR = re.compile(rb"^[ \t>]{0,20}-----BEGIN PGP ([A-Z][A-Z ,/0-9]{0,60})-----[ \t]*\r?$", re.MULTILINE)
_ARMOUR_HEADERS = re.compile(rb"\r?\n(?:[ \t>]*[A-Za-z][\w-]{0,60}:[^\n]{0,1000}\n)*[ \t>]*\r?\n")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_CARRY_NOTHING = re.compile(rb"(?:PUBLIC|PRIVATE|SECRET) KEY BLOCK|SIGNATURE")
_CLEAR_SIGNED = b"SIGNED MESSAGE"


@dataclass(frozen=True, slots=True)
class Message:
    """`encrypted`: some of it is; `exposed`: some of it can be read without a key, or nobody knows what it is."""

    encrypted: bool
    exposed: bool


@dataclass(frozen=True, slots=True)
class _Packet:
    """`head` is the beginning of its body; `end` lies behind the data where the packet is cut short. `told`: it says itself
    where it ends.
    """

    tag: int
    head: bytes
    size: int
    end: int
    told: bool = True


def look(data: bytes) -> Message | None:
    """The message that a file is, or that stands in it in armour; None when it is neither. Never raises."""
    binary = _of_packets(data) if data and data[0] & 0x80 else None
    if binary or b"-----BEGIN PGP " not in data:
        return binary
    found = [message for message in _armoured(data) if message]
    if not found:
        return None
    return Message(any(m.encrypted for m in found), any(m.exposed for m in found))


def _armoured(data: bytes) -> Iterator[Message | None]:
    """The message of each block (section 6.2). What calls itself one and is none of our packets is one still."""
    for number, block in enumerate(_ARMOUR.finditer(data)):
        if number == _BLOCKS_READ:
            yield Message(encrypted=False, exposed=True)
            return
        if block[1] == _CLEAR_SIGNED:
            continue
        message = _of_packets(_dearmoured(data, block.end()))
        yield message or (None if _CARRY_NOTHING.fullmatch(block[1]) else Message(encrypted=False, exposed=True))


def _dearmoured(data: bytes, at: int) -> bytes:
    """Up to the checksum or the tail line, whichever comes first; empty where that is no base64."""
    headers = _ARMOUR_HEADERS.match(data, at)
    start = headers.end() if headers else at
    end = data.find(b"-----", start)
    lines = data[start : end if end >= 0 else len(data)]
    checksum = re.search(rb"^[ \t>]*=[A-Za-z0-9+/]{4}\s", lines, re.MULTILINE)
    digits = lines[: checksum.start() if checksum else len(lines)].translate(None, _NOT_BASE64)
    try:
        return binascii.a2b_base64(digits[: len(digits) // 4 * 4] + _padded(digits[len(digits) // 4 * 4 :]))
    except binascii.Error:
        return b""


def _padded(digits: bytes) -> bytes:
    return digits + b"=" * (4 - len(digits)) if len(digits) > 1 else b""


def _of_packets(data: bytes) -> Message | None:
    """Sections 4.2 and 10.3: packets one after another, each of them sound."""
    tags: set[int] = set()
    at = 0
    for _ in range(_PACKETS_READ):
        packet = _packet(data, at)
        if packet is None or not _is_sound(packet) or not _is_in_place(packet, tags, data):
            break
        tags.add(packet.tag)
        at = packet.end
    encrypted = bool(tags & _ENCRYPTED)
    if not encrypted and tags.isdisjoint(_OPEN):
        return None
    return Message(
        encrypted, exposed=not tags.isdisjoint(_OPEN) or bool(data[at : at + _HEAD_BYTES].strip(b"\0\r\n\t "))
    )


def _packet(data: bytes, at: int) -> _Packet | None:
    """The packet that begins there, in the format of today or of old (sections 4.2.1 and 4.2.2)."""
    if at + 2 > len(data) or not data[at] & 0x80:
        return None
    if data[at] & 0x40:
        return _new_packet(data, at)
    tag, length_octets = (data[at] >> 2) & 15, (1, 2, 4, 0)[data[at] & 3]
    start = at + 1 + length_octets
    size = int.from_bytes(data[at + 1 : start], "big") if length_octets else len(data) - start
    return _Packet(tag, data[start : start + min(size, _HEAD_BYTES)], size, start + size, told=length_octets > 0)


def _new_packet(data: bytes, at: int) -> _Packet | None:
    """Its body may come in pieces, all but the last of a power of two (section 4.2.1.4)."""
    tag, head, total = data[at] & 63, b"", 0
    at += 1
    for _ in range(_CHUNKS_READ):
        size, start = _new_length(data, at)
        at = start + abs(size)
        total += abs(size)
        if len(head) < _HEAD_BYTES:
            head += data[start : min(at, start + _HEAD_BYTES)]
        if size >= 0 or at >= len(data):
            return _Packet(tag, head, total, at)
    return None


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """The length and where the body begins; negative says that more pieces follow."""
    first = data[at] if at < len(data) else 0
    if first < 192:
        return first, at + 1
    if first < 224:
        return ((first - 192) << 8) + int.from_bytes(data[at + 1 : at + 2], "big") + 192, at + 2
    if first == 255:
        return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    return -(1 << (first & 31)), at + 1


def _is_in_place(packet: _Packet, before: set[int], data: bytes) -> bool:
    """The first packet needs more than a version, since random octets have that as well: encrypted data that no session key
    announces ends with the file, and so does literal data unless a name and a date vouch for it.
    """
    if before - {10, 21}:  # marker and padding
        return True
    ends_well = packet.told and (packet.end == len(data) or _followed(data, packet.end))
    if packet.tag in _ENCRYPTED:
        return packet.size > 18 and ends_well
    if packet.tag == 11:
        return ends_well or _is_named_and_dated(packet.head)
    return packet.tag not in _BESIDE_KEYS


def _followed(data: bytes, at: int) -> bool:
    following = _packet(data, at)
    return following is not None and following.tag in _VERSIONED and _is_sound(following)


def _is_named_and_dated(head: bytes) -> bool:
    if len(head) < 2 or len(head) < 6 + head[1]:
        return False
    name, date = head[2 : 2 + head[1]], int.from_bytes(head[2 + head[1] : 6 + head[1]], "big")
    return all(octet >= 0x20 for octet in name) and (date == 0 or date > 0x28000000)  # PGP came in 1991


def _is_sound(packet: _Packet, depth: int = 1) -> bool:
    """The version, algorithms and fields at the beginning of the body are those of its tag (section 5)."""
    head = packet.head.ljust(16, b"\0")
    match packet.tag:
        case 1:
            return packet.size < 1 << 16 and ((head[0] == 3 and head[9] in _PUBLIC_KEY_ALGORITHMS) or head[0] == 6)
        case 2:
            return packet.size < 1 << 24 and head[0] in range(2, 7)
        case 3:
            return packet.size < 1 << 10 and (
                (head[0] == 4 and head[1] in _CIPHERS and head[2] < 5) or head[0] in (5, 6)
            )
        case 4:
            return (head[0] == 3 and packet.size == 13) or (head[0] == 6 and packet.size < 512)
        case 8:
            return _is_compressed(packet.head, depth)
        case 10:
            return packet.head == b"PGP"
        case 11:
            return head[0] in b"btu1lm" and 6 + head[1] <= packet.size
        case 18:
            return head[0] == 1 or (head[0] == 2 and head[1] in _CIPHERS and head[2] in (1, 2, 3) and head[3] < 17)
        case 20:
            return head[0] == 1 and head[1] in _CIPHERS and head[2] in (1, 2, 3) and head[3] < 57
    if packet.tag in _KEYS:
        return head[0] in range(2, 7)
    return packet.tag in _BESIDE_KEYS or packet.tag in (9, 21)


def _is_compressed(head: bytes, depth: int) -> bool:
    """Uncompressed, ZIP, ZLIB or BZip2 (section 9.4), and a packet in it as far as that can be seen from its beginning."""
    algorithm, body = head[:1], head[1:]
    if algorithm == b"\3":
        return bool(re.match(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)", body))
    if algorithm not in (b"\0", b"\1", b"\2"):
        return False
    try:
        unpacked = (
            body if algorithm == b"\0" else zlib.decompressobj(-15 if algorithm == b"\1" else 15).decompress(body, 512)
        )
    except zlib.error:
        return False
    if not unpacked:  # nothing comes of so much without an error: a stream that begins with empty blocks
        return len(body) > 2
    inner = _packet(unpacked, 0)
    return inner is not None and depth < _DEPTH and _is_sound(inner, depth + 1)
