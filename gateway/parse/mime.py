"""The MIME tree (RFC 2045, RFC 2046) as a list of leaves, each with where its body lies in the content.

No recursion and no copy: a stack of ranges; the delimiters of the outer multipart are found first, so an inner one can
never swallow them (RFC 2046 section 5.1.2). Each level is one pass of `bytes.find`, and the depth is limited.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.core import ambiguity
from gateway.parse.boundaries import has_field_below, is_cut_otherwise, note_boundary
from gateway.parse.defects import Defects
from gateway.parse.fields import DECISIVE, DECISIVE_LINE, Header, hides_fields, read_header
from gateway.parse.limits import BOUNDARY_OCTETS, DEPTH, FALSE_DELIMITERS, PART_HEADER_BYTES, PARTS, require
from gateway.parse.parameters import Parameters, read_parameters
from gateway.parse.transfer import ENCODINGS, IDENTITY, encoding_of, is_misspelt, is_plain_token
from gateway.parse.usual import note_unusual_delimiter, note_unusual_header, note_unusual_preamble

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+*-]+")
_BEHIND_BOUNDARY = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\r?\Z)")
_LOOKS = 1000
"""Lines that resemble a delimiter and are looked at closely, each at the cost of a short header; the rest is ambiguous unseen."""
_ONCE = {
    "content-type": ambiguity.CONTENT_TYPE,
    "content-transfer-encoding": ambiguity.TRANSFER_ENCODING,
    "content-disposition": ambiguity.DISPOSITION,
}
_UNENCODED = frozenset({"message/rfc822", "message/partial", "message/external-body"})
"""RFC 2046 section 5.2 allows these no encoding but 7bit, 8bit and binary. message/global may have one (RFC 6532)."""
_COMPOSITE = re.compile(r"(?:multipart|message)\s*+/")


@dataclass(slots=True)
class Leaf:
    """A body part without parts of its own. Attached messages are leaves: who wants to look inside parses them.

    `alternative` is the path of the outermost multipart/alternative it lies in; `index` its place within its multipart.
    """

    path: str
    type: str
    content_type: Parameters
    disposition: Parameters
    encoding: str
    content_id: bytes | None
    start: int
    end: int
    parent: str = ""
    index: int = 0
    alternative: str = ""


@dataclass(slots=True)
class Tree:
    """All leaves in document order, and the type of the root."""

    root: str
    leaves: list[Leaf]


@dataclass(slots=True)
class _Range:
    """A body part still to be read. `start` is where its header begins."""

    start: int
    end: int
    path: str
    depth: int
    parent: str
    index: int
    alternative: str


@dataclass(slots=True)
class _Walk:
    content: bytes
    defects: Defects
    stack: list[_Range] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    parts: int = 1
    header_bytes: int = 0
    doubtful: bool = False
    looks: int = 0
    strays: set[int] = field(default_factory=set)
    """Where lines stand that a program may take for a delimiter, and that have not been one so far."""


def read_tree(content: bytes, header: Header, defects: Defects) -> Tree:
    """The leaves of the message whose header is already read. Raises TooComplex."""
    walk = _Walk(content, defects)
    root = _read_part(walk, header, _Range(0, len(content), "", 0, "", 0, ""))
    while walk.stack:
        place = walk.stack.pop()
        part_header = read_header(content, place.start, place.end, defects)
        walk.header_bytes += part_header.body - place.start
        require("header bytes of body parts", walk.header_bytes, PART_HEADER_BYTES)
        _read_part(walk, part_header, place)
    if walk.strays:
        defects.add(ambiguity.BOUNDARY)
    if walk.doubtful and any(map(_is_file, walk.leaves)):
        defects.add(ambiguity.HEADER)
    return Tree(root, walk.leaves)


def _read_part(walk: _Walk, header: Header, place: _Range) -> str:
    """Adds a leaf, or the parts of a multipart to the stack; gives the part's type."""
    walk.doubtful |= header.doubtful
    note_unusual_header(header, walk.defects)
    fields = _content_fields(header, walk.defects)
    content_type = read_parameters(fields.get("content-type", b""), walk.defects)
    kind = _type_of(content_type, place.parent, walk.defects)
    encoding = _encoding(fields, kind, walk.defects)
    if kind.startswith("multipart/") and _descend(walk, kind, content_type, header.body, place):
        return kind
    disposition = read_parameters(fields.get("content-disposition", b""), walk.defects)
    walk.leaves.append(
        Leaf(
            path=place.path or "1",
            type=kind,
            content_type=content_type,
            disposition=disposition,
            encoding=encoding,
            content_id=fields.get("content-id"),
            start=header.body,
            end=max(place.end, header.body),
            parent=place.parent,
            index=place.index,
            alternative=place.alternative,
        )
    )
    return kind


