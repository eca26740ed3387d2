"""Files in OneNote sections and tables of contents ([MS-ONESTORE]), found by what begins them, whatever refers to them.

The names stand in the properties of pages, far from the files: which belongs to which is not asked. The octets tell a
program or a document; a script tells itself by its name alone, which is given by itself.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

from gateway.scan.filetypes import types_of_name
from gateway.scan.inside.entry import ENTRY_BYTES, Entry, Share, Unscannable
from gateway.scan.inside.names import telling

TYPES = frozenset({"one"})

_OBJECT = uuid.UUID("{BDE316E7-2665-4511-A4C4-8D4D0B7A9EAC}").bytes_le
_OBJECT_END = uuid.UUID("{71FBA722-0F79-4A0B-BB13-899256426B24}").bytes_le
"""guidHeader and guidFooter of a FileDataStoreObject (section 2.6.13)."""
_HEADER_BYTES = 36  # guidHeader, cbLength, unused and reserved
_SECTION, _CONTENTS = (
    uuid.UUID(guid).bytes_le
    for guid in ("{7B5C52E4-D88C-4DA7-AEB1-5378D02996D3}", "{43FF2FA1-EFD9-4C76-9EE2-10EA5722765F}")
)
_REVISION_STORE = uuid.UUID("{109ADD3F-911B-49F5-A5D0-1791EDC8AED8}").bytes_le
_FORMAT_AT = 48  # guidFileFormat of the header (section 2.3.1)
_FILE_NAME, _SOURCE_PATH = (number.to_bytes(4, "little") for number in (0x1C001D9C, 0x1C001D9D))
"""PropertyIDs of EmbeddedFileName and SourceFilepath ([MS-ONE] 2.1.12)."""
_NAME = re.compile(re.escape(_FILE_NAME) + b"|" + re.escape(_SOURCE_PATH))
_NAMES = 10_000
_PROPERTIES = 64
"""Of one object, before the name; OneNote writes a dozen."""
_VALUE_OCTETS = {1: 0, 2: 0, 3: 1, 4: 2, 5: 4, 6: 8, 8: 0, 9: 4, 0xA: 0, 0xB: 4, 0xC: 0, 0xD: 4}
"""Octets of a value in rgData, by the type in its PropertyID ([MS-ONESTORE] 2.6.6)."""
_COUNTED = 7
_NAME_BYTES = 2048
_BROKEN = "broken OneNote file"


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """Every file, then each name. Raises Unscannable, for what OneNote stores otherwise too, last."""
    if not content.startswith((_SECTION, _CONTENTS)):
        return  # one by its name alone
    broken = False
    octets = memoryview(content)
    for number, at in enumerate(_places(content), 1):
        size = int.from_bytes(octets[at + 16 : at + 24], "little")
        start = at + _HEADER_BYTES
        file = octets[start : start + size]
        broken = broken or not content.startswith(_OBJECT_END, start + size + -size % 8)
        share.take(len(file))
        share.file()
        yield Entry(f"file {number}", bytes(file[:ENTRY_BYTES]), cut=len(file) > ENTRY_BYTES)
    yield from _named(content, share)
    if content[_FORMAT_AT : _FORMAT_AT + 16] != _REVISION_STORE:
        raise Unscannable("a OneNote file of another kind than OneNote for Windows writes")
    if broken:
        raise Unscannable(_BROKEN)


def _places(content: bytes) -> Iterator[int]:
    at = content.find(_OBJECT)
    while at >= 0:
        yield at
        at = content.find(_OBJECT, at + 16)


def _named(content: bytes, share: Share) -> Iterator[Entry]:
    """The names of embedded files that promise a type, one of each: for policies they count as a file each."""
    for name in telling(_names(content, share)):
        if types_of_name(name):
            share.file()
            yield Entry(name, b"")


def _names(content: bytes, share: Share) -> Iterator[str]:
    for number, found in enumerate(_NAME.finditer(content)):
        share.check_time()
        if number == _NAMES:
            raise Unscannable(f"more than {_NAMES} names of files")
        name = next(filter(None, (_value(content, found.start(), before) for before in range(_PROPERTIES))), b"")
        yield name.decode("utf-16-le", "replace").rstrip("\0")


def _value(content: bytes, at: int, before: int) -> bytes:
    """The text whose PropertyID is at `at`, behind so many others of its PropertySet (section 2.6.7); empty where it is not."""
    start = at - 4 * before
    count = int.from_bytes(content[start - 2 : start], "little") if start >= 2 else 0
    if not before < count <= _PROPERTIES:
        return b""
    end = start + 4 * count
    for place in range(start, at, 4):
        kind = content[place + 3] >> 2 & 0x1F
        if kind != _COUNTED and kind not in _VALUE_OCTETS:
            return b""
        end += 4 + int.from_bytes(content[end : end + 4], "little") if kind == _COUNTED else _VALUE_OCTETS[kind]
    size = int.from_bytes(content[end : end + 4], "little")
    text = content[end + 4 : end + 4 + size] if 0 < size <= _NAME_BYTES and size % 2 == 0 else b""
    return text if len(text) == size and b"\0\0\0" not in text[:-2] else b""
