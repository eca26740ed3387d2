"""OLE compound files ([MS-CFB]) read with olefile, within bounds that olefile has not.

olefile believes the numbers in a header: a megabyte that names four billion FAT sectors, or one stream of four gigabytes in a
FAT that runs in a circle, keeps it busy until memory ends. And it raises IndexError, struct.error and others on made-up files.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import olefile

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENTRIES = 10_000
"""Streams and storages of one file; a message with a hundred attachments has about 5,000."""
_IN_HEADER = 109
"""FAT sectors that the header itself names."""


class BrokenCompound(Exception):
    """A compound file that cannot be read, or is larger within than it can be."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream by its path of storages. `size_bytes` is never more than the file's own size."""

    path: tuple[str, ...]
    size_bytes: int
    entry: Any


class Compound:
    """A compound file that is open. Make it with `opened`."""

    __slots__ = ("_ole", "class_id", "storages", "streams")

    def __init__(self, ole: _Bounded) -> None:
        self._ole = ole
        self.class_id = str(ole.root.clsid).upper()
        self.streams: list[Stream] = []
        self.storages: list[tuple[str, ...]] = []
        todo: list[tuple[Any, tuple[str, ...]]] = [(ole.root, ())]
        while todo:
            storage, path = todo.pop()
            for kid in storage.kids:
                place = (*path, str(kid.name))
                if kid.entry_type == olefile.STGTY_STREAM:
                    self.streams.append(Stream(place, kid.size, kid))
                else:
                    self.storages.append(place)
                    todo.append((kid, place))

    def find(self, name: str) -> Stream | None:
        """The stream at the top with this name, case aside."""
        wanted = (name.lower(),)
        return next((stream for stream in self.streams if tuple(map(str.lower, stream.path)) == wanted), None)

    def read(self, stream: Stream, most: int) -> bytes:
        """The first `most` octets of a stream, or fewer where it ends. Raises BrokenCompound."""
        with _guard():
            return self._ole.beginning(stream.entry, most)


@contextlib.contextmanager
def opened(data: bytes) -> Iterator[Compound]:
    """The compound file `data` for the time of a `with`. Raises BrokenCompound, inside the `with` as well."""
    if not data.startswith(MAGIC) or not _believable(data):
        raise BrokenCompound
    with _guard():
        ole = _Bounded(io.BytesIO(data))
        compound = Compound(ole)
    with contextlib.closing(ole):
        yield compound


def _believable(data: bytes) -> bool:
    """The counts in the header fit the file's size: a FAT sector speaks for a sectorful of sectors."""
    sector = 1 << (data[30] & 0x0F) if len(data) >= 512 else 0
    if sector not in (512, 4096):
        return False
    sectors = len(data) // sector
    fat, mini_fat, difat = (int.from_bytes(data[at : at + 4], "little") for at in (44, 64, 72))
    return fat <= max(_IN_HEADER, 2 * sectors // (sector // 4)) and mini_fat <= sectors and difat <= sectors


class _Bounded(olefile.OleFileIO):  # type: ignore[misc]  # olefile has no types
    """olefile, counting. Its own check for streams that share sectors is quadratic, and only logs."""

    loaded = 0

    def _load_direntry(self, sid: int) -> Any:
        self.loaded += 1
        if self.loaded > ENTRIES:
            raise BrokenCompound
        entry = super()._load_direntry(sid)
        entry.size = min(entry.size, self._filesize)
        return entry

    def _check_duplicate_stream(self, first_sect: int, minifat: bool = False) -> None:
        """Nothing: streams that share sectors are read like others."""

    def beginning(self, entry: Any, most: int) -> bytes:
        """A long stream is not read to its end; a short one lies in the mini stream, which is told by its size."""
        size = min(entry.size, max(most, self.minisectorcutoff))
        return bytes(self._open(entry.isectStart, size).read(most))


@contextlib.contextmanager
def _guard() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # olefile raises IndexError, struct.error and others on made-up files
        raise BrokenCompound from error