def _is_file(leaf: Leaf) -> bool:
    return leaf.disposition.value == "attachment" or leaf.type not in ("text/plain", "text/html")


def _content_fields(header: Header, defects: Defects) -> dict[str, bytes]:
    """The Content-* fields; of several the first counts, and differing ones are ambiguous: programs choose differently."""
    found: dict[str, bytes] = {}
    for written, value, odd in header.fields:
        name = written.lower()
        if odd and _hides_a_file(name, value):
            defects.add(ambiguity.HEADER)
        if not name.startswith("content-"):
            continue
        if name not in found:
            found[name] = value
        elif name in _ONCE and found[name].split() != value.split():
            defects.add(_ONCE[name])
        else:
            defects.add(f"duplicate-{name}")
    return found


def _hides_a_file(name: str, value: bytes) -> bool:
    """Whether a field that not every program sees, or not the same way, decides what files there are."""
    cut = b"\r" in value or b"\0" in value
    return (name in _ONCE and (cut or bool(DECISIVE.match(name.encode() + b":" + value)))) or (
        cut and bool(DECISIVE.search(value))
    )


def _type_of(content_type: Parameters, parent: str, defects: Defects) -> str:
    words = content_type.value.split()
    if words and _TYPE.fullmatch(words[0]):
        if len(words) > 1:  # a missing semicolon: `text/html charset=utf-8`
            _note_malformed(content_type, defects)
        return words[0]
    if content_type.value or content_type.plain:
        _note_malformed(content_type, defects)
    return "message/rfc822" if parent == "multipart/digest" else "text/plain"


def _note_malformed(content_type: Parameters, defects: Defects) -> None:
    """What may be a multipart to others is ambiguous; what is text in any reading is not."""
    composite = _COMPOSITE.search("".join(content_type.value.split())) or "boundary" in content_type.plain
    defects.add(ambiguity.CONTENT_TYPE if composite else "malformed-content-type")


def _encoding(fields: dict[str, bytes], kind: str, defects: Defects) -> str:
    written = fields.get("content-transfer-encoding", b"").decode("ascii", "replace").strip().lower()
    encoding = written
    if written not in ENCODINGS:
        encoding = encoding_of(written)
        _note_odd_encoding(written, encoding, defects)
    if encoding not in IDENTITY and kind.startswith("multipart/"):
        defects.add(ambiguity.ENCODED_MULTIPART)  # the parts are read as they stand
    elif encoding not in IDENTITY and kind in _UNENCODED:
        defects.add(ambiguity.ENCODED_MESSAGE)
    return encoding


def _note_odd_encoding(written: str, encoding: str, defects: Defects) -> None:
    if encoding not in ENCODINGS or is_misspelt(written):
        defects.add(ambiguity.UNKNOWN_ENCODING)
    elif not is_plain_token(written):
        defects.add(ambiguity.TRANSFER_ENCODING)


