"""The names in a 7z archive (7zFormat.txt of the LZMA SDK). Listed only: its files are never unpacked here, so what clamd
cannot unpack, nobody has seen.

The header stands at the end and is itself packed as a rule, by LZMA; the standard library unpacks that.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.scan.filetypes import behind
from gateway.scan.inside.containers._sevenzip_coders import COPY, LZMA, LZMA2, Coder, Folder
from gateway.scan.inside.entry import ENTRY_BYTES, FILES, Entry, Share, Unscannable

TYPES = frozenset({"7z"})

_MAGIC = b"7z\xbc\xaf\x27\x1c"
_CANNOT = "7z cannot be listed"
_PIECE = 64 * 1024
_HEADERS = 2
"""The header, and the one that says how it is packed. clamd and 7-Zip open none that is packed twice, others may."""

# Property ids.
_END, _HEADER, _ARCHIVE_PROPERTIES, _ADDITIONAL_STREAMS, _MAIN_STREAMS, _FILES = 0, 1, 2, 3, 4, 5
_PACK_INFO, _UNPACK_INFO, _SUBSTREAMS, _SIZE, _CRC, _FOLDER = 6, 7, 8, 9, 10, 11
_UNPACK_SIZE, _UNPACK_STREAMS, _EMPTY_STREAM, _EMPTY_FILE, _NAMES, _ENCODED = 12, 13, 14, 15, 17, 23


class _Broken(Exception):
    """What stands there is no 7z header."""


@dataclass(slots=True)
class _Streams:
    """Where packed streams lie (behind the signature header), and how to unpack them."""

    position: int
    packed: list[int]
    folders: list[Folder]

    @property
    def encrypted(self) -> bool:
        return any(folder.encrypted for folder in self.folders)

    @property
    def flaw(self) -> str:
        """Why not all can be seen: a scanner cannot unpack it. Empty when one can, or has to have the password first."""
        unread = (f.words for f in self.folders if not f.encrypted and not f.read_by_clamd)
        return next((f"packed as {words}, which scanners do not read" for words in unread), "")


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """Every file by its name, without content unless it is empty. Raises Unscannable, for what clamd does not read last."""
    start = behind.seven_zip_start(content)
    if start > 0:  # a program that unpacks it stands before
        content = content[start:]
    try:
        found = _found(content, share)
        if found is None:
            share.file()
            yield Entry("", None, encrypted=True)
            return
        streams, names, empty, directories = found
    except (_Broken, lzma.LZMAError, struct.error, ValueError) as error:
        raise Unscannable(_CANNOT) from error
    encrypted = bool(streams and streams.encrypted)
    for number, name in enumerate(names):
        if number in directories:
            continue
        share.file()
        yield Entry(name, b"" if number in empty and not encrypted else None, encrypted=encrypted)
    if streams and streams.flaw:
        raise Unscannable(streams.flaw)


_Files = tuple[_Streams | None, list[str], set[int], set[int]]


def _found(content: bytes, share: Share) -> _Files | None:
    """Streams, names, which files are empty, which are directories; None when the names are encrypted."""
    header = _end_header(content)
    for _ in range(_HEADERS):
        if not header:
            return None, [], set(), set()
        reader = _Reader(header, share)
        kind = reader.byte()
        if kind == _HEADER:
            return _read_header(reader)
        if kind != _ENCODED:
            break
        streams = _read_streams(reader)
        if streams.encrypted:
            return None
        header = _unpacked(content, streams, share)
    raise _Broken


def _end_header(content: bytes) -> bytes:
    if not content.startswith(_MAGIC):
        raise _Broken
    crc, offset, size, header_crc = struct.unpack_from("<LQQL", content, 8)
    if crc != zlib.crc32(content[12:32]):
        raise _Broken
    header = content[32 + offset : 32 + offset + size] if offset + size <= len(content) else b""
    if len(header) != size or zlib.crc32(header) != header_crc:
        raise _Broken
    return header


def _unpacked(content: bytes, streams: _Streams, share: Share) -> bytes:
    """The header that a chain of one coder packed, piece by piece and never more than it says."""
    if len(streams.folders) != 1 or len(streams.folders[0].coders) != 1 or len(streams.packed) != 1:
        raise _Broken
    folder = streams.folders[0]
    size = folder.sizes[0]
    if size > ENTRY_BYTES:
        raise _Broken
    start = 32 + streams.position
    packed = content[start : start + streams.packed[0]]
    coder = folder.coders[0]
    if coder.method == COPY:
        share.take(size)
        return packed[:size]
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_filter(coder, size)])
    pieces, left = [], size
    while left and not decompressor.eof:
        piece = decompressor.decompress(packed, min(left, _PIECE))
        packed = b""
        share.take(len(piece))
        left -= len(piece)
        pieces.append(piece)
        if not piece:
            break
    if left:
        raise _Broken
    return b"".join(pieces)


def _filter(coder: Coder, size: int) -> dict[str, int]:
    """No larger a dictionary than what comes out of it: four gigabytes may be asked for."""
    largest = max(4096, size)
    if coder.method == LZMA and len(coder.properties) == 5:
        packed, dictionary = struct.unpack("<BL", coder.properties)
        lc, lp, pb = packed % 9, packed // 9 % 5, packed // 45
        return {"id": lzma.FILTER_LZMA1, "dict_size": max(4096, min(dictionary, largest)), "lc": lc, "lp": lp, "pb": pb}
    if coder.method == LZMA2:
        return {"id": lzma.FILTER_LZMA2, "dict_size": largest}
    raise _Broken


class _Reader:
    """Reads a header from its start. Every method raises _Broken behind the end."""

    __slots__ = ("_at", "_header", "_share")

    def __init__(self, header: bytes, share: Share) -> None:
        self._header, self._at, self._share = header, 0, share

    @property
    def left(self) -> int:
        return len(self._header) - self._at

    def byte(self) -> int:
        return self.take(1)[0]

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise _Broken
        self._at += size
        return self._header[self._at - size : self._at]

    def number(self) -> int:
        """One to nine octets: the leading ones of the first say how many follow, low ones first."""
        first = self.byte()
        value = 0
        for i in range(8):
            if not first & (0x80 >> i):
                return value | (first & ((0x80 >> i) - 1)) << (8 * i)
            value |= self.byte() << (8 * i)
        return value

    def count(self) -> int:
        """A number of things: no more than files are looked at, and each takes a bit of what is left at least."""
        value = self.number()
        if value > self.left * 8:
            raise _Broken
        if value > FILES:
            raise Unscannable(f"more than {FILES} files")
        self._share.check_time()
        return value

    def bits(self, count: int) -> list[bool]:
        octets = self.take((count + 7) // 8)
        return [bool(octets[i >> 3] & (0x80 >> (i & 7))) for i in range(count)]

    def optional_bits(self, count: int) -> list[bool]:
        return [True] * count if self.byte() else self.bits(count)

    def skip(self) -> None:
        self.take(self.number())

    def digests(self, count: int) -> None:
        self.take(4 * sum(self.optional_bits(count)))


def _read_header(reader: _Reader) -> _Files:
    kind = reader.byte()
    if kind == _ARCHIVE_PROPERTIES:
        while reader.number() != _END:
            reader.skip()
        kind = reader.byte()
    if kind == _ADDITIONAL_STREAMS:  # nothing writes them; 7-Zip reads on, clamd does not
        raise Unscannable("streams that scanners do not read")
    streams = None
    if kind == _MAIN_STREAMS:
        streams = _read_streams(reader)
        kind = reader.byte()
    if kind == _END:
        return streams, [], set(), set()
    if kind != _FILES:
        raise _Broken
    names, empty, directories = _read_files(reader)
    return streams, names, empty, directories


def _read_files(reader: _Reader) -> tuple[list[str], set[int], set[int]]:
    count = reader.count()
    names: list[str] = []
    without_stream: list[int] = []
    files: set[int] = set()
    while (kind := reader.number()) != _END:
        size = reader.number()
        body = _Reader(reader.take(size), reader._share)  # noqa: SLF001 - its own kind
        if kind == _EMPTY_STREAM:
            without_stream = [i for i, flag in enumerate(body.bits(count)) if flag]
        elif kind == _EMPTY_FILE:
            files = {i for i, flag in zip(without_stream, body.bits(len(without_stream)), strict=True) if flag}
        elif kind == _NAMES:
            names = _read_names(body)
    if len(names) != count:
        raise _Broken
    return names, set(without_stream), set(without_stream) - files


def _read_names(body: _Reader) -> list[str]:
    if body.byte():  # names in an additional stream: nothing writes that
        raise _Broken
    text = body.take(body.left).decode("utf-16-le", "replace")
    if text and not text.endswith("\0"):
        raise _Broken
    return text.split("\0")[:-1]


def _read_streams(reader: _Reader) -> _Streams:
    streams = _Streams(0, [], [])
    while (kind := reader.byte()) != _END:
        if kind == _PACK_INFO:
            _read_pack_info(reader, streams)
        elif kind == _UNPACK_INFO:
            _read_unpack_info(reader, streams)
        elif kind == _SUBSTREAMS:
            _read_substreams(reader, streams)
        else:
            raise _Broken
    return streams


def _read_pack_info(reader: _Reader, streams: _Streams) -> None:
    streams.position = reader.number()
    count = reader.count()
    while (kind := reader.byte()) != _END:
        if kind == _SIZE:
            streams.packed = [reader.number() for _ in range(count)]
        elif kind == _CRC:
            reader.digests(count)
        else:
            raise _Broken


def _read_unpack_info(reader: _Reader, streams: _Streams) -> None:
    if reader.byte() != _FOLDER:
        raise _Broken
    count = reader.count()
    if reader.byte():  # folders in an additional stream
        raise _Broken
    streams.folders = [_read_folder(reader) for _ in range(count)]
    if reader.byte() != _UNPACK_SIZE:
        raise _Broken
    for folder in streams.folders:
        folder.sizes = [reader.number() for coder in folder.coders for _ in range(coder.outputs)]
    while (kind := reader.byte()) != _END:
        if kind != _CRC:
            raise _Broken
        defined = reader.optional_bits(count)
        reader.take(4 * sum(defined))
        for folder, has_crc in zip(streams.folders, defined, strict=True):
            folder.has_crc = has_crc


def _read_folder(reader: _Reader) -> Folder:
    coders = [_read_coder(reader) for _ in range(reader.count())]
    inputs, outputs = sum(c.inputs for c in coders), sum(c.outputs for c in coders)
    if not 0 < outputs <= inputs + 1 or max(inputs, outputs) > 64:  # 7-Zip takes 32 at most
        raise _Broken
    packed = inputs - (outputs - 1)
    bonds = [reader.number() for _ in range(2 * (outputs - 1) + (packed if packed > 1 else 0))]
    return Folder(coders, [], tuple(bonds))


def _read_coder(reader: _Reader) -> Coder:
    """The first octet: 4 bits of the id's length, then whether it has several streams, then properties."""
    flags = reader.byte()
    method = reader.take(flags & 0x0F)
    inputs = outputs = 1
    if flags & 0x10:
        inputs, outputs = reader.count(), reader.count()
    properties = reader.take(reader.number()) if flags & 0x20 else b""
    if flags & 0xC0:
        raise _Broken
    return Coder(method, properties, inputs, outputs)


def _read_substreams(reader: _Reader, streams: _Streams) -> None:
    kind = reader.byte()
    if kind == _UNPACK_STREAMS:
        for folder in streams.folders:
            folder.streams = reader.count()
        if sum(folder.streams for folder in streams.folders) > FILES:
            raise Unscannable(f"more than {FILES} files")
        kind = reader.byte()
    if kind == _SIZE:
        for folder in streams.folders:
            for _ in range(folder.streams - 1):
                reader.number()
        kind = reader.byte()
    if kind == _CRC:
        reader.digests(sum(f.streams for f in streams.folders if f.streams != 1 or not f.has_crc))
        kind = reader.byte()
    if kind != _END:
        raise _Broken
