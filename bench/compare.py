"""Peers and us, the same checks, the same run: python -m bench.compare [--rounds 5] [--peers …] [--sizes …] [--json FILE].

All servers run throughout and are loaded one after another; each round begins with another one. Figures of one run are
comparable with each other and with nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from bench import isolation
from bench.check import check
from bench.load import SHAPES, Load, run
from bench.machine import calibrate, describe, swings
from bench.peers import PEERS
from bench.peers.peer import Peer
from bench.places import run_folder
from bench.processes import cpu_seconds, settle, watch
from bench.report import Measured, Report, show
from bench.services import Services

WARMING = -1
"""The attempt that is thrown away: servers fork, import and fill their caches for the first messages."""
AGAIN = 3
"""How often a round is done again at most; a machine that still swings is told in the report."""


def measure(peer: Peer, services: Services, size: str, number: int, attempt: int) -> Measured:
    """One load on one peer. What it puts off until after its replies is counted with it."""
    connections, messages = SHAPES[size]
    label = f"{peer.name}-{number}-{attempt}-{size}"
    load = Load(
        "127.0.0.1", peer.port, peer.recipient, size, label, services.key.pem.decode(), connections, messages,
        isolation.SOURCES,
    )  # fmt: skip
    own, helpers, clamd = peer.own(), peer.helpers(), [services.clamd_pid]
    before = [cpu_seconds(roots) for roots in (own, helpers, clamd)]
    with watch([*own, *helpers]) as memory:
        taken = run(load)
        settle([*own, *helpers])
    sent = connections * messages
    own_cpu, helper_cpu, clamd_cpu = (
        1000 * (cpu_seconds(roots) - used) / sent for roots, used in zip((own, helpers, clamd), before, strict=True)
    )
    return Measured(
        peer=peer.name,
        size=size,
        round=number,
        rate=taken.rate,
        p50=taken.percentile(50),
        p99=taken.percentile(99),
        own_cpu=own_cpu,
        helper_cpu=helper_cpu,
        clamd_cpu=clamd_cpu,
        generator_cpu=1000 * taken.cpu_seconds / sent,
        largest=memory.largest,
        together=memory.together,
        replies=taken.replies,
    )


@contextlib.contextmanager
def running(
    names: Sequence[str], folder: Path, services: Services, tell: Callable[[str], None]
) -> Iterator[list[Peer]]:
    """The peers, started and checked. Raises NotChecking, TimeoutError or RuntimeError where one is not fit."""
    with contextlib.ExitStack() as stack:
        peers = []
        for name in names:
            tell(f"{name}: starting, checking its checks")
            peer = PEERS[name](folder / name)
            stack.callback(peer.stop)
            peer.start(services)
            check(peer, services, isolation.SOURCES[0])
            measure(peer, services, "small", 0, WARMING)
            peers.append(peer)
        yield peers


class Rounds:
    """Interleaved rounds on running peers."""

    def __init__(
        self, peers: Sequence[Peer], services: Services, sizes: Sequence[str], tell: Callable[[str], None]
    ) -> None:
        self._peers, self._services, self._sizes, self._tell = peers, services, sizes, tell
        self._calibrations: list[float] = []
        self._again = 0

    def run(self, count: int, machine: str) -> Report:
        measured = [m for number in range(count) for m in self._round(number, f"round {number + 1} of {count}")]
        return Report(machine, tuple(self._calibrations), self._again, tuple(measured))

    def _round(self, number: int, title: str) -> list[Measured]:
        """Again when the machine was another one at its end than at its beginning, or than in the rounds before."""
        for attempt in range(AGAIN + 1):
            before = calibrate()
            results = [
                self._one(peer, size, number, attempt, title) for size in self._sizes for peer in self._in_turn(number)
            ]
            after = calibrate()
            usual = statistics.median([*self._calibrations, before])
            if attempt == AGAIN or not (swings(before, usual) or swings(after, before)):
                self._calibrations.append(before)
                return results
            self._again += 1
            self._tell(f"{title}: again, the machine took {before:.2f} s, then {after:.2f} s for the same work")
        raise AssertionError("the last attempt returns")

    def _in_turn(self, number: int) -> list[Peer]:
        first = number % len(self._peers)
        return [*self._peers[first:], *self._peers[:first]]

    def _one(self, peer: Peer, size: str, number: int, attempt: int, title: str) -> Measured:
        result = measure(peer, self._services, size, number, attempt)
        self._tell(f"{title}: {size} {peer.name} {result.rate:.1f}/s, {result.own_cpu:.1f} ms")
        return result


def _names(given: str, known: Sequence[str]) -> list[str]:
    names = [name for name in given.split(",") if name]
    if unknown := set(names) - set(known):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    return names


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.compare", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=lambda s: _names(s, list(SHAPES)), default=list(SHAPES))
    parser.add_argument("--peers", type=lambda s: _names(s, list(PEERS)), default=list(PEERS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    missing = [package for name in given.peers for package in PEERS[name].missing()]
    if why := isolation.possible() or (missing and f"not installed: {', '.join(missing)} (./dev bench installs them)"):
        sys.exit(why)
    screen = Console(stderr=True)
    with run_folder() as folder:
        isolation.enter(folder)
        with (
            screen.status("measuring"),
            Services(folder, dns_port=53) as services,
            running(given.peers, folder, services, screen.print) as peers,
        ):
            report = Rounds(peers, services, given.sizes, screen.print).run(given.rounds, describe(folder))
    show(report, Console(width=None if sys.stdout.isatty() else 200))
    if given.json:
        given.json.write_text(json.dumps(report.to_json(), indent=1) + "\n")


if __name__ == "__main__":
    main()
