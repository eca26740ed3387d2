"""What was answered against what is stored: each message once, byte for byte, in one ticket, its notifications owed once."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from gateway.store.tables import MessageRow, Outbox, Ticket, Transaction
from gateway.store.tables.columns import columns
from tests.faults.clients import Sent, answered
from tests.faults.relay import Relay
from tests.servers.gateway import RunningGateway

_m, _t, _o, _x = columns(MessageRow), columns(Ticket), columns(Outbox), columns(Transaction)
_CHUNK = 500


@dataclass
class Result:
    """What a run came to; `problems` is empty when nothing was lost or doubled."""

    messages: int
    database: str = "sqlite"
    clients: int = 0
    answered: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    tickets: int = 0
    parked: int = 0
    blobs: int = 0
    notifications: int = 0
    sent_again: int = 0
    kills: int = 0
    worker_kills: int = 0
    stages: list[str] = field(default_factory=list)
    tries: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def table(self) -> str:
        rows = {
            "database": self.database,
            "clients": self.clients,
            "messages": self.messages,
            "answered 250": self.answered,
            "stored": self.stored,
            "lost": self.lost,
            "doubled": self.doubled,
            "tickets": self.tickets,
            "parked unread": self.parked,
            "of them in blobs": self.blobs,
            "tries": self.tries,
            "kills of the group": self.kills,
            "kills of one worker": self.worker_kills,
            "kills at stages": len(self.stages),
            "notifications": self.notifications,
            "sent again, same Message-ID": self.sent_again,
            "problems": len(self.problems),
            "seconds": round(self.seconds, 1),
        }
        lines = [f"{name:<30}{value:>10}" for name, value in rows.items()]
        return "\n".join([*lines, *(f"  killed at {s}" for s in self.stages), *(f"  {p}" for p in self.problems[:20])])


def compare(gateway: RunningGateway, relay: Relay, sent: list[Sent], result: Result) -> None:
    """Everything answered against everything stored, and `audit`; fills in `result`."""
    result.answered = sum(1 for _ in answered(sent))
    result.tries = sum(s.tries for s in sent)
    result.problems += gateway.audit().problems
    result.problems += _content_problems(gateway, sent, result)
    result.problems += _reply_problems(gateway, sent)
    result.problems += _ticket_problems(gateway, result)
    result.problems += _outbox_problems(gateway, relay, result)


def _content_problems(gateway: RunningGateway, sent: list[Sent], result: Result) -> Iterator[str]:
    """Each message once, byte-exact as it was sent, ticketed."""
    by_sha = {s.sha256: s for s in sent if s.sha256}
    stored: Counter[str] = Counter()
    for row in _rows(gateway):
        result.stored += 1
        result.blobs += row.content is None
        content = row.content
        if content is None:
            content = gateway.ground.blobs.get(row.account_id, row.id, row.sha256)
        digest = hashlib.sha256(content).hexdigest()
        stored[digest] += 1
        original = by_sha.get(digest)
        if original is None:
            yield f"message row {row.id}: nobody sent these bytes"
        elif gateway.named[original.account] != row.account_id:
            yield f"message {original.number} is in another account"
        elif row.disposition == "parked" and row.reason == "ended-processes" and result.worker_kills > 1:
            # what was in hand when two workers died is kept unread: neither lost nor doubled
            result.parked += 1
        elif row.disposition != "ticketed":
            yield f"message {original.number} is {row.disposition}"
    result.lost = sum(1 for s in answered(sent) if not stored[s.sha256])
    result.doubled = sum(n - 1 for n in stored.values())
    for s in sent:
        if not s.traces:
            yield f"message {s.number} was never answered 250"
        if stored[s.sha256] != 1:
            yield f"message {s.number} is stored {stored[s.sha256]} times"


def _rows(gateway: RunningGateway) -> Iterator[Any]:
    """A part at a time: a million messages fit in no memory."""
    query = select(_m.account_id, _m.id, _m.sha256, _m.content, _m.disposition, _m.reason).order_by(_m.id).limit(_CHUNK)
    last = ""
    while True:
        with gateway.store.read() as connection:
            rows = connection.execute(query.where(_m.id > last)).all()
        yield from rows
        if len(rows) < _CHUNK:
            return
        last = rows[-1].id


def _reply_problems(gateway: RunningGateway, sent: list[Sent]) -> Iterator[str]:
    """The trace that a 250 names exists, is this message's, and every repetition was told the same."""
    with gateway.store.read() as connection:
        query = select(_x.trace_id, _m.sha256).join(MessageRow, _m.id == _x.message_id)
        traces = dict(map(tuple, connection.execute(query.where(_m.trace_id == _x.trace_id))))
    for s in sent:
        if len(s.traces) > 1:
            yield f"message {s.number}: its repetitions were told different traces: {s.traces}"
        for trace in s.traces:
            if traces.get(trace) != s.sha256:
                yield f"message {s.number}: its 250 names trace {trace}, which is not its own"


def _ticket_problems(gateway: RunningGateway, result: Result) -> Iterator[str]:
    """A ticket per message; no number twice and none left out."""
    with gateway.store.read() as connection:
        tickets = connection.execute(select(_t.account_id, _t.number)).all()
        shared = connection.execute(
            select(_m.ticket_id, func.count())
            .where(_m.ticket_id.is_not(None))
            .group_by(_m.ticket_id)
            .having(func.count() > 1)
        ).all()
    result.tickets = len(tickets)
    if len(tickets) + result.parked != result.messages:
        yield f"{len(tickets)} tickets and {result.parked} parked for {result.messages} messages"
    yield from (f"ticket {t} holds {n} messages" for t, n in shared)
    for account, account_id in gateway.named.items():
        numbers = sorted(t.number for t in tickets if t.account_id == account_id)
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"ticket numbers of {account} are not 1 to {len(numbers)}, each once"


def _outbox_problems(gateway: RunningGateway, relay: Relay, result: Result) -> Iterator[str]:
    """One acknowledgement at most a message, all delivered; what was sent again has the same bytes but for our signature."""
    with gateway.store.read() as connection:
        query = select(_o.message_id, _o.kind, _o.recipient_key, _o.state, _o.message_id_header, _o.last_reply)
        rows = connection.execute(query).all()
    result.notifications = len(rows)
    for key, n in Counter((r.message_id, r.kind, r.recipient_key) for r in rows).items():
        if n > 1:
            yield f"{key[1]} to {key[2]} is owed {n} times"
    yield from (f"notification to {r.recipient_key}: {r.state}, {r.last_reply}" for r in rows if r.state != "delivered")
    result.sent_again = sum(n - 1 for n in relay.times_taken.values())
    yield from (f"{m}: sent again with other bytes" for m in relay.taken_otherwise)
    if set(relay.times_taken) != {r.message_id_header for r in rows}:
        yield "the relay has other notifications than the outbox"
    # a group of attempts may be between the relay's 250 and its record at each kill
    if result.sent_again > 16 * (result.kills + result.worker_kills + len(result.stages)):
        yield f"{result.sent_again} notifications were sent again: more than kills can explain"
