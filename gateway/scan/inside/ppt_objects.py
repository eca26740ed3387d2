"""Objects embedded in PowerPoint before 2007: compound files in its main stream, deflated as a rule ([MS-PPT] 2.10.34)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from gateway.scan.filetypes.compound import MAGIC
from gateway.scan.inside.entry import ENTRY_BYTES, Share

_PIECE = 64 * 1024
_MOST = 10_000
_ATOM = re.compile(rb"([\x00\x10])\x00\x11\x10(....)", re.DOTALL)
"""Header of an ExOleObjStgAtom: instance 1 says deflated, type 0x1011, then the length."""


def embedded(stream: bytes, share: Share) -> Iterator[bytes]:
    """The compound files in a `PowerPoint Document` stream. Raises Unscannable.

    Their records are looked for, not reached by the tables that say where they are: a reader that follows other tables than
    we do would find others.
    """
    octets = memoryview(stream)
    for number, found in enumerate(_ATOM.finditer(stream)):
        share.check_time()
        if number == _MOST:
            return
        start, size = found.end(), int.from_bytes(found[2], "little")
        record = octets[start : start + size]
        if found[1] == b"\0":
            share.take(len(record))
            storage = bytes(record)
        else:
            storage = _inflated(record[4:], share)  # the size unpacked stands first
        if storage.startswith(MAGIC):
            yield storage


def _inflated(packed: memoryview, share: Share) -> bytes:
    """Up to about one octet more than is kept of an entry; what was unpacked when it turns out to be broken."""
    pieces: list[bytes] = []
    left = ENTRY_BYTES + 1
    try:
        for piece in _pieces(packed):
            share.take(len(piece))
            pieces.append(piece)
            left -= len(piece)
            if left <= 0:
                break
    except zlib.error:
        return b"".join(pieces)
    return b"".join(pieces)


def _pieces(packed: memoryview) -> Iterator[bytes]:
    """Fed little by little: what is left of a long input is copied at each step."""
    decompressor = zlib.decompressobj()
    for at in range(0, len(packed), _PIECE):
        waiting: bytes | memoryview = packed[at : at + _PIECE]
        while waiting and not decompressor.eof:
            yield decompressor.decompress(waiting, _PIECE)
            waiting = decompressor.unconsumed_tail
        if decompressor.eof:
            return
