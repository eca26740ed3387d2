"""What each file of a message is: by its content, its declared type and each of its names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gateway.core.message import ParsedMessage, Part
from gateway.core.reports import PartReport
from gateway.parse import parse
from gateway.scan import filetypes


@dataclass(frozen=True, slots=True)
class _Seen:
    looked: filetypes.Content
    size_bytes: int
    sha256: str


class Files:
    """Those of one message. They are looked at while the parser has them decoded: to decode ten megabytes of base64 once
    more is a sixth of what such a message costs.
    """

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}

    def see(self, n: int, octets: bytes) -> None:
        """The decoded octets of part `n`."""
        self._seen[n] = _Seen(filetypes.look(octets), len(octets), hashlib.sha256(octets).hexdigest())

    def reports(self, message: ParsedMessage) -> tuple[PartReport, ...]:
        """One for each attachment of the message that was parsed with `see`."""
        return tuple(_report(part, self._seen[part.n]) for part in message.parts if part.is_attachment)


def parse_and_see(content: bytes) -> tuple[ParsedMessage, Files]:
    """The message, and its files. Raises TooComplex."""
    files = Files()
    return parse(content, files.see), files


def _report(part: Part, seen: _Seen) -> PartReport:
    looked = seen.looked
    return PartReport(
        n=part.n,
        name=filetypes.shown(part.names[0]) if part.names else "",
        declared_type=part.declared_type,
        detected_type=looked.detected,
        media_class=filetypes.media_class(looked.detected, part.declared_type, part.names),
        types=filetypes.all_types(looked, part.declared_type, part.names),
        size_bytes=seen.size_bytes,
        sha256=seen.sha256,
        inline=part.inline,
        encrypted=looked.encrypted,
        macros=looked.macros,
    )
