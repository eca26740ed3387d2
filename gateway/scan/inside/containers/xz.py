"""xz (the .xz file format 1.1): one file without a name."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.scan.inside.containers import _unpack
from gateway.scan.inside.entry import Entry, Share, Unscannable

TYPES = frozenset({"xz"})

_MAGIC, _FOOTER_MAGIC = b"\xfd7zXZ\x00", b"YZ"
_HEADER_BYTES = _FOOTER_BYTES = 12
_PIECE_BYTES = 4096
_LZMA2 = 0x21
READ_BY_CLAMD = frozenset({3, 4, 5, 6, 7, 8, 9})
"""Filters (section 5.3) before LZMA2 that are put before a real clamd in tests/contract/test_xz_filters.py: delta, x86, PowerPC,
IA-64, ARM, ARM Thumb, SPARC. ARM64 (10) and RISC-V (11) came later; what is packed by those, clamd calls clean.
"""


class _Broken(Exception):
    """No such thing stands there."""


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """The one file of all streams. Raises Unscannable, also where it was unpacked but no scanner can."""
    unpacked = _unpack.unpack_members(content, _MAGIC, _unpack.new_xz, share)
    yield from _unpack.entries_of(unpacked, _unpack.unpacked_name(share.name))
    if unpacked.flaw:
        raise Unscannable(unpacked.flaw)
    try:
        unread = [chain for chain in _chains(content, share) if not _read_by_clamd(chain)]
    except _Broken:
        raise Unscannable(_unpack.BROKEN) from None
    if unread:
        raise Unscannable("packed with filters that scanners do not read")


def _read_by_clamd(chain: list[int]) -> bool:
    return chain == [_LZMA2] or (len(chain) == 2 and chain[0] in READ_BY_CLAMD and chain[1] == _LZMA2)


def _chains(content: bytes, share: Share) -> Iterator[list[int]]:
    """The filters of every block of every stream, from the last stream on: its footer tells where it begins. Raises
    Unscannable.
    """
    end = len(content)
    while end > 0:
        end = _before_padding(content, end)
        index = _index_start(content, end)
        sizes = _block_sizes(content, index, end - _FOOTER_BYTES, share)
        at = index - sum(sizes)
        end = at - _HEADER_BYTES
        if end < 0 or not content.startswith(_MAGIC, end):
            raise _Broken
        for size in sizes:
            share.check_time()
            yield _filters(content, at)
            at += size


def _before_padding(content: bytes, end: int) -> int:
    """Zeros between streams and behind the last one (section 2.2)."""
    while end > 0 and content[end - 1] == 0:
        piece = content[max(0, end - _PIECE_BYTES) : end]
        end -= len(piece) - len(piece.rstrip(b"\0"))
    return end


def _index_start(content: bytes, end: int) -> int:
    """By the Backward Size of the stream footer (section 2.1.2.2)."""
    footer = content[max(0, end - _FOOTER_BYTES) : end]
    size = 4 * (int.from_bytes(footer[4:8], "little") + 1)
    if not footer.endswith(_FOOTER_MAGIC) or size > end - _FOOTER_BYTES:
        raise _Broken
    return end - _FOOTER_BYTES - size


def _block_sizes(content: bytes, at: int, end: int, share: Share) -> list[int]:
    """Of the records of the index (section 4), whose first octet is its indicator: what each block takes with its padding."""
    count, at = _number(content, at + 1, end)
    if count > end - at:
        raise _Broken
    sizes = []
    for _ in range(count):
        share.check_time()
        unpadded, at = _number(content, at, end)
        _, at = _number(content, at, end)
        sizes.append(-(-unpadded // 4) * 4)
    return sizes


def _filters(content: bytes, at: int) -> list[int]:
    """The ids of a block header (section 3.1): sizes where its flags say so, then each filter with its properties."""
    end = at + 4 * (content[at] + 1)
    flags = content[at + 1]
    at += 2
    for _ in range((flags >> 6 & 1) + (flags >> 7)):
        _, at = _number(content, at, end)
    found = []
    for _ in range((flags & 3) + 1):
        kind, at = _number(content, at, end)
        properties, at = _number(content, at, end)
        at += properties
        found.append(kind)
    return found


def _number(content: bytes, at: int, end: int) -> tuple[int, int]:
    """Seven bits an octet, the low ones first, nine octets at most (section 1.2); and where it ends."""
    value = 0
    for n, octet in enumerate(content[at : min(at + 9, end)]):
        value |= (octet & 0x7F) << 7 * n
        if octet < 0x80:
            return value, at + n + 1
    raise _Broken
