"""tar: as before POSIX, ustar, pax (IEEE 1003.1 `pax`), and GNU with its long names.

Not `tarfile`: it searches pax headers with a pattern that takes minutes on made-up ones (CVE-2024-6232, fixed behind
the Python we may run on), believes sizes, and keeps every member.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.scan.inside.entry import ENTRY_BYTES, Entry, Share, Unscannable
from gateway.scan.inside.names import telling

TYPES = frozenset({"tar"})

_BLOCK = 512
_NAME_FIELD_BYTES = 100
_SAYING_BYTES = 1024 * 1024
"""Of a header about the next file; real ones have some hundred, with extended attributes some thousand."""
_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK, _OLD_GNU_NAME = b"x", b"g", b"L", b"K", b"N"
_SOLARIS_PAX = b"X"
_FOLDER, _SPARSE, _LABEL, _MULTI_VOLUME, _GNU_FOLDER = b"5", b"S", b"V", b"M", b"D"
_LINKS_AND_DEVICES = frozenset({b"1", b"2", b"3", b"4", b"6"})
_HARD_LINK = b"1"
_KNOWN = frozenset({b"0", b"\0", b"7", _FOLDER, _SPARSE, _LABEL, _MULTI_VOLUME, _GNU_FOLDER}) | {
    *_LINKS_AND_DEVICES, _PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK, _OLD_GNU_NAME, _SOLARIS_PAX,
}  # fmt: skip
"""Of any other kind all unpackers make a file, but clamd passes over some of them."""

_DISAGREE = "headers disagree"
_BROKEN = "broken"
_INCOMPLETE = "incomplete"
_MORE_BEHIND = "data behind its end"
_NUMBER_UNREAD = "a size that scanners do not read"
_KIND_UNREAD = "a kind of file that scanners do not read"
_NAMELESS = "a file without a name"


@dataclass(frozen=True, slots=True)
class _Header:
    """One header block; `type` is its typeflag, `data` where its contents begin, `next` where the next header does. `flaw`:
    why clamd does not see what unpackers do, empty when it does.
    """

    name: str
    type: bytes
    size: int
    data: int
    flaw: str = ""

    @property
    def next(self) -> int:
        return self.data + -(-self.size // _BLOCK) * _BLOCK


@dataclass(slots=True)
class _Said:
    """What headers before a file's own say of it."""

    gnu_name: str = ""
    pax_name: str = ""
    size: int | None = None
    sparse: bool = False


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """Files, links and devices, those two without content. Raises Unscannable, for a flaw behind the file that has it."""
    at, said = 0, _Said()
    while at < len(content):
        share.check_time()
        header = _header(content, at)
        if header and _is_posix(content, at) != _is_posix(content, 0):  # clamd ends there
            header = replace(header, flaw=_DISAGREE)
        if header is None:
            _end(content, at)
            return
        if _says_more(content, header, said):
            at = header.next
            continue
        yield from _files(content, header, said, share)
        if header.flaw:
            raise Unscannable(header.flaw)
        if said.size not in (None, header.size):
            raise Unscannable(_DISAGREE)
        at, said = header.next, _Said()
        if header.data + header.size > len(content):
            raise Unscannable(_INCOMPLETE)


def _end(content: bytes, at: int) -> None:
    """Zeros fill the last record. GNU tar with -i reads on behind them, and all skip what is no header."""
    if content[at:].strip(b"\0"):
        raise Unscannable(_MORE_BEHIND)


def _header(content: bytes, at: int) -> _Header | None:
    """The header at `at`, None at the end of the archive. Raises Unscannable where there is neither."""
    block = content[at : at + _BLOCK]
    if not block.strip(b"\0"):
        return None
    if len(block) < _BLOCK or not _sum_is_right(block):
        raise Unscannable(_BROKEN)
    name = _text(block[:_NAME_FIELD_BYTES])
    if block[257:265] == b"ustar\x0000" and block[345]:
        name = f"{_text(block[345:500])}/{name}"
    kind = block[156:157]
    size = _number(block[124:136])
    if kind in _LINKS_AND_DEVICES or kind == _FOLDER:
        if size and kind != _HARD_LINK:  # some readers skip that many bytes, some do not
            raise Unscannable(_DISAGREE)
        size = 0
    return _Header(name, kind, size, at + _BLOCK, _flaw(block, kind, size))


