"""The results of a comparison: medians with their ranges, ratios of the same round, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Spread

COLUMNS = ("messages/s", "p50 ms", "p99 ms", "own CPU ms", "helpers", "clamd", "largest MB", "all MB")


@dataclass(frozen=True, slots=True)
class Measured:
    """One peer under one load in one round. CPU in ms a message, memory in MB (`together` with helpers, without clamd)."""

    peer: str
    size: str
    round: int
    rate: float
    p50: float
    p99: float
    own_cpu: float
    helper_cpu: float
    clamd_cpu: float
    generator_cpu: float
    largest: float
    together: float
    replies: dict[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """All that was measured. `calibrations`: seconds of the machine's own loop, one a round; `again`: rounds done anew."""

    machine: str
    calibrations: tuple[float, ...]
    again: int
    measured: tuple[Measured, ...]

    def spread(self, peer: str, size: str, what: str) -> Spread:
        return Spread.of([getattr(m, what) for m in self._of(peer, size)])

    def ratio(self, ours: str, peer: str, size: str) -> Spread:
        """Of the rates, each within its round: the machine's moods cancel out."""
        theirs = {m.round: m.rate for m in self._of(peer, size)}
        return Spread.of([m.rate / theirs[m.round] for m in self._of(ours, size)])

    def refusals(self) -> list[str]:
        """What was not accepted: a rate with refusals in it is not a rate."""
        return [
            f"{m.peer}, {m.size}, round {m.round}: {count} x {reply}"
            for m in self.measured
            for reply, count in m.replies.items()
            if reply != "accepted"
        ]

    def to_json(self) -> dict[str, Any]:
        sizes, peers = self.sizes, self.peers
        ours = [p for p in peers if p.startswith("ours")]
        ratios = {
            f"{us}/{peer} {size}": asdict(self.ratio(us, peer, size))
            for us in ours
            for peer in peers
            for size in sizes
            if peer != us
        }
        return asdict(self) | {"ratios": ratios, "refusals": self.refusals()}

    @property
    def sizes(self) -> list[str]:
        return list(dict.fromkeys(m.size for m in self.measured))

    @property
    def peers(self) -> list[str]:
        return list(dict.fromkeys(m.peer for m in sorted(self.measured, key=lambda m: m.round)))

    def _of(self, peer: str, size: str) -> Sequence[Measured]:
        return [m for m in self.measured if (m.peer, m.size) == (peer, size)]


def show(report: Report, console: Console) -> None:
    """A table for each size: medians of the rounds, in brackets their range."""
    ours = [p for p in report.peers if p.startswith("ours")]
    for size in report.sizes:
        console.print(_table(report, size, ours))
    low, high = min(report.calibrations), max(report.calibrations)
    console.print(f"{report.machine}; calibration {low:.2f} to {high:.2f} s, {report.again} rounds done again")
    for line in report.refusals():
        console.print(f"[red]not accepted: {line}[/]")


def _table(report: Report, size: str, ours: Sequence[str]) -> Table:
    table = Table(title=f"{size}: medians of {len(report.calibrations)} rounds (lowest-highest)", title_justify="left")
    table.add_column("peer")
    for column in (*COLUMNS, *(f"{us} is x times" for us in ours)):
        table.add_column(column, justify="right")
    fields = ("rate", "p50", "p99", "own_cpu", "helper_cpu", "clamd_cpu", "largest", "together")
    for peer in report.peers:
        figures = [report.spread(peer, size, field) for field in fields]
        ratios = ["" if us == peer else str(report.ratio(us, peer, size)) for us in ours]
        table.add_row(peer, *_cells(figures), *ratios)
    return table


def _cells(figures: Sequence[Spread]) -> list[str]:
    """The range where it matters most, medians elsewhere: eight ranges in a row are not read."""
    rate, *rest = figures
    return [str(rate), *(str(Spread(f.median, f.median, f.median)) for f in rest)]
