"""gzip (RFC 1952): one file, which may have a name of its own in the header."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.scan.inside.containers import _unpack
from gateway.scan.inside.entry import Entry, Share, Unscannable

TYPES = frozenset({"gz"})

_EXTRA, _NAME = 0x04, 0x08
_NAME_BYTES = 1024
_WITH_GZIP_HEADER = 16 + 15  # zlib's window bits: 16 says gzip


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """The file by the outer name, as gunzip calls it, and by the header's, as 7-Zip and WinRAR do."""
    unpacked = _unpack.unpack_members(content, b"\x1f\x8b", lambda: _unpack.Inflate(_WITH_GZIP_HEADER), share)
    yield from _unpack.entries_of(unpacked, _unpack.unpacked_name(share.name), _header_name(content))
    if unpacked.flaw:
        raise Unscannable(unpacked.flaw)


def _header_name(content: bytes) -> str:
    """FNAME of section 2.3: Latin-1, ends with NUL; behind the extra field."""
    flags = content[3] if len(content) > 3 else 0
    if not flags & _NAME:
        return ""
    start = 10 + (2 + int.from_bytes(content[10:12], "little") if flags & _EXTRA else 0)
    raw = content[start : start + _NAME_BYTES].partition(b"\0")[0]
    try:
        return raw.decode()  # most write UTF-8, whatever the RFC says
    except UnicodeDecodeError:
        return raw.decode("latin-1")
