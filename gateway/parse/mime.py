"""The MIME tree (RFC 2045, RFC 2046) as a list of leaves, each with where its body lies in the content.

No recursion and no copy: a stack of ranges; the delimiters of the outer multipart are found first, so an inner one can
never swallow them (RFC 2046 section 5.1.2). Each level is one pass of `bytes.find`, and the depth is limited.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.parse.defects import Defects
from gateway.parse.fields import Header, read_header
from gateway.parse.limits import BOUNDARY_OCTETS, DEPTH, FALSE_DELIMITERS, PART_HEADER_BYTES, PARTS, require
from gateway.parse.parameters import Parameters, read_parameters
from gateway.parse.transfer import ENCODINGS, IDENTITY, encoding_of

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+*-]+")
_BEHIND_BOUNDARY = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\r?\Z)")
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,./:=? #$%&*;@\[\]^`{|}~!<>-]*[^ ]")


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
    return Tree(root, walk.leaves)


def _read_part(walk: _Walk, header: Header, place: _Range) -> str:
    """Adds a leaf, or the parts of a multipart to the stack; gives the part's type."""
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


def _content_fields(header: Header, defects: Defects) -> dict[str, bytes]:
    """The Content-* fields; of several the first counts, and differing ones are ambiguous: programs choose differently."""
    found: dict[str, bytes] = {}
    for one in header.fields:
        name = one.name.lower()
        if not name.startswith("content-"):
            continue
        if name not in found:
            found[name] = one.value
        elif name in ("content-type", "content-transfer-encoding") and found[name].strip() != one.value.strip():
            defects.add(f"ambiguous-{name}")
        else:
            defects.add(f"duplicate-{name}")
    return found


def _type_of(content_type: Parameters, parent: str, defects: Defects) -> str:
    words = content_type.value.split()
    if words and _TYPE.fullmatch(words[0]):
        if len(words) > 1:  # a missing semicolon: `text/html charset=utf-8`
            defects.add("malformed-content-type")
        return words[0]
    if content_type.value:
        defects.add("malformed-content-type")
    return "message/rfc822" if parent == "multipart/digest" else "text/plain"


def _encoding(fields: dict[str, bytes], kind: str, defects: Defects) -> str:
    encoding = encoding_of(fields.get("content-transfer-encoding", b"").decode("ascii", "replace"))
    if encoding not in ENCODINGS:
        defects.add("unknown-transfer-encoding")
    elif encoding not in IDENTITY and kind.startswith("multipart/"):
        defects.add("encoded-multipart")  # RFC 2045 section 6.4 forbids it; the parts are read as they stand
    return encoding


def _descend(walk: _Walk, kind: str, content_type: Parameters, start: int, place: _Range) -> bool:
    """Puts the parts between the delimiters on the stack. False when there are none: the part stays a leaf."""
    boundary = _boundary(content_type, walk.defects)
    ranges = _between_delimiters(walk, boundary, start, place.end) if boundary else []
    if not ranges:
        walk.defects.add("multipart-without-parts")
        return False
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
    """The boundary, or nothing. Every form that mail programs read differently is a defect (RFC 2231, several, blanks)."""
    boundary = content_type.token("boundary")
    if not boundary or not boundary.strip():
        defects.add("ambiguous-boundary")
        return b""
    written = content_type.plain.get("boundary", [])
    if (
        "boundary" in content_type.extended
        or len(set(written)) > 1
        or not _BOUNDARY.fullmatch(boundary)
        or "=?" in boundary
    ):
        defects.add("ambiguous-boundary")
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
    false = 0
    at = _next(content, delimiter, start, end)
    while at >= 0:
        behind = (
            _BEHIND_BOUNDARY.match(content, at + len(delimiter), end) if _at_line_start(content, at, start) else None
        )
        if behind is None:
            false += 1
            require("lines that resemble a delimiter", false, FALSE_DELIMITERS)
            at = _next(content, delimiter, at + len(delimiter), end)
            continue
        if begin >= 0:
            ranges.append((begin, _before_line_end(content, begin, at)))
            require("body parts", walk.parts + len(ranges), PARTS)
        elif closed:
            walk.defects.add("ambiguous-boundary")
        closed = bool(behind[1])
        begin = -1 if closed else behind.end()
        at = _next(content, delimiter, behind.end(), end)
    if begin >= 0:
        ranges.append((begin, end))
        walk.defects.add("no-close-delimiter")
    return ranges


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
