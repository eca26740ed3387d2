"""ZIP (APPNOTE), and all that is one inside: Java and Android programs, OOXML, ODF, EPUB.

The directory at the end is read; what stands before every file must say the same, and all bytes must belong to the one
archive: programs that read from the front, or recover, would see other files (CVE-2026-115905). What is wrong is told
once the files have been given: the first flaw.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.scan.filetypes import zip_directory, zipped
from gateway.scan.inside.containers import _unpack, _zip_layout
from gateway.scan.inside.containers._zip_layout import Local
from gateway.scan.inside.entry import ENTRY_BYTES, FILES, RATIO, Entry, Share, Unscannable
from gateway.scan.inside.names import telling

TYPES = frozenset({"zip", "jar", "apk", "appx", *zipped.DOCUMENTS})

_STORED, _DEFLATED, _BZIP2, _LZMA, _XZ = 0, 8, 12, 14, 95
_METHODS = {
    1: "shrunk", 2: "reduced", 3: "reduced", 4: "reduced", 5: "reduced", 6: "imploded", 9: "deflate64", 10: "PKWARE imploded",
    16: "CMPSC", 18: "TERSE", 19: "LZ77", 20: "zstd", 93: "zstd", 94: "MP3", 96: "JPEG", 97: "WavPack", 98: "PPMd",
}  # fmt: skip
_SELDOM_READ = {_LZMA: "lzma", _XZ: "xz"}
"""Looked into here; but what clamd cannot unpack, it calls clean."""
_UNICODE_PATH = 0x7075


@dataclass(slots=True)
class _Reading:
    """One archive being read; `flaw` is the first thing that was wrong with it."""

    data: bytes
    share: Share
    shift: int
    flaw: str = ""
    view: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self.view = memoryview(self.data)

    def found(self, flaw: str) -> None:
        self.flaw = self.flaw or flaw


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """Every file of the directory, by each of its names; folders are none."""
    directory = zip_directory.find(content)
    if directory is None:
        raise Unscannable("a ZIP without its directory")
    reading = _Reading(content, share, directory.shift)
    if directory.split:
        reading.found("a part of a split ZIP")
    headers = list(zip_directory.entries(content, directory, FILES + 1))
    locals_ = [_zip_layout.local_of(content, header, directory.shift) for header in headers]
    if len(headers) <= FILES:
        reading.found(_zip_layout.flaw(content, directory, headers, locals_))
    for header, local in zip(headers, locals_, strict=True):
        share.file()
        yield from _files(reading, header, local)
    if reading.flaw:
        raise Unscannable(reading.flaw)


def _files(reading: _Reading, header: zip_directory.Entry, local: Local | None) -> Iterator[Entry]:
    unpacked = None
    if local is None:
        reading.found(_zip_layout.DISAGREE)
    elif not header.encrypted:
        unpacked = _unpacked(reading, header, local)
    if header.raw_name.endswith(b"/") and (unpacked is None or not unpacked.content):
        return
    for name in _names(header):
        if unpacked is None:
            yield Entry(name, None, encrypted=header.encrypted)
        else:
            yield Entry(name, unpacked.content, cut=unpacked.cut)


def _names(header: zip_directory.Entry) -> tuple[str, ...]:
    """The header's and that of Info-ZIP's Unicode path (4.6.9), which some programs prefer, where it promises another type."""
    if not header.extra:
        return (header.name,)
    unicode_path = zip_directory.extra_field(header.extra, _UNICODE_PATH)[5:].decode("utf-8", "replace")
    if not unicode_path:
        return (header.name,)
    return telling((unicode_path, header.name))


def _unpacked(reading: _Reading, header: zip_directory.Entry, local: Local) -> _unpack.Unpacked | None:
    """The file's bytes; None where nobody here can unpack them."""
    source = reading.view[local.start : local.start + header.stored_bytes]
    if header.method == _STORED:
        return _stored(reading, header, source)
    if header.method in _SELDOM_READ:
        reading.found(f"packed as {_SELDOM_READ[header.method]}, which scanners do not read")
    decompressor, source = _decompressor(reading, header, source)
    if decompressor is None:
        return None
    unpacked = _unpack.unpack(source, decompressor, reading.share)
    reading.found(unpacked.flaw or _size_flaw(header, unpacked, len(source)))
    return unpacked


def _size_flaw(header: zip_directory.Entry, unpacked: _unpack.Unpacked, source_bytes: int) -> str:
    """What was not unpacked is believed where it accuses itself."""
    if not unpacked.cut:
        agree = len(unpacked.content) == header.size_bytes and unpacked.consumed == source_bytes
        return "" if agree else _zip_layout.DISAGREE
    if header.size_bytes <= len(unpacked.content):
        return _zip_layout.DISAGREE
    return _unpack.TOO_DENSE if header.size_bytes > RATIO * source_bytes else ""


def _stored(reading: _Reading, header: zip_directory.Entry, source: memoryview) -> _unpack.Unpacked:
    if header.size_bytes != header.stored_bytes:
        reading.found(_zip_layout.DISAGREE)
    kept = source[:ENTRY_BYTES]
    reading.share.take(len(kept))
    return _unpack.Unpacked(bytes(kept), cut=len(source) > ENTRY_BYTES)


def _decompressor(
    reading: _Reading, header: zip_directory.Entry, source: memoryview
) -> tuple[_unpack.Decompressor | None, memoryview]:
    """What unpacks the file, and what it is fed."""
    if header.method == _DEFLATED:
        return _unpack.Inflate(-15), source
    if header.method == _BZIP2:
        return _unpack.new_bzip2(), source
    if header.method == _XZ:
        return _unpack.new_xz(), source
    if header.method == _LZMA:
        return _lzma(reading, header, source)
    reading.found(f"packed as {_METHODS.get(header.method, f'method {header.method}')}, which cannot be looked into")
    return None, source


def _lzma(
    reading: _Reading, header: zip_directory.Entry, source: memoryview
) -> tuple[_unpack.Decompressor | None, memoryview]:
    """5.8.8: version, size of the properties, the properties; then a stream that ends with a mark if bit 1 is set, or where
    the declared size says. Given to liblzma as its old file format: that alone heeds a limit to the dictionary.
    """
    size = 0xFFFFFFFFFFFFFFFF if header.flags & 0x02 else header.size_bytes
    if int.from_bytes(source[2:4], "little") != 5:
        reading.found(_unpack.BROKEN)
        return None, source
    try:
        return _unpack.new_lzma(bytes(source[4:9]) + struct.pack("<Q", size)), source[9:]
    except lzma.LZMAError:  # such properties are none, or ask for too much memory
        reading.found(_unpack.BROKEN)
        return None, source
