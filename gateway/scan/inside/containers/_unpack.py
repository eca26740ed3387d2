"""Unpacking compressed bytes a piece at a time, so that what is spent is known before the next piece is made."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.scan.inside.entry import ENTRY_BYTES, RATIO, STREAM_BYTES, Entry, Share
from gateway.scan.inside.names import telling

PIECE_BYTES = 64 * 1024
_FIRST_FEED_BYTES = 512
"""Feeds double from here: ten thousand tiny streams one after another must not cost 64 KB each."""
MEMORY_BYTES = 80 * 1024 * 1024
"""For the dictionary of LZMA; `xz -9` asks for 65 MiB."""

_PADDING = re.compile(rb"\0+")

INCOMPLETE = "incomplete"
BROKEN = "broken"
MORE_BEHIND = "data behind its end"
TOO_DENSE = f"more than {RATIO} times its size"


class Decompressor(Protocol):
    """As those of `bz2` and `lzma`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Inflate:
    """zlib's decompressor with the manners of those of `bz2` and `lzma`."""

    def __init__(self, window_bits: int) -> None:
        self._inflate = zlib.decompressobj(window_bits)
        self._rest = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        piece = self._inflate.decompress(self._rest + data, max_length)
        self._rest = self._inflate.unconsumed_tail
        self.needs_input = not self._rest and len(piece) < max_length
        return piece


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`cut`: there is more, which was not unpacked. `consumed` octets of the source are this, known when not cut; `flaw`
    says what is wrong, empty when nothing is.
    """

    content: bytes
    cut: bool = False
    consumed: int = 0
    flaw: str = ""
    streams: int = 1


def unpack(source: memoryview, decompressor: Decompressor, share: Share, *, room: int = ENTRY_BYTES) -> Unpacked:
    """One compressed stream at the beginning of `source`, `room` octets of it at most. Raises Unscannable.

    Of one that is cut the rest is not unpacked: whether it is a bomb goes by its beginning.
    """
    kept: list[bytes] = []
    length = at = 0
    feed_bytes = _FIRST_FEED_BYTES
    while not decompressor.eof:
        feed = b""
        if decompressor.needs_input:
            share.check_time()
            feed = bytes(source[at : at + feed_bytes])
            at += len(feed)
            feed_bytes = min(2 * feed_bytes, PIECE_BYTES)
            if not feed:
                return Unpacked(b"".join(kept), consumed=at, flaw=INCOMPLETE)
        try:
            piece = decompressor.decompress(feed, PIECE_BYTES)
        except (zlib.error, lzma.LZMAError, OSError, ValueError):  # OSError is bz2's word for broken data
            return Unpacked(b"".join(kept), consumed=at, flaw=BROKEN)
        share.take(len(piece))
        kept.append(piece)
        length += len(piece)
        if length > room:
            return Unpacked(b"".join(kept)[:room], cut=True, flaw=TOO_DENSE if length > RATIO * at else "")
    return Unpacked(b"".join(kept), consumed=at - len(decompressor.unused_data))


def unpack_members(content: bytes, magic: bytes, new: Callable[[], Decompressor], share: Share) -> Unpacked:
    """Compressed streams one after another, which readers take for one file (RFC 1952 section 2.2; so do bzip2 and xz). Zeros
    behind them are padding. Raises Unscannable.
    """
    source = memoryview(content)
    kept: list[bytes] = []
    at, room, streams = 0, STREAM_BYTES, 0
    while True:
        streams += 1
        share.file()  # ten thousand streams, not millions of empty ones
        member = unpack(source[at:], new(), share, room=room)
        kept.append(member.content)
        room -= len(member.content)
        at += member.consumed
        if member.cut or member.flaw:
            return Unpacked(b"".join(kept), cut=member.cut, flaw=member.flaw, streams=streams)
        if not content.startswith(magic, at):
            padding = _PADDING.match(content, at)
            at = padding.end() if padding else at
        if not content.startswith(magic, at):
            return Unpacked(b"".join(kept), flaw=MORE_BEHIND if at < len(content) else "", streams=streams)


_SUFFIXES = {
    ".tgz": ".tar", ".taz": ".tar", ".tbz": ".tar", ".tbz2": ".tar", ".txz": ".tar", ".svgz": ".svg", ".emz": ".emf",
    ".wmz": ".wmf", ".mso": "", ".gz": "", ".gzip": "", ".z": "", ".bz2": "", ".bz": "", ".xz": "",
}  # fmt: skip


def unpacked_name(name: str) -> str:
    """What unpackers call the file in the compressed file `name`: its name without the suffix."""
    stem, dot, last = name.rpartition(".")
    suffix = (dot + last).lower()
    return stem + _SUFFIXES[suffix] if suffix in _SUFFIXES else name


def new_bzip2() -> Decompressor:
    return bz2.BZ2Decompressor()


def new_xz() -> Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY_BYTES)


def new_lzma(file_header: bytes) -> Decompressor:
    """One that was given the 13 bytes of the header of a `.lzma` file. Raises LZMAError where they are not to be followed."""
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MEMORY_BYTES)
    decompressor.decompress(file_header)
    return decompressor


def entries_of(unpacked: Unpacked, *names: str) -> list[Entry]:
    """The one file, by each of its names that tells something else."""
    return [Entry(name, unpacked.content, cut=unpacked.cut) for name in telling(n for n in names if n)]
