"""xz: one file without a name."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.scan.inside.containers import _unpack
from gateway.scan.inside.entry import Entry, Share, Unscannable

TYPES = frozenset({"xz"})


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    unpacked = _unpack.unpack_members(content, b"\xfd7zXZ\x00", _unpack.new_xz, share)
    yield from _unpack.entries_of(unpacked, _unpack.unpacked_name(share.name))
    if unpacked.flaw:
        raise Unscannable(unpacked.flaw)
