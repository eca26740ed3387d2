"""winmail.dat: what Outlook makes of a message for other Outlooks ([MS-OXTNEF]).

A flat list of attributes, some of them lists of MAPI properties; read in one walk without recursion. A message attached in
Outlook is TNEF again, and is given as an entry of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.scan.filetypes import look
from gateway.scan.inside.entry import ENTRY_BYTES, Entry, Share, Unscannable
from gateway.scan.inside.names import telling

TYPES = frozenset({"tnef"})

_SIGNATURE = b"\x78\x9f\x3e\x22"
_HEADER = struct.Struct("<BLL")
_BROKEN = "broken winmail.dat"
_NAMES_READ = 100
"""Names of one attachment; more would only be there to hide one."""
_PIECE = 1024 * 1024

# Attributes ([MS-OXTNEF] 2.1.3.3).
_RENDERING = 0x00069002  # attAttachRendData: a new attachment begins
_TITLE = 0x00018010
_TRANSPORT_NAME = 0x00069001
_DATA = 0x0006800F
_PROPERTIES = 0x00069005  # attAttachment
_MESSAGE_PROPERTIES = 0x00069003

# Properties ([MS-OXPROPS]).
_BODY_HTML = 0x1013
_ATTACH_DATA = 0x3701  # PR_ATTACH_DATA_BIN and _OBJ
_LONG_NAME, _SHORT_NAME, _DISPLAY_NAME = 0x3707, 0x3704, 0x3001
_LONG_PATH, _PATH = 0x370D, 0x3708

# Property types ([MS-OXCDATA] 2.11.1).
_STRING8, _UNICODE, _OBJECT, _BINARY = 0x1E, 0x1F, 0x0D, 0x102
_FIXED = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
"""Octets of each value, with the padding to four."""
_MULTIPLE = 0x1000
_IID_MESSAGE = bytes.fromhex("0703020000000000c000000000000046")


@dataclass(slots=True)
class _Attachment:
    """What is known of one so far. Outlook takes the long name; others take the title: all are kept, in that order."""

    title: list[str] = field(default_factory=list)
    long: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    data: list[memoryview] = field(default_factory=list)
    is_message: bool = False

    def entries(self, share: Share) -> Iterator[Entry]:
        names = telling(name for name in (*self.long, *self.title, *self.other) if name)
        if self.is_message:
            names = telling((f"{names[0] or 'message'}.tnef", *names))
        for data in self.data or [memoryview(b"")]:
            for name in names:
                share.file()
                yield _entry(name, data, share)


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """The attachments, and an HTML body that is more than text. Raises Unscannable where the file is broken, last."""
    if not content.startswith(_SIGNATURE):
        raise Unscannable(_BROKEN)
    attributes = _Attributes(memoryview(content), share)
    attachment: _Attachment | None = None
    bodies: list[memoryview] = []
    for kind, value in attributes:
        if kind == _MESSAGE_PROPERTIES:
            bodies += _html_bodies(value, attributes)
        elif kind == _RENDERING:
            if attachment:
                yield from attachment.entries(share)
            attachment = _Attachment()
        elif kind in _OF_ATTACHMENTS:
            attachment = attachment or _Attachment()
            _take(attachment, kind, value, attributes)
    if attachment:
        yield from attachment.entries(share)
    for body in bodies:
        yield from _body_entry(body, share, alone=attachment is None)
    if attributes.broken:
        raise Unscannable(_BROKEN)


_OF_ATTACHMENTS = frozenset({_TITLE, _TRANSPORT_NAME, _DATA, _PROPERTIES})


@dataclass(slots=True)
class _Attributes:
    """The attributes in order: id and value. `broken` says that the walk met what the format forbids."""

    content: memoryview
    share: Share
    broken: bool = False

    def __iter__(self) -> Iterator[tuple[int, memoryview]]:
        at = 6  # behind signature and key
        while at + _HEADER.size <= len(self.content):
            level, kind, size = _HEADER.unpack_from(self.content, at)
            if level not in (1, 2):
                break
            self.share.check_time()
            start = at + _HEADER.size
            value = self.content[start : start + size]
            stated = self.content[start + size : start + size + 2]
            if len(stated) < 2 or int.from_bytes(stated, "little") != _checksum(value):
                self.broken = True
            yield kind, value
            at = start + size + 2
        rest = self.content[at:]
        # Less than an attribute, or nothing but zeros and blanks: what mail programs leave behind the end.
        self.broken = self.broken or (len(rest) >= _HEADER.size + 2 and bool(bytes(rest).strip(b"\0 \t\r\n")))


def _checksum(value: memoryview) -> int:
    """The sum of all octets (2.1.3.1)."""
    return sum(value) & 0xFFFF


def _take(attachment: _Attachment, kind: int, value: memoryview, attributes: _Attributes) -> None:
    if kind == _DATA:
        attachment.data.append(value)
    elif kind == _PROPERTIES:
        for identity, of_type, octets in _properties(value, attributes):
            _take_property(attachment, identity, of_type, octets)
    elif len(attachment.title) < _NAMES_READ:
        attachment.title.append(_text(value, _STRING8))


def _take_property(attachment: _Attachment, identity: int, of_type: int, octets: memoryview) -> None:
    if identity == _ATTACH_DATA and of_type == _OBJECT:
        # The interface's id stands before the data: a message (TNEF again), a storage (OLE) or a stream.
        attachment.is_message = attachment.is_message or octets[:16] == _IID_MESSAGE
        attachment.data.append(octets[16:])
    elif identity == _ATTACH_DATA and of_type == _BINARY:
        attachment.data.append(octets)
    elif of_type in (_STRING8, _UNICODE) and len(attachment.long) + len(attachment.other) < _NAMES_READ:
        if identity == _LONG_NAME:
            attachment.long.append(_text(octets, of_type))
        elif identity in (_SHORT_NAME, _DISPLAY_NAME, _LONG_PATH, _PATH):
            attachment.other.append(_text(octets, of_type))


def _html_bodies(value: memoryview, attributes: _Attributes) -> list[memoryview]:
    return [
        octets
        for identity, of_type, octets in _properties(value, attributes)
        if identity == _BODY_HTML and of_type in (_STRING8, _UNICODE, _BINARY)
    ]


def _body_entry(body: memoryview, share: Share, *, alone: bool) -> Iterator[Entry]:
    """The body is text, and no file; but with script in it no Outlook wrote it, and where it is all there is, it is what
    programs that unpack winmail.dat save.
    """
    entry = _entry("body.html", body, share)
    if alone or "js" in look(entry.content or b"").types:
        share.file()
        yield entry


def _properties(value: memoryview, attributes: _Attributes) -> Iterator[tuple[int, int, memoryview]]:
    """Id, type and octets of each property's values (2.1.3.5); `attributes.broken` where they do not fit."""
    try:
        (count,) = struct.unpack_from("<L", value, 0)
        at = 4
        for _ in range(count):
            attributes.share.check_time()
            of_type, identity = struct.unpack_from("<HH", value, at)
            at = _behind_name(value, at + 4) if identity >= 0x8000 else at + 4
            values, at = _values(value, at, of_type)
            for octets in values:
                yield identity, of_type & ~_MULTIPLE, octets
    except (struct.error, ValueError):
        attributes.broken = True


