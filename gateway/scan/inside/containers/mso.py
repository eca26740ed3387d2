"""ActiveMime: how Office packs a compound file, with macros perhaps, beside HTML (`oledata.mso`, `editdata.mso`).

Nobody has published the format; the zlib stream begins where one of three fields or habits says.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.scan.inside.containers import _unpack
from gateway.scan.inside.entry import Entry, Share, Unscannable

TYPES = frozenset({"mso"})

_OFFSET_AT = 0x1E
_OFFSET_COUNTS_FROM = 46
_USUAL_OFFSETS = (0x32, 0x22A)
_ZLIB_HEADER = 15  # zlib's window bits


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    told = int.from_bytes(content[_OFFSET_AT : _OFFSET_AT + 2], "little") + _OFFSET_COUNTS_FROM
    at = next((at for at in (told, *_USUAL_OFFSETS) if content[at : at + 1] == b"\x78"), None)
    if at is None:
        raise Unscannable(_unpack.BROKEN)
    share.file()
    unpacked = _unpack.unpack(memoryview(content)[at:], _unpack.Inflate(_ZLIB_HEADER), share)
    yield from _unpack.entries_of(unpacked, _unpack.unpacked_name(share.name))
    if unpacked.flaw:
        raise Unscannable(unpacked.flaw)
