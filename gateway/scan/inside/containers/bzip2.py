"""bzip2: one file without a name."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.scan.inside.containers import _unpack
from gateway.scan.inside.entry import Entry, Share, Unscannable

TYPES = frozenset({"bz2"})


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    unpacked = _unpack.unpack_members(content, b"BZh", _unpack.new_bzip2, share)
    yield from _unpack.entries_of(unpacked, _unpack.unpacked_name(share.name))
    if unpacked.flaw:
        raise Unscannable(unpacked.flaw)
    if unpacked.streams > 1:  # bunzip2 unpacks all of them, clamd the first one
        raise Unscannable("several streams, of which scanners read the first")
