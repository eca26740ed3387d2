"""Header fields: where a header ends, unfolding (RFC 5322 section 2.2.3), and lines that are no field."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.core.ambiguity import HEADER
from gateway.parse.defects import Defects
from gateway.parse.limits import FIELDS, HEADER_BYTES, require

_NAME = re.compile(rb"[!-9;-~]++[ \t]*+:")
_NAME_ALONE = re.compile(rb"[!-9;-~]++[ \t]*+\r?\n[ \t]++:")
DECISIVE = re.compile(
    rb"content-(?:disposition[ \t]*+:"
    rb"|type[ \t]*+:\s*+(?!text/(?:plain|html)(?:;\s*+charset=[^;\s]++)?[ \t]*+(?:[\r\n]|\Z))"
    rb"|transfer-encoding[ \t]*+:\s*+(?![78]bit))",
    re.IGNORECASE,
)
"""The beginning of a field that decides what files there are; text in no encoding, without a name, is none."""
DECISIVE_LINE = re.compile(rb"[\r\n][^!-~\r\n]*+" + DECISIVE.pattern, re.IGNORECASE)
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_NEAR = 4096
"""Octets behind a header cut short by a line that is no field, in which more of the header is looked for."""


class Field(NamedTuple):
    """One field. `value` is unfolded and still encoded. `odd`: other parsers may not see this field, or see another."""

    name: str
    value: bytes
    odd: bool


@dataclass(slots=True)
class Header:
    """The fields, and where in the content the body begins. `doubtful`: some programs take a blank line before it, or a
    folded line of nothing but blanks in it, for its end.
    """

    fields: list[Field]
    body: int
    doubtful: bool = False
    _by_name: dict[str, list[bytes]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.fields:
            self._by_name.setdefault(one.name.lower(), []).append(one.value)

    def values(self, name: str) -> list[bytes]:
        """Values of all fields of that name (given in lower case), topmost first."""
        return self._by_name.get(name, [])


def read_message_header(content: bytes, defects: Defects) -> Header:
    """The header of a message; blank lines and an mbox `From ` line before it are passed over.

    Raises TooComplex.
    """
    start = 0
    while content.startswith((b"\r\n", b"\n"), start):
        start = content.find(b"\n", start) + 1
        require("header bytes", start, HEADER_BYTES)
    if start:
        defects.add("blank-lines-before-header")
    if content.startswith((b"From ", b">From "), start) and not _NAME.match(content, start):
        start = (content.find(b"\n", start) + 1) or len(content)
    header = read_header(content, start, len(content), defects)
    header.doubtful |= content.startswith((b"\r", b"\n"))
    return header


def read_header(content: bytes, start: int, end: int, defects: Defects) -> Header:
    """The header that begins at `start`. It ends at an empty line, or before a line that looks like text.

    A line that is no field but stands between fields is skipped: broken unfolding leaves such lines, and what
    follows them is still wanted. Either way the fields behind it are `odd`. Raises TooComplex.
    """
    fields: list[Field] = []
    lines: list[bytes] = []
    odd = False
    doubtful = hidden = False
    at = start
    while at < end:
        newline = content.find(b"\n", at, end)
        after = newline + 1 if newline >= 0 else end
        line = content[at:after].rstrip(b"\n").removesuffix(b"\r")
        if not line:
            at = after
            break
        if line[0] in b" \t" and lines:
            lines.append(line)
            doubtful |= line.isspace()
        elif _NAME.match(line, 0, HEADER_BYTES) or _NAME_ALONE.match(content, at, min(end, at + HEADER_BYTES)):
            _keep(fields, lines, odd=odd)
            lines = [line]
        elif _NAME.match(content, after, min(end, after + HEADER_BYTES)):
            _keep(fields, lines, odd=odd)
            lines = []
            odd = True
            defects.add("malformed-header-line")
            hidden |= hides_fields(content, at, after)
        else:
            defects.add("no-blank-line-behind-header" if fields or lines else "no-header")
            hidden = hidden or hides_fields(content, at, end)
            break
        at = after
        require("header bytes", at - start, HEADER_BYTES)
    _keep(fields, lines, odd=odd)
    if hidden:
        defects.add(HEADER)
    return Header(fields, at, doubtful)


def hides_fields(content: bytes, at: int, end: int) -> bool:
    """Whether fields that decide what files there are stand before the next empty line, where we read no header."""
    stop = min(end, at + _NEAR)
    empty = _EMPTY_LINE.search(content, at, stop)
    return bool(DECISIVE_LINE.search(b"\n" + content[at : empty.end() if empty else stop]))


def _keep(fields: list[Field], lines: list[bytes], *, odd: bool) -> None:
    if not lines:
        return
    require("header fields", len(fields) + 1, FIELDS)
    name, _, value = b"".join(lines).partition(b":") if len(lines) > 1 else lines[0].partition(b":")
    bare = name.rstrip(b" \t")
    odd = odd or bare != name or b":" not in lines[0] or b"\r" in value or b"\0" in value
    fields.append(Field(bare.decode("ascii", "replace"), value, odd))
