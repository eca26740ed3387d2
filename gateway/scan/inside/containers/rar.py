"""The names in a RAR archive, version 4 and 5 (the technotes of its maker). Listed only: nothing here unpacks RAR."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.scan.filetypes import behind
from gateway.scan.inside import rar_names
from gateway.scan.inside.entry import Entry, Share, Unscannable
from gateway.scan.inside.names import telling

TYPES = frozenset({"rar"})

_RAR4, _RAR5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_CANNOT = "rar cannot be listed"
_A_PART = "a part of a rar"
_HEADER_BYTES = 2 * 1024 * 1024
_NAME_BYTES = 4096


class _Broken(Exception):
    """What stands there is no header."""


@dataclass(frozen=True, slots=True)
class _File:
    names: tuple[str, ...]
    encrypted: bool
    directory: bool


@dataclass(slots=True)
class _Archive:
    """What the walk has learnt beside the files."""

    part: bool = False
    locked: bool = False


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """Every file by its names, without content. Raises Unscannable."""
    archive = _Archive()
    try:
        for file in _files(content, archive, share):
            if file.directory:
                continue
            for name in telling(file.names):
                share.file()
                yield Entry(name, None, encrypted=file.encrypted)
    except (_Broken, struct.error) as error:
        raise Unscannable(_CANNOT) from error
    if archive.locked:
        share.file()
        yield Entry("", None, encrypted=True)
    if archive.part:
        raise Unscannable(_A_PART)


def _files(content: bytes, archive: _Archive, share: Share) -> Iterator[_File]:
    """From the archive's beginning: a program that unpacks it may stand before."""
    at = 0 if content.startswith((_RAR4, _RAR5)) else behind.rar_start(content)
    if at < 0:
        raise _Broken
    if content.startswith(_RAR5, at):
        return _rar5(content, at + len(_RAR5), archive, share)
    return _rar4(content, at + len(_RAR4), archive, share)


# Version 4


_MAIN4, _FILE4, _SERVICE4, _END4 = 0x73, 0x74, 0x7A, 0x7B
_HEAD4 = struct.Struct("<HBHH")
_FILE_HEAD4 = struct.Struct("<LLBLLBBHL")


def _rar4(content: bytes, at: int, archive: _Archive, share: Share) -> Iterator[_File]:
    """Blocks: CRC 2, type 1, flags 2, size 2; with flag 0x8000, and for files, a size of the data behind."""
    while at < len(content):
        share.check_time()
        crc, kind, flags, size = _HEAD4.unpack_from(content, at)
        header = content[at : at + size]
        if size < _HEAD4.size or len(header) != size:
            raise _Broken
        if kind == _MAIN4:
            archive.part = bool(flags & 0x0001)
            archive.locked = bool(flags & 0x0080)
            if archive.locked:
                return
        elif kind == _END4:
            return
        elif not 0x72 <= kind <= 0x7B:
            raise _Broken
        body = 0
        if kind in (_FILE4, _SERVICE4):
            file, body = _file4(header, crc, flags)
            if kind == _FILE4:
                archive.part = archive.part or bool(flags & 0x0003)
                yield file
        elif flags & 0x8000:
            (body,) = struct.unpack_from("<L", header, _HEAD4.size)
        at += size + body
    if at > len(content):
        raise _Broken


def _file4(header: bytes, crc: int, flags: int) -> tuple[_File, int]:
    """The file, and the size of what is packed behind it. Raises _Broken where the header's CRC is wrong."""
    fields = _FILE_HEAD4.unpack_from(header, _HEAD4.size)
    body, name_size = fields[0], fields[7]
    at = _HEAD4.size + _FILE_HEAD4.size
    if flags & 0x0100:
        (high,) = struct.unpack_from("<L", header, at)
        body += high << 32
        at += 8
    raw = header[at : at + name_size]
    covered = header[2 : at + name_size] if flags & 0x0008 else header[2:]  # not the comment of before version 3
    if zlib.crc32(covered) & 0xFFFF != crc:
        raise _Broken
    names = rar_names.of_rar4(raw[:_NAME_BYTES], unicode=bool(flags & 0x0200))
    if flags & 0x0800:  # an older version of a file: `setup.exe;1`
        names = tuple(re.sub(r";\d+$", "", name) for name in names)
    return _File(names, encrypted=bool(flags & 0x0004), directory=flags & 0xE0 == 0xE0), body


# Version 5

_MAIN5, _FILE5, _SERVICE5, _ENCRYPTION5, _END5 = 1, 2, 3, 4, 5


class _Fields:
    """The fields of one header in order. Raises _Broken behind its end."""

    __slots__ = ("_at", "_octets")

    def __init__(self, octets: bytes) -> None:
        self._octets, self._at = octets, 0

    @property
    def left(self) -> int:
        return len(self._octets) - self._at

    def number(self) -> int:
        """A vint: seven bits an octet, low ones first, at most ten octets."""
        value = 0
        for i in range(10):
            octet = self.take(1)[0]
            value |= (octet & 0x7F) << (7 * i)
            if not octet & 0x80:
                return value
        raise _Broken

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise _Broken
        self._at += size
        return self._octets[self._at - size : self._at]


def _rar5(content: bytes, at: int, archive: _Archive, share: Share) -> Iterator[_File]:
    """Headers: CRC 4, size, type, flags, then an extra area and data behind, as flags say. An end header is a must."""
    while True:
        share.check_time()
        header, behind = _header5(content, at)
        fields = _Fields(header)
        kind, flags = fields.number(), fields.number()
        extra = fields.number() if flags & 0x01 else 0
        body = fields.number() if flags & 0x02 else 0
        if kind == _ENCRYPTION5:
            archive.locked = True
            return
        if kind == _MAIN5:
            archive.part = bool(fields.number() & 0x01)
        elif kind == _END5:
            archive.part = archive.part or bool(fields.number() & 0x01)
            return
        elif kind == _FILE5:
            archive.part = archive.part or bool(flags & 0x18)
            yield _file5(fields, extra)
        at = behind + body


def _header5(content: bytes, at: int) -> tuple[bytes, int]:
    """A header without CRC and size, and where it ends. Raises _Broken where its CRC is wrong."""
    fields = _Fields(content[at : at + 4 + 10])
    crc = int.from_bytes(fields.take(4), "little")
    before = fields.left
    size = fields.number()
    start = at + 4 + before - fields.left
    header = content[start : start + size]
    if not 0 < size <= _HEADER_BYTES or len(header) != size or zlib.crc32(content[at + 4 : start + size]) != crc:
        raise _Broken
    return header, start + size


def _file5(fields: _Fields, extra_size: int) -> _File:
    flags = fields.number()
    fields.number()  # size unpacked
    fields.number()  # attributes
    fields.take(4 * bool(flags & 0x02) + 4 * bool(flags & 0x04))  # time and CRC
    fields.number()  # how it is packed
    fields.number()  # by which system
    name = fields.take(fields.number())
    extra = _Fields(fields.take(fields.left)[-extra_size:] if extra_size else b"")
    encrypted = False
    while extra.left:
        record = _Fields(extra.take(extra.number()))
        encrypted = encrypted or record.number() == 1
    return _File((name[:_NAME_BYTES].decode("utf-8", "replace"),), encrypted, directory=bool(flags & 0x01))
