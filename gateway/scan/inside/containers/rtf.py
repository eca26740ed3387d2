r"""Objects in RTF (specification 1.9.1, "Objects"): OLE 1.0 data ([MS-OLEDS] 2.2) behind `\objdata`, in hexadecimal or `\bin`.

Word skips control words and groups between the digits and takes `\bin`, clamd does not: what nobody's Word writes is read as
Word does it, and is not certain.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.scan.filetypes.compound import MAGIC
from gateway.scan.inside import ole_native
from gateway.scan.inside.entry import ENTRY_BYTES, Entry, Share, Unscannable
from gateway.scan.inside.names import telling

TYPES = frozenset({"rtf"})

_UNUSUAL = "an object in it that is not written as usual"
_TOKENS = 200_000
"""Of all objects; what Word writes has three an object."""
_NESTED = 20
"""Objects that begin in the data of another one: none in what programs write, each is read by itself."""
_WORD = b"\\objdata"
_OBJECT = re.compile(rb"(\\+)objdata(?![a-z])-?\d* ?")
_TOKEN = re.compile(
    rb"(?P<digits>[0-9A-Fa-f\s\0]+)|(?P<open>\{(?:\s*\\\*)?)|(?P<close>\})|(?P<bin>\\bin(?![a-z])(?P<size>-?\d{0,12}) ?)"
    rb"|\\(?:[A-Za-z]+-?\d* ?|'[0-9A-Fa-f]{2}|[\s\S])?|[^\\{}0-9A-Fa-f\s\0]+"
)
_BINARY = re.compile(rb"\\bin(\d{1,12}) ?")
_BLANKS = b" \t\r\n\v\f\0"
_LINKED, _EMBEDDED = 1, 2  # FormatID of an ObjectHeader ([MS-OLEDS] 2.2.4)


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """The packaged file, the compound file or the octets of each object. Raises Unscannable, for what Word alone may read
    once all entries are given.
    """
    if not _has_objects(content):
        return
    certain = _has_no_hidden_objects(content)
    reading, nested, end = _Reading(content, share), 0, 0
    for number, word in enumerate(_objects(content), 1):
        nested += word.start() < end
        if nested > _NESTED:
            raise Unscannable(_UNUSUAL)
        octets = reading.data(word.end())
        end = reading.at
        certain = certain and reading.certain and (_native(octets) is not None or not octets)
        yield from _entries(octets, number, share)
        if reading.in_groups:
            yield from _entries(reading.data(word.end(), groups=False), number, share)
    if not certain:
        raise Unscannable(_UNUSUAL)


def _has_objects(content: bytes) -> bool:
    return b"objdata" in content or (b"\0" in content and b"objdata" in content.translate(None, b"\0"))


def _has_no_hidden_objects(content: bytes) -> bool:
    """Some skip NUL wherever it stands, in the middle of a control word too."""
    return b"\0" not in content or content.translate(None, b"\0").count(_WORD) == content.count(_WORD)


def _objects(content: bytes) -> Iterator[re.Match[bytes]]:
    r"""Each `\objdata`; behind an even number of backslashes it is text, unless one of them was the last octet of `\bin`."""
    ends: set[int] | None = None
    for word in _OBJECT.finditer(content):
        if len(word[1]) % 2:
            yield word
            continue
        ends = _ends_of_binary(content) if ends is None else ends
        if not ends.isdisjoint(range(word.start(1) + 1, word.end(1))):
            yield word


def _ends_of_binary(content: bytes) -> set[int]:
    return {found.end() + int(found[1]) for found in _BINARY.finditer(content)}


@dataclass(slots=True)
class _Reading:
    """Reads the data of one object after another. Of the last, `at` is where it ended, `in_groups` says that there are digits
    in groups within it, which Word takes or leaves by the word that such a group begins with.
    """

    content: bytes
    share: Share
    tokens: int = 0
    at: int = 0
    certain: bool = True
    in_groups: bool = False
    _digits: list[bytes] = field(default_factory=list)
    _octets: list[bytes] = field(default_factory=list)

    def data(self, at: int, *, groups: bool = True) -> bytes:
        """The octets up to the end of the group that `at` lies in, with those in groups or without. Raises Unscannable."""
        self.at, self.certain, self.in_groups, self._digits, self._octets = at, True, False, [], []
        depth = ignored = 0
        while depth >= 0 and (token := self._token()):
            kind = token.lastgroup
            if kind == "open":
                depth += 1
                ignored = ignored or (depth if not groups or token.end() - token.start() > 1 else 0)  # {\*\word ...}
            elif kind == "close":
                ignored = 0 if ignored == depth else ignored
                depth -= 1
            elif kind == "digits" and not ignored:
                self._digits.append(token[0])
                self.in_groups = self.in_groups or (depth > 0 and bool(token[0].strip(_BLANKS)))
            elif kind == "bin":
                self._binary(int(token["size"].strip(b"-") or b"0"), wanted=not ignored)
            self.certain = self.certain and (kind == "digits" or depth < 0)
        self.certain = self.certain and depth < 0
        self._flush()
        octets = b"".join(self._octets)
        self.share.take(len(octets))
        return octets

    def _token(self) -> re.Match[bytes] | None:
        token = _TOKEN.match(self.content, self.at)
        if token:
            self.at = token.end()
        self.tokens += 1
        if self.tokens > _TOKENS:
            raise Unscannable(_UNUSUAL)
        if not self.tokens % 1000:
            self.share.check_time()
        return token

    def _binary(self, size: int, *, wanted: bool) -> None:
        if wanted:
            self._flush()
            self._octets.append(self.content[self.at : self.at + size])
        self.at = min(self.at + size, len(self.content))

    def _flush(self) -> None:
        digits = b"".join(self._digits).translate(None, _BLANKS)
        self._digits.clear()
        self.certain = self.certain and len(digits) % 2 == 0
        self._octets.append(binascii.unhexlify(digits[: len(digits) // 2 * 2]))


def _native(octets: bytes) -> bytes | None:
    """NativeData of an EmbeddedObject, all of a LinkedObject; None where it is neither. Versions are not compared, and sizes
    that are too large end with the data: Word takes both.
    """
    form = int.from_bytes(octets[4:8], "little")
    if form == _LINKED:
        return octets
    at = 8
    for _ in range(3):  # class, topic and item, each behind its length
        at += 4 + int.from_bytes(octets[at : at + 4], "little")
    if form != _EMBEDDED or at + 4 > len(octets):
        return None
    return octets[at + 4 : at + 4 + int.from_bytes(octets[at : at + 4], "little")]


def _entries(data: bytes, number: int, share: Share) -> Iterator[Entry]:
    """What one object carries; all of its data where that is no OLE 1.0."""
    name = f"object {number}"
    native = _native(data)
    octets = data if native is None else native
    package = ole_native.read(bytes(4) + octets)  # in a compound file the size of the stream stands first
    if package:
        yield from _named(telling(package.names), package.content, share)
        return
    if octets and not octets.startswith(MAGIC):
        yield from _named((name,), octets, share)
    if MAGIC in octets:
        yield from _named((f"{name}.ole",), octets[octets.index(MAGIC) :], share)


def _named(names: tuple[str, ...], octets: bytes, share: Share) -> Iterator[Entry]:
    for name in names:
        share.file()
        yield Entry(name, octets[:ENTRY_BYTES], cut=len(octets) > ENTRY_BYTES)
