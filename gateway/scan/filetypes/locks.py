"""Files that nobody opens without a password: PDF, RAR, 7z and OpenPGP (ZIP, OLE and ODF are told by their own rooms).

Only what is cheap to see. A 7z archive whose header is compressed hides which method its files use; clamd knows more.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.scan.filetypes import openpgp, pdf_password

_BLOCKS_READ = 1_000
_RAR4, _RAR5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_SEVEN_ZIP_AES = b"\x06\xf1\x07\x01"


def locked(kind: str, data: bytes) -> bool:
    """True when a file of type `kind` (`pdf`, `rar`, `7z`, `pgp`) needs a password or a key to be read."""
    if kind == "pdf":
        return pdf_password.needed(data)
    if kind == "rar":
        return _rar(data)
    if kind == "7z":
        return _seven_zip(data)
    if kind == "pgp":
        message = openpgp.look(data)
        return message is not None and message.encrypted
    return False


def _seven_zip(data: bytes) -> bool:
    """The end header lists the coders; AES has the id 06F10701 (7zFormat.txt, Methods.txt)."""
    offset, size = int.from_bytes(data[12:20], "little"), int.from_bytes(data[20:28], "little")
    start = 32 + offset
    return _SEVEN_ZIP_AES in data[start : start + min(size, 1 << 20)]


def _rar(data: bytes) -> bool:
    at = max(data.find(_RAR5, 0, 1 << 20), 0)
    if data.startswith(_RAR5, at):
        return any(_rar5_block_locked(kind, header) for kind, header in _rar5_blocks(data, at + len(_RAR5)))
    at = data.find(_RAR4, 0, 1 << 20)
    return at >= 0 and any(
        (kind == 0x73 and flags & 0x80) or (kind == 0x74 and flags & 0x04) for kind, flags in _rar4_blocks(data, at + 7)
    )


def _rar4_blocks(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Type and flags of each block (technote 4): CRC 2, type 1, flags 2, size 2, and with flag 0x8000 a data size 4."""
    for _ in range(_BLOCKS_READ):
        kind, flags = data[at + 2 : at + 3], int.from_bytes(data[at + 3 : at + 5], "little")
        size = int.from_bytes(data[at + 5 : at + 7], "little")
        if not kind or size < 7:
            return
        yield kind[0], flags
        at += size + (int.from_bytes(data[at + 7 : at + 11], "little") if flags & 0x8000 else 0)


def _rar5_blocks(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Type and header of each block (technote 5): CRC 4, then vints: header size, type, flags, extra and data sizes."""
    for _ in range(_BLOCKS_READ):
        size, start = _vint(data, at + 4)
        kind, position = _vint(data, start)
        flags, position = _vint(data, position)
        if not size or start >= len(data):
            return
        yield kind, data[start : start + min(size, 1 << 16)]
        _, position = _vint(data, position) if flags & 1 else (0, position)
        body, _ = _vint(data, position) if flags & 2 else (0, position)
        at = start + size + body


def _rar5_block_locked(kind: int, header: bytes) -> bool:
    """An archive encryption header (4), or a file header (2) whose extra area begins with an encryption record (1)."""
    if kind == 4:
        return True
    if kind != 2:
        return False
    _, at = _vint(header, 0)
    flags, at = _vint(header, at)
    if not flags & 1:
        return False
    extra, _ = _vint(header, at)
    at = len(header) - extra
    while 0 <= at < len(header):
        size, at = _vint(header, at)
        record, _ = _vint(header, at)
        if record == 1:
            return True
        at += max(size, 1)
    return False


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """A RAR5 variable-length number and where it ends; at most ten bytes."""
    value = 0
    for i, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * i)
        if not byte & 0x80:
            return value, at + i + 1
    return 0, at + 10