def _descend(walk: _Walk, kind: str, content_type: Parameters, start: int, place: _Range) -> bool:
    """Puts the parts between the delimiters on the stack. False when there are none: the part stays a leaf."""
    boundary = _boundary(content_type, walk.defects)
    ranges = _between_delimiters(walk, boundary, start, place.end) if boundary else []
    if not ranges:
        walk.defects.add("multipart-without-parts")
        if DECISIVE_LINE.search(walk.content, max(start - 1, 0), place.end):
            walk.defects.add(ambiguity.UNREAD_PARTS)
        return False
    note_unusual_preamble(walk.content, start, walk.content.find(b"--" + boundary, start), walk.defects)
    require("multipart depth", place.depth + 1, DEPTH)
    walk.parts += len(ranges)
    require("body parts", walk.parts, PARTS)
    alternative = place.alternative or (f"{place.path}." if kind == "multipart/alternative" else "")
    prefix = f"{place.path}." if place.path else ""
    children = [
        _Range(begin, end, f"{prefix}{number + 1}", place.depth + 1, kind, number, alternative)
        for number, (begin, end) in enumerate(ranges)
    ]
    walk.stack.extend(reversed(children))
    return True


def _boundary(content_type: Parameters, defects: Defects) -> bytes:
    """The boundary, or nothing."""
    note_boundary(content_type, defects)
    boundary = content_type.token("boundary")
    if not boundary or not boundary.strip():
        return b""
    octets = boundary.rstrip().encode("utf-8", "replace")
    require("boundary octets", len(octets), BOUNDARY_OCTETS)
    return octets


def _between_delimiters(walk: _Walk, boundary: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """Where the parts begin and end. Parts behind a close delimiter count too: some programs show them."""
    content = walk.content
    delimiter = b"--" + boundary
    ranges: list[tuple[int, int]] = []
    begin = -1
    closed = False
    close = false = 0
    at = _next(content, delimiter, start, end)
    while at >= 0:
        behind = (
            _BEHIND_BOUNDARY.match(content, at + len(delimiter), end) if _at_line_start(content, at, start) else None
        )
        if behind is None:
            false += 1
            require("lines that resemble a delimiter", false, FALSE_DELIMITERS)
            if _may_be_delimiter(walk, at, at + len(delimiter), end):
                walk.strays.add(at)
            at = _next(content, delimiter, at + len(delimiter), end)
            continue
        if begin >= 0:
            ranges.append((begin, _before_line_end(content, begin, at)))
            require("body parts", walk.parts + len(ranges), PARTS)
        elif closed:
            walk.defects.add(ambiguity.BOUNDARY)
        walk.strays.discard(at)
        note_unusual_delimiter(behind[0], walk.defects)
        closed = bool(behind[1])
        begin = -1 if closed else behind.end()
        close = behind.end()
        at = _next(content, delimiter, behind.end(), end)
    if begin >= 0:
        ranges.append((begin, end))
        walk.defects.add("no-close-delimiter")
    elif close < end and closed and hides_fields(content, close, end):
        walk.defects.add(ambiguity.BOUNDARY)  # a part to who does not take the line above it for the end
    return ranges


def _may_be_delimiter(walk: _Walk, at: int, behind: int, end: int) -> bool:
    """Whether programs that compare only the beginning of a line with a delimiter find the header of a file below it."""
    if is_cut_otherwise(walk.content, at, behind, end):
        return True
    if not has_field_below(walk.content, at, behind, end):
        return False
    walk.looks += 1
    return walk.looks > _LOOKS or hides_fields(walk.content, behind, end)


def _next(content: bytes, delimiter: bytes, start: int, end: int) -> int:
    """Base64 has no hyphens at all, and one octet is looked for twenty times faster than several."""
    hyphen = content.find(b"-", start, end)
    return content.find(delimiter, hyphen, end) if hyphen >= 0 else -1


def _at_line_start(content: bytes, at: int, start: int) -> bool:
    return at == start or content[at - 1] == 0x0A


def _before_line_end(content: bytes, begin: int, at: int) -> int:
    """The line end before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1)."""
    end = at - 1 if at > begin else at
    return end - 1 if end > begin and content[end - 1] == 0x0D else end
