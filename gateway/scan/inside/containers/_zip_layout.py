"""Whether a ZIP file is one archive and nothing else: its headers agree, no files overlap, no bytes belong to a second one.

Two readers of a file that breaks this see two archives, and one of them is the recipient's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gateway.scan.filetypes.zip_directory import Directory, Entry, large_numbers

DISAGREE = "headers disagree"
OVERLAP = "files overlap"
MORE_THAN_ONE = "more than one archive"
INCOMPLETE = "incomplete"
LARGE_BEFORE = "ZIP64 sizes before a file, which scanners do not read"

_LOCAL = struct.Struct("<4s5H3L2H")
_SIGNATURE = b"PK\x03\x04"
_ENCRYPTED, _SIZES_FOLLOW = 0x0001, 0x0008
_SIGNATURES_READ = 100
"""In bytes that are no file's; more are no program's code."""
_METHODS = frozenset({*range(13), 14, 16, 18, 19, 20, *range(93, 100)})


@dataclass(frozen=True, slots=True)
class Local:
    """The local header at `header`; the file's bytes are from `start`. `agrees` with the directory's header."""

    header: int
    start: int
    agrees: bool
    large: bool = False
    """Its sizes stand in the ZIP64 field alone (4.5.3). clamd then calls the file clean without having unpacked it."""


def local_of(data: bytes, entry: Entry, shift: int) -> Local | None:
    """What stands before a file's bytes (4.3.7), None when there is no header or it leads out of the file."""
    at = entry.offset + shift
    if not 0 <= at <= len(data) - _LOCAL.size:
        return None
    magic, _, flags, method, _, _, _, stored, size, name_bytes, extra_bytes = _LOCAL.unpack_from(data, at)
    name_end = at + _LOCAL.size + name_bytes
    if magic != _SIGNATURE or name_end + extra_bytes > len(data):
        return None
    start = name_end + extra_bytes
    large = 0xFFFFFFFF in (size, stored)
    if large:
        size, stored = large_numbers(data[name_end:start], (size, stored))
    agrees = (
        data[at + _LOCAL.size : name_end] == entry.raw_name
        and method == entry.method
        and not (flags ^ entry.flags) & _ENCRYPTED
        and _sizes_agree(flags, (size, stored), entry)
    )
    return Local(at, start, agrees, large and not flags & _SIZES_FOLLOW)


def _sizes_agree(flags: int, sizes: tuple[int, int], entry: Entry) -> bool:
    """4.4.4 bit 3: what was not known yet is zero here and stands behind the data. macOS knows the size, but not the stored."""
    told = (entry.size_bytes, entry.stored_bytes)
    return all(here == there or (not here and flags & _SIZES_FOLLOW) for here, there in zip(sizes, told, strict=True))


def flaw(data: bytes, directory: Directory, entries: Sequence[Entry], local_headers: Sequence[Local | None]) -> str:
    """The first thing that keeps the file from being one archive, empty when nothing does."""
    if _directory_disagrees(directory, entries) or any(local is None or not local.agrees for local in local_headers):
        return DISAGREE
    spans = sorted(
        (local.header, local.start + entry.stored_bytes)
        for entry, local in zip(entries, local_headers, strict=True)
        if local is not None
    )
    spans.append((directory.start, directory.end))
    if any(end > start for (_, end), (start, _) in pairwise(spans)):
        return OVERLAP
    if spans[0][0] and data.startswith(_SIGNATURE):
        return MORE_THAN_ONE
    gaps = [(0, spans[0][0]), *((end, start) for (_, end), (start, _) in pairwise(spans)), (directory.end, len(data))]
    if any(_holds_a_file(data, start, end) for start, end in gaps):
        return MORE_THAN_ONE
    return LARGE_BEFORE if any(local is not None and local.large for local in local_headers) else ""


def _directory_disagrees(directory: Directory, entries: Sequence[Entry]) -> bool:
    """Some readers count the files, others read up to the end record."""
    end = entries[-1].at_end if entries else directory.start
    return directory.contradicts_itself or directory.count != len(entries) or end != directory.end


def _holds_a_file(data: bytes, start: int, end: int) -> bool:
    """Something there can be read as a local header: programs that unpack themselves have the bare signature in their code."""
    at = start - 1
    for _ in range(_SIGNATURES_READ):
        at = data.find(_SIGNATURE, at + 1, end)
        if at < 0:
            return False
        if at + _LOCAL.size < len(data):
            fields = _LOCAL.unpack_from(data, at)
            if fields[3] in _METHODS and 0 < fields[9] <= len(data) - at - _LOCAL.size:
                return True
    return True
