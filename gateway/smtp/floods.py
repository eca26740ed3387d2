"""Floods in the delivery log: what a client network is refused before any content, told in sum beyond the first few.

Guessing recipients costs a client nothing; without this, each guess would be a line in the log of whom it is tried on,
and the log's disk the cheapest thing to fill here (RFC 5321 section 7.3, T27).
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from gateway.core.tokens import new_trace_id
from gateway.core.trace import NAMED_REFUSALS, Step
from gateway.smtp.clients import network_of
from gateway.store.filing import LogEntry

ONE_BY_ONE: Final = 10
WINDOW_SECONDS: Final = 60.0
NETWORKS: Final = 4096
"""So many are watched at once, each in some 10 kB at worst; one that has been quiet longest is told and forgotten."""


@dataclass(slots=True)
class _Sum:
    """Many entries of one network and one account. Whatever clients can choose is kept in samples of bounded number."""

    first: LogEntry
    count: int = 0
    recipients: int = 0
    last_at: datetime = field(init=False)
    endings: Counter[tuple[str, str]] = field(default_factory=Counter)
    replies: dict[tuple[str, str], str] = field(default_factory=dict)
    named: dict[str, None] = field(default_factory=dict)
    reverse_paths: dict[str, None] = field(default_factory=dict)
    clients: dict[str, None] = field(default_factory=dict)
    helos: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.last_at = self.first.record.at

    def add(self, entry: LogEntry) -> None:
        record = entry.record
        ending = (record.outcome, record.reason)
        self.count += 1
        self.endings[ending] += 1
        # a reply that names its trace is that of one transaction: the sum has a trace of its own
        self.replies.setdefault(ending, record.reply.replace(f"{record.trace_id} ", ""))
        self.recipients += len(record.recipients) + sum(s.detail.get("more_refused_recipients", 0) for s in entry.steps)
        self.last_at = max(self.last_at, record.at)
        _sample(self.named, record.recipients)
        _sample(self.reverse_paths, [f"<{record.reverse_path or ''}>"])
        _sample(self.clients, [record.client_ip] if record.client_ip else [])
        _sample(self.helos, [record.helo] if record.helo else [])

    def entry(self, network: str) -> LogEntry:
        """One entry for all of them; one of one is itself."""
        if self.count == 1:
            return self.first
        outcome, reason = self._ending()
        record = replace(
            self.first.record,
            trace_id=new_trace_id(),
            at=self.last_at,
            outcome=outcome,
            reason=reason,
            client_ip=self.first.record.client_ip if len(self.clients) == 1 else network,
            helo=self.first.record.helo if len(self.helos) == 1 else None,
            reverse_path=self.first.record.reverse_path if len(self.reverse_paths) == 1 else "",
            recipients=tuple(self.named),
            reply=f"{self.replies[outcome, reason]} ({self.count} transactions)",
        )
        return LogEntry(record, (Step(self.last_at, "receive", outcome, reason, self._detail(network)),))

    def _ending(self) -> tuple[str, str]:
        """What most of them came to; where any was refused, most of those: a sum with a 5xx in it does not come again."""
        refused = Counter({ending: n for ending, n in self.endings.items() if ending[0] == "refused"})
        return (refused or self.endings).most_common(1)[0][0]

    def _detail(self, network: str) -> dict[str, Any]:
        reasons: Counter[str] = Counter()
        for (_, reason), count in self.endings.items():
            reasons[reason] += count
        return {
            "aggregated": self.count,
            "network": network,
            "reasons": dict(reasons.most_common()),
            "first_at": self.first.record.at.isoformat(),
            "last_at": self.last_at.isoformat(),
            "recipients_in_all": self.recipients,
            "reverse_paths": list(self.reverse_paths),
        }


@dataclass(slots=True)
class _Window:
    ends: float
    seen: int = 0
    sums: dict[str, _Sum] = field(default_factory=dict)


class Floods:
    """Refusals before the content, by client network: the first few of a minute one by one, the rest as one line with
    counts for each account they are in the log of.

    `emit` gets what goes into the log, a sum with a trace of its own. `flush` is called now and then, and at the end.
    """

    def __init__(
        self,
        emit: Callable[[LogEntry], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        one_by_one: int = ONE_BY_ONE,
        window_seconds: float = WINDOW_SECONDS,
        networks: int = NETWORKS,
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._one_by_one = one_by_one
        self._window_seconds = window_seconds
        self._networks = networks
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def record(self, entry: LogEntry) -> None:
        """Emits at once while the client's network has had fewer than `one_by_one` in its window, else counts.

        At once as well what has no client address, and deferred messages whose next attempt is looked for by their entry.
        """
        if entry.record.client_ip is None or entry.deferral:
            self._emit(entry)
            return
        window = self._window(_network(entry.record.client_ip))
        window.seen += 1
        if window.seen <= self._one_by_one:
            self._emit(entry)
            return
        account = entry.record.account
        window.sums.setdefault(account, _Sum(entry)).add(entry)

    def flush(self, *, all: bool = False) -> None:  # noqa: A002  a keyword, read aloud at its call
        """Emits the sums of windows that have ended; with `all`, at a stop, of every window."""
        now = self._clock()
        for network in [n for n, w in self._windows.items() if all or w.ends <= now]:
            self._end(network)

    def _window(self, network: str) -> _Window:
        now = self._clock()
        window = self._windows.get(network)
        if window and window.ends <= now:
            self._end(network)
            window = None
        if window is None:
            window = self._windows[network] = _Window(now + self._window_seconds)
            if len(self._windows) > self._networks:
                self._end(next(iter(self._windows)))
        self._windows.move_to_end(network)
        return window

    def _end(self, network: str) -> None:
        for found in self._windows.pop(network).sums.values():
            self._emit(found.entry(network))


def _network(ip: str) -> str:
    try:
        return network_of(ip)
    except ValueError:  # what a front server says in place of an address is a name like any other
        return ip


def _sample(seen: dict[str, None], values: Iterable[str]) -> None:
    for value in values:
        if len(seen) >= NAMED_REFUSALS:
            return
        seen.setdefault(value)
