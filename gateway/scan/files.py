"""What each file of a message is: by its content, its declared type and each of its names."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gateway.core.message import ParsedMessage, Part
from gateway.core.reports import PartReport
from gateway.parse import decode_part, parse
from gateway.scan import filetypes
from gateway.scan.inside.entry import Budget
from gateway.scan.inside.walk import Inside, is_container, look_inside, read_as


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
        """One for each attachment of the message that was parsed with `see`; what they contain is not looked at yet."""
        return tuple(_report(part, self._seen[part.n]) for part in message.parts if part.is_attachment)

    def has_containers(self, reports: Sequence[PartReport]) -> bool:
        return any(is_container(self._read_as(report)) for report in reports)

    def looked_into(
        self, content: bytes, message: ParsedMessage, reports: Sequence[PartReport], deadline: float
    ) -> tuple[PartReport, ...]:
        """The reports, with what lies in each file. Takes up to SECONDS; `deadline` is a `time.monotonic()` value.

        Raises TimeoutError when it has passed before the work began.
        """
        if time.monotonic() > deadline:
            raise TimeoutError("no turn to look into its files came up")
        budget = Budget(deadline)
        parts = {part.n: part for part in message.parts}
        return tuple(self._with_inside(report, parts[report.n], content, budget) for report in reports)

    def look_into(
        self, report: PartReport, octets: bytes, budget: Budget, see: Callable[[bytes], None] | None = None
    ) -> Inside:
        """What lies in the file of this report; `see` as in `look_inside`."""
        return look_inside(octets, report.name, self._read_as(report), budget, see)

    def _with_inside(self, report: PartReport, part: Part, content: bytes, budget: Budget) -> PartReport:
        if not is_container(self._read_as(report)):
            return report
        # decoded again: to keep all containers since they were parsed would hold each large message twice in memory
        found = self.look_into(report, decode_part(content, part), budget)
        return replace(
            report,
            encrypted=report.encrypted or found.encrypted,
            macros=report.macros or found.macros,
            inside=found.files,
            unscannable=found.unscannable,
        )

    def _read_as(self, report: PartReport) -> filetypes.Content:
        return read_as(self._seen[report.n].looked, report.types)


def parse_and_see(content: bytes) -> tuple[ParsedMessage, Files]:
    """The message, and its files. Raises TooComplex."""
    files = Files()
    return parse(content, files.see), files


def _report(part: Part, seen: _Seen) -> PartReport:
    looked = seen.looked
    kind = filetypes.media_class(looked.detected, part.declared_type, part.names)
    return PartReport(
        n=part.n,
        name=filetypes.shown(part.names[0]) if part.names else "",
        declared_type=part.declared_type,
        detected_type=looked.detected,
        media_class=kind,
        types=filetypes.all_types(looked, part.declared_type, part.names),
        size_bytes=seen.size_bytes,
        sha256=seen.sha256,
        inline=part.inline and kind == "image",
        encrypted=looked.encrypted,
        macros=looked.macros,
    )