def _is_posix(content: bytes, at: int) -> bool:
    return content.startswith(b"ustar", at + 257)


def _flaw(block: bytes, kind: bytes, size: int) -> str:
    """The scanner ends at a number that is not octal, and at a name of nothing, which 7-Zip unpacks."""
    if block[124] & 0x80:
        return _NUMBER_UNREAD
    if kind not in _KNOWN:
        return _KIND_UNREAD
    if not block[0]:
        return _NAMELESS
    return _DISAGREE if kind == _LABEL and size else ""  # it labels the volume, or is a file of that name


def _sum_is_right(block: bytes) -> bool:
    """The bytes of the header, its checksum's read as blanks; long ago some computers had signed bytes."""
    stated = _octal(block[148:156])
    rest = block[:148] + b" " * 8 + block[156:]
    difference = sum(rest) - stated
    return difference == 0 or difference == 256 * sum(byte > 127 for byte in rest)


def _number(raw: bytes) -> int:
    """Octal digits, or, with the first bit set, a big-endian number (GNU, star). Raises Unscannable."""
    return int.from_bytes(raw[1:], "big") if raw[0] == 0x80 else _octal(raw)


def _octal(raw: bytes) -> int:
    digits = raw.partition(b"\0")[0].strip(b" ")
    try:
        return int(digits or b"0", 8) if digits.isdigit() or not digits else _broken()
    except ValueError:
        return _broken()


def _broken() -> int:
    raise Unscannable(_BROKEN)


def _text(raw: bytes) -> str:
    raw = raw.partition(b"\0")[0]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _says_more(content: bytes, header: _Header, said: _Said) -> bool:
    """The header is about the file that follows, and `said` was told. Raises Unscannable."""
    if header.type not in (_PAX, _SOLARIS_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK, _LABEL):
        return False
    if header.flaw or not header.size:  # clamd takes the next header for what is said
        raise Unscannable(header.flaw or _DISAGREE)
    if header.size > _SAYING_BYTES or header.data + header.size > len(content):
        raise Unscannable(_BROKEN)
    body = content[header.data : header.data + header.size]
    if header.type == _GNU_NAME:
        said.gnu_name = _text(body)
    elif header.type in (_PAX, _SOLARIS_PAX):
        _take_pax(body, said)
    elif header.type == _PAX_GLOBAL:
        _refuse_global(body)
    return True


def _take_pax(body: bytes, said: _Said) -> None:
    for keyword, value in _pax_records(body):
        if keyword in (b"path", b"GNU.sparse.name"):
            said.pax_name = _text(value)
        elif keyword == b"size":
            said.size = int(value) if value.isdigit() and len(value) < 20 else -1
        said.sparse = said.sparse or keyword.startswith(b"GNU.sparse.")


def _refuse_global(body: bytes) -> None:
    """A comment is what git and others put there. A name or a size for every file would be a game."""
    if any(keyword in (b"path", b"size") or keyword.startswith(b"GNU.sparse.") for keyword, _ in _pax_records(body)):
        raise Unscannable(_DISAGREE)


def _pax_records(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """A line `<length> <keyword>=<value>` each, the length being its own with all of that. Raises Unscannable."""
    at = 0
    while at < len(body) and body[at]:
        digits, blank, _ = body[at : at + 10].partition(b" ")
        length = int(digits) if blank and digits.isdigit() else 0
        record = body[at : at + length]
        keyword, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not equals or not record.endswith(b"\n") or len(record) != length:
            raise Unscannable(_BROKEN)
        yield keyword, value
        at += length


def _files(content: bytes, header: _Header, said: _Said, share: Share) -> Iterator[Entry]:
    """The file by each of its names that tells something else; folders are none."""
    share.file()
    own = header.name
    if header.type in (_FOLDER, _GNU_FOLDER) or (own.endswith("/") and not header.size):
        return
    cut_off = len(own) >= _NAME_FIELD_BYTES and (said.pax_name or said.gnu_name)
    names = telling(name for name in (said.pax_name, said.gnu_name, "" if cut_off else own) if name)
    sparse = said.sparse or header.type in (_SPARSE, _MULTI_VOLUME, _OLD_GNU_NAME)
    kept = min(header.size, ENTRY_BYTES)
    body = content[header.data : header.data + kept]
    share.take(len(body))
    for name in names:
        yield Entry(name, None if sparse else body, cut=kept < header.size)
    if sparse:
        raise Unscannable("a file with holes")
