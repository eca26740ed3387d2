"""Accepting and listing as the store grows: python -m bench.growth [--steps 10000,100000] [--fill commits].

Two gateways: one grows from step to step, the other one has as many as `--reference` says. At each step both are probed in
turn, many times within the same minutes (pages one after the other), because a busy machine differs more from one minute to
the next than a store of ten thousand messages from one of a million: read the ratios, which come from the same round. At a
step as large as the reference both are alike, and the ratio says what the machine's noise is.

`--fill smtp` fills by mail, some 200 a second; `--fill commits` through the store's own commit, see `bench/filling.py`.
The gateways have no relay: what the probes' mail owes waits in both alike. One agent is told of every ticket.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import secrets
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

from sqlalchemy import func, select

from bench.alone import fetch, gateway, load, refusals
from bench.figures import Spread
from bench.filling import Filler, genuine
from bench.peers.ours import Ours
from bench.processes import cpu_seconds, settle
from gateway.store.changes import add_key
from gateway.store.tables import Event, MessageRow, Outbox, Ticket
from gateway.store.tables.columns import columns
from gateway.web.security import key_digest

LISTS = {
    "messages": ("message:{}", columns(MessageRow).id),
    "tickets": ("ticket:{}", columns(Ticket).number),
    "outbox": ("outbox:{}", columns(Outbox).id),
    "events": ("event:{}-1", columns(Event).id),
}
"""Each list with the form of its cursors and what it is sorted by."""
PAGES = 40
"""So often a round asks each store for each page, in turn: a page takes milliseconds, and the machine's mood lasts longer."""
PROBE = (10, 60)
"""Connections, and messages on each, of a round's load."""
BY_MAIL = 5000


@dataclass(slots=True)
class Subject:
    """A gateway whose store grows."""

    peer: Ours
    by_mail: bool
    planned: int
    key: str = ""
    filler: Filler | None = None
    loads: int = 0
    middles: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Nothing runs yet."""
        home = self.peer.gateway
        home.add_agent("acme", "ann@acme.test")
        self.key = f"gw_{secrets.token_urlsafe(32)}"
        add_key(home.ground.store, home.named["acme"], scope="read", digest=key_digest(self.key))
        if not self.by_mail:
            self.filler = Filler(self.peer, genuine(self.peer), self.planned)

    @property
    def stored(self) -> int:
        with self.peer.gateway.ground.store.read() as connection:
            return int(connection.execute(select(func.count()).select_from(MessageRow)).scalar_one())

    def fill(self, upto: int) -> None:
        """The gateway runs afterwards, anew."""
        if self.peer.gateway.running:
            self.peer.gateway.stop()
        if self.filler:
            self.filler.fill(upto)
        self.peer.serve()
        if not self.filler:
            for part in range(self.stored, upto, BY_MAIL):
                self.load(10, max(1, min(BY_MAIL, upto - part) // 10))

    def load(self, connections: int, messages: int) -> tuple[float, float]:
        """Median and 99th percentile in milliseconds."""
        self.loads += 1
        taken = load(self.peer, "small", connections, messages, f"load-{self.loads}")
        if refused := refusals(taken):
            print(refused, flush=True)
        return taken.percentile(50), taken.percentile(99)

    def find_middles(self) -> None:
        """A cursor into the middle of each list."""
        account = self.peer.gateway.named["acme"]
        with self.peer.gateway.ground.store.read() as connection:
            for kind, (form, column) in LISTS.items():
                count = connection.execute(
                    select(func.count()).where(column.table.c.account_id == account)
                ).scalar_one()
                keys = select(column).where(column.table.c.account_id == account).order_by(column)
                middle = connection.execute(keys.offset(count // 2).limit(1)).scalar_one()
                self.middles[kind] = base64.urlsafe_b64encode(form.format(middle).encode()).decode().rstrip("=")

    def page(self, kind: str, cursor: str) -> float:
        """Milliseconds."""
        path = f"/api/v1/accounts/acme/{kind}" + (f"?cursor={cursor}" if cursor else "")
        started = perf_counter()
        assert json.loads(fetch(self.peer, path, self.key))["items"]
        return 1000 * (perf_counter() - started)

    def accept(self) -> dict[str, float]:
        """A load's measurements, in milliseconds; the CPU is the gateway's and its database's, a message."""
        pids = [*self.peer.own(), *self.peer.helpers()]
        before = cpu_seconds(pids)
        p50, p99 = self.load(*PROBE)
        settle(pids)
        cpu = 1000 * (cpu_seconds(pids) - before) / (PROBE[0] * PROBE[1])
        return {"accept p50": p50, "accept p99": p99, "accept CPU": cpu}


def pages(one: Subject, other: Subject) -> dict[str, tuple[float, float]]:
    """Medians of each page in milliseconds."""
    found = {}
    for kind in LISTS:
        for place in ("newest", "middle"):
            taken: tuple[list[float], list[float]] = ([], [])
            for _ in range(PAGES):
                for times, subject in zip(taken, (one, other), strict=True):
                    times.append(subject.page(kind, subject.middles[kind] if place == "middle" else ""))
            found[f"{kind}, {place}"] = statistics.median(taken[0]), statistics.median(taken[1])
    return found


def compare(growing: Subject, reference: Subject, rounds: int) -> None:
    """Probe both in turn, each first in every other round, and print what came of it."""
    for subject in (growing, reference):
        subject.find_middles()
        subject.load(10, 10)
    print(f"\n{growing.stored:,} stored beside {reference.stored:,}, {rounds} rounds, ms:", flush=True)
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number in range(rounds):
        order = (growing, reference) if number % 2 else (reference, growing)
        found = {id(subject): subject.accept() for subject in order}
        for what, value in found[id(growing)].items():
            taken[what].append((value, found[id(reference)][what]))
        for what, pair in pages(growing, reference).items():
            taken[what].append(pair)
    for what, pairs in taken.items():
        print(line(what, pairs), flush=True)


def line(what: str, pairs: Sequence[tuple[float, float]]) -> str:
    """Medians with their ranges: the large store, the small one, and the ratio within each round."""
    large, small = Spread.of([a for a, _ in pairs]), Spread.of([b for _, b in pairs])
    return f"  {what:<18} {large!s:<24} {small!s:<24} x {Spread.of([a / b for a, b in pairs])}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.growth", description=__doc__)
    parser.add_argument("--steps", default="10000,100000", help="how many messages are stored at each probe")
    parser.add_argument("--fill", choices=("commits", "smtp"), default="commits", help="how they come there")
    parser.add_argument("--reference", type=int, default=10_000, help="how many the store has that does not grow")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peer", default="ours", help="ours or ours-postgres")
    given = parser.parse_args()
    steps = [int(step) for step in given.steps.split(",")]
    with contextlib.ExitStack() as stack:
        growing, reference = (
            Subject(stack.enter_context(gateway(given.peer, started=False)), given.fill == "smtp", max(steps))
            for _ in range(2)
        )
        for subject in (growing, reference):
            subject.prepare()
        reference.fill(given.reference)
        for step in steps:
            started, before = perf_counter(), growing.stored
            growing.fill(step)
            rate = (growing.stored - before) / (perf_counter() - started)
            print(f"filled by {given.fill}: {rate:,.0f}/s", flush=True)
            os.sync()  # what the filling left for the kernel to write is no message's wait
            compare(growing, reference, given.rounds)


if __name__ == "__main__":
    main()