def _behind_name(value: memoryview, at: int) -> int:
    """A named property has a GUID, and then a number or a name (2.1.3.4.1)."""
    (kind,) = struct.unpack_from("<L", value, at + 16)
    if kind == 0:
        return at + 24
    (size,) = struct.unpack_from("<L", value, at + 20)
    return at + 24 + _padded(size)


def _values(value: memoryview, at: int, of_type: int) -> tuple[list[memoryview], int]:
    """The values of one property and where they end. Raises ValueError and struct.error for what cannot be."""
    single = of_type & ~_MULTIPLE
    variable = single in (_STRING8, _UNICODE, _OBJECT, _BINARY)
    if single not in _FIXED and not variable:
        raise ValueError(of_type)
    count = 1
    if variable or of_type & _MULTIPLE:
        (count,) = struct.unpack_from("<L", value, at)
        at += 4
    if not variable:
        return [], at + count * _FIXED[single]
    if count > len(value):
        raise ValueError(count)
    found = []
    for _ in range(count):
        (size,) = struct.unpack_from("<L", value, at)
        found.append(value[at + 4 : at + 4 + size])
        at += 4 + _padded(size)
    return found, at


def _padded(size: int) -> int:
    return (size + 3) & ~3


def _text(octets: memoryview, of_type: int) -> str:
    """8-bit names have an unknown code page; the extension is what matters."""
    raw = bytes(octets[:2048])
    text = raw.decode("utf-16-le", "replace") if of_type == _UNICODE else raw.decode("latin-1")
    return text.rstrip("\0")


def _entry(name: str, data: memoryview, share: Share) -> Entry:
    kept = data[:ENTRY_BYTES]
    for at in range(0, len(kept), _PIECE):
        share.take(len(kept[at : at + _PIECE]))
    return Entry(name, bytes(kept), cut=len(data) > ENTRY_BYTES)
