"""Header fields: where a header ends, unfolding (RFC 5322 section 2.2.3), and lines that are no field."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.parse.defects import Defects
from gateway.parse.limits import FIELDS, HEADER_BYTES, require

_NAME = re.compile(rb"[!-9;-~]++[ \t]*+:")
_NAME_ALONE = re.compile(rb"[!-9;-~]++[ \t]*+\r?\n[ \t]++:")


class Field(NamedTuple):
    """One field. `value` is unfolded and still encoded. `odd`: other parsers may not see this field, or see another."""

    name: str
    value: bytes
    odd: bool


@dataclass(slots=True)
class Header:
    """The fields, and where in the content the body begins."""

    fields: list[Field]
    body: int
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
    return read_header(content, start, len(content), defects)


def read_header(content: bytes, start: int, end: int, defects: Defects) -> Header:
    """The header that begins at `start`. It ends at an empty line, or before a line that looks like text.

    A line that is no field but stands between fields is skipped: broken unfolding leaves such lines, and what
    follows them is still wanted. Either way the fields behind it are `odd`. Raises TooComplex.
    """
    fields: list[Field] = []
    lines: list[bytes] = []
    odd = False
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
        elif _NAME.match(line, 0, HEADER_BYTES) or _NAME_ALONE.match(content, at, min(end, at + HEADER_BYTES)):
            _keep(fields, lines, odd=odd)
            lines = [line]
        elif _NAME.match(content, after, min(end, after + HEADER_BYTES)):
            _keep(fields, lines, odd=odd)
            lines = []
            odd = True
            defects.add("malformed-header-line")
        else:
            defects.add("no-blank-line-behind-header" if fields or lines else "no-header")
            break
        at = after
        require("header bytes", at - start, HEADER_BYTES)
    _keep(fields, lines, odd=odd)
    return Header(fields, at)


def _keep(fields: list[Field], lines: list[bytes], *, odd: bool) -> None:
    if not lines:
        return
    require("header fields", len(fields) + 1, FIELDS)
    name, _, value = b"".join(lines).partition(b":") if len(lines) > 1 else lines[0].partition(b":")
    bare = name.rstrip(b" \t")
    odd = odd or bare != name or b":" not in lines[0] or b"\r" in value or b"\0" in value
    fields.append(Field(bare.decode("ascii", "replace"), value, odd))
