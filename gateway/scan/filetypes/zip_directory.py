"""The central directory of a ZIP file (APPNOTE sections 4.3.12 to 4.3.16), read within caps and believed in nothing.

Not `zipfile`: it reads the whole directory before it says anything, and a directory made for the purpose keeps it busy
for seconds and takes half a gigabyte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_HEADER = struct.Struct("<4s6H3L5H2L")
_END_WITHIN_BYTES = _END.size + 0xFFFF
_BESIDE_64_BYTES = _END_64.size + _LOCATOR_64.size
_ZIP64_EXTRA = 0x0001
_FIELDS_READ = 64
"""Of one extra field block; real ones have five. A block may hold 16,000 empty ones, and ten thousand files share it."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory lies in the file: counted back from its end record, because what stands before an
    archive shifts its offsets by `shift` bytes. `tail` is where its end record says that the file ends, `count` how many
    files it promises. `contradicts_itself`: other readers may find another directory, or none; `split`: other disks are named.
    """

    start: int
    end: int
    tail: int
    shift: int
    count: int
    contradicts_itself: bool
    split: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One file header of the directory. Sizes and `offset`, where its local header is said to be, are as declared, those
    of ZIP64 included. `at_end` is where the next header begins.
    """

    raw_name: bytes
    flags: int
    method: int
    stored_bytes: int
    size_bytes: int
    offset: int
    extra: bytes
    at_end: int

    @property
    def name(self) -> str:
        """UTF-8 where it is some, flagged or not (macOS and Linux set no flag): nobody's CP437 looks like it."""
        try:
            return self.raw_name.decode()
        except UnicodeDecodeError:
            return self.raw_name.decode("cp437")

    @property
    def encrypted(self) -> bool:
        """4.4.4 bits 0 and 6; method 99 is AES."""
        return bool(self.flags & 0x41) or self.method == 99


def find(data: bytes) -> Directory | None:
    """The directory of the archive that ends last in `data`, None when there is none."""
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - _END_WITHIN_BYTES))
    if at < 0 or at + _END.size > len(data):
        return None
    _, disk, start_disk, here, count, size, offset, comment = _END.unpack_from(data, at)
    end, disputed, split = at, False, bool((disk or start_disk) and 0xFFFF not in (disk, start_disk))
    beside = _beside(data, at)
    if beside is not None:
        end = at - _BESIDE_64_BYTES
        *large, located = beside
        disputed = _differ((here, count, size, offset), large)
        here, count, size, offset = large
        disputed = disputed or located != offset + size
    if size > end:
        return None
    start = end - size
    return Directory(
        start, end, at + _END.size + comment, start - offset, count, disputed or here != count or offset > start, split
    )


def _beside(data: bytes, at: int) -> tuple[int, int, int, int, int] | None:
    """What the ZIP64 end record before the end record at `at` says: both counts, size and offset, and where its locator
    says it is. The record has no extensible data in it: nobody writes some.
    """
    where = at - _BESIDE_64_BYTES
    if where < 0 or data[where : where + 4] != b"PK\x06\x06" or data[at - 20 : at - 16] != b"PK\x06\x07":
        return None
    fields = _END_64.unpack_from(data, where)
    return fields[6], fields[7], fields[8], fields[9], _LOCATOR_64.unpack_from(data, at - _LOCATOR_64.size)[2]


def _differ(plain: Sequence[int], large: Sequence[int]) -> bool:
    """4.4.1.4: a field of the end record is all ones, or says what the ZIP64 one says."""
    ones = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    return any(few not in (one, many) for few, many, one in zip(plain, large, ones, strict=True))


def entries(data: bytes, directory: Directory, at_most: int) -> Iterator[Entry]:
    """Its file headers in order; ends at the first thing that is none."""
    at = directory.start
    for _ in range(at_most):
        if at + _HEADER.size > directory.end:
            return
        fields = _HEADER.unpack_from(data, at)
        if fields[0] != b"PK\x01\x02":
            return
        at += _HEADER.size
        yield _entry(data, at, fields)
        at += fields[10] + fields[11] + fields[12]


def _entry(data: bytes, at: int, fields: tuple[Any, ...]) -> Entry:
    name_bytes, extra_bytes, comment_bytes = fields[10:13]
    stored, size, offset = fields[8], fields[9], fields[16]
    name_end = at + name_bytes
    extra = data[name_end : name_end + extra_bytes]
    if 0xFFFFFFFF in (stored, size, offset):
        size, stored, offset = large_numbers(extra, (size, stored, offset))
    end = name_end + extra_bytes + comment_bytes
    return Entry(data[at:name_end], fields[3], fields[4], stored, size, offset, extra, end)


def large_numbers(extra: bytes, plain: tuple[int, ...]) -> tuple[int, ...]:
    """4.5.3: the ZIP64 extra field holds those of `plain` (size, stored size, offset) that are all ones, in this order."""
    large = extra_field(extra, _ZIP64_EXTRA)
    found = list(plain)
    for i, number in enumerate(plain):
        if number == 0xFFFFFFFF and len(large) >= 8:
            found[i], large = int.from_bytes(large[:8], "little"), large[8:]
    return tuple(found)


def extra_field(extra: bytes, wanted: int) -> bytes:
    """The first extra field with the header id `wanted` (4.5.1), empty when there is none."""
    at = 0
    for _ in range(_FIELDS_READ):
        if at + 4 > len(extra):
            break
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == wanted:
            return extra[at + 4 : at + 4 + size]
        at += 4 + size
    return b""
