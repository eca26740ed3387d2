"""Filling a store without SMTP: one genuine message, committed again and again as other customers' mail.

The line judges one small message under the account's policy; what it hands to the committer is copied with new ids, trace
ids, digests, Message-IDs, authors, subjects and moments, and goes through the store's own commit, in groups as mail does,
many groups a transaction. So every row and index entry is there that mail makes (message, receipt, twin, ticket,
participant, outbox, transaction log, events); a contact is none of them, no mail makes one. The content's octets are the
genuine one's in every row.

What the commits owe is then recorded as delivered, with an event each, by the outbox's own statements: a relay takes mail
as fast as it comes, so a store that has grown old owes next to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import event, select

from bench.client import HELLO
from bench.messages import DOMAIN, author, make
from bench.peers.ours import Ours
from gateway.core.clock import new_id, now
from gateway.core.decision import Facts
from gateway.core.envelope import Client, Envelope
from gateway.core.message import Address
from gateway.core.notice import Delivery, DeliveryResult, Rendered
from gateway.core.ports import Strategy
from gateway.core.tokens import new_trace_id
from gateway.core.trace import Step
from gateway.line import Line
from gateway.policy import strategies
from gateway.registry import plugins_of
from gateway.smtp.replies import final_reply
from gateway.store import outbox
from gateway.store.commit import Commit
from gateway.store.committer import Committer
from gateway.store.engine import Store
from gateway.store.filing import Filing
from gateway.store.outbox import Claim, Settlement
from gateway.store.tables import Outbox
from gateway.store.tables.columns import columns

CUSTOMERS = 100_000
"""So many authors write in turn."""
TOGETHER = 256
"""Messages a group: larger than any of mail, whose look-ups would take a tenth of the time."""
AT_ONCE = TOGETHER * 64
"""Messages a transaction: the more, the more of them share a page of an index."""
SPAN = timedelta(days=365)
"""The messages lie so far apart that all of them came within a year, up to now."""
_o = columns(Outbox)
_RENDERED = Rendered("notification@gw.test", None, b"Subject: Your message\r\n\r\n" + b"We have it.\r\n" * 150, "bench")
_TAKEN = Delivery(DeliveryResult.DELIVERED, 250, "2.0.0 ok", "smtp://127.0.0.1:25")


def genuine(peer: Ours) -> Filing:
    """What the line hands to the committer for a small message. The gateway itself must not be running."""
    content = make("small", "genuine", peer.key, to=peer.recipient)
    envelope = Envelope(
        trace_id=new_trace_id(),
        account="acme",
        source="smtp",
        received_at=now(),
        client=Client("127.0.0.2", HELLO),
        reverse_path=author("genuine"),
        recipients=(peer.recipient,),
        smtputf8=False,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return asyncio.run(_filed(peer, envelope))


async def _filed(peer: Ours, envelope: Envelope) -> Filing:
    async with Line(peer.gateway.ground) as line:
        with patch.object(Committer, "file", autospec=True, side_effect=Committer.file) as filed:
            outcome = await line.intake.take(envelope)
    if not filed.call_args:
        raise RuntimeError(f"the genuine message was not kept: {outcome}")
    found: Filing = filed.call_args.args[1]
    return found


@dataclass(slots=True)
class _Clock:
    """Stands where `core.clock` has the module `time`, so that ids are those of the moment a message is said to have come."""

    at: datetime

    def time_ns(self) -> int:
        return int(self.at.timestamp() * 1_000_000) * 1000


class HastyStore(Store):
    """SQLite that does not wait for the disk, with a page cache for large transactions. Nobody else may have it open, and
    what breaks is begun anew. The next one to open the database finds it as ever.
    """

    def __init__(self, url: str, data_dir: Path) -> None:
        super().__init__(url, data_dir)
        if self.is_sqlite:
            event.listen(self._writer, "connect", _make_hasty)


def _make_hasty(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("journal_mode=MEMORY", "synchronous=OFF", "cache_size=-1000000"):
        connection.execute(f"PRAGMA {pragma}").close()


@dataclass(slots=True)
class Filler:
    """Fills one store, from its first message on; `planned` is how many the year will have had when all steps are done."""

    peer: Ours
    first: Filing
    planned: int
    stored: int = 0
    started: datetime = field(default_factory=lambda: now() - SPAN)

    def fill(self, upto: int) -> None:
        """Until so many have been filled in. The gateway must not be running."""
        read = plugins_of(strategies, "STRATEGY", Strategy)  # type: ignore[type-abstract]
        commit = Commit(read, lambda outcome, trace: str(final_reply(outcome, trace)))
        self.peer.gateway.ground.store.close()  # its connections; it makes new ones when it is asked again
        settings = self.peer.gateway.settings
        store = HastyStore(settings.database_url, settings.data_dir)
        with contextlib.closing(store), self._then() as clock:
            while self.stored < upto:
                self._transaction(store, commit, clock, min(AT_ONCE, upto - self.stored))
                self._deliver(store, clock.at)

    @contextlib.contextmanager
    def _then(self) -> Iterator[_Clock]:
        clock = _Clock(self._moment(self.stored))
        with patch("gateway.core.clock.time", clock):
            yield clock

    def _moment(self, n: int) -> datetime:
        return self.started + n * SPAN / self.planned

    def _transaction(self, store: Store, commit: Commit, clock: _Clock, count: int) -> None:
        with store.write() as connection:
            for start in range(0, count, TOGETHER):
                numbers = range(self.stored + start, self.stored + min(start + TOGETHER, count))
                steps = tuple(replace(step, at=self._moment(numbers[0])) for step in self.first.steps)
                commit(connection, [self._filing(n, clock, steps) for n in numbers], clock.at)
        self.stored += count

    def _filing(self, n: int, clock: _Clock, steps: tuple[Step, ...]) -> Filing:
        """`steps` are made once for a group: they are most of what there is to copy."""
        clock.at = self._moment(n)
        digest = hashlib.sha256(f"filled {n}".encode()).hexdigest()
        sender = author(f"customer-{n % CUSTOMERS}")
        told = {"received_at": clock.at, "trace_id": new_trace_id(), "reverse_path": sender, "sha256": digest}
        return replace(
            self.first,
            message_id=new_id(),
            envelope=replace(self.first.envelope, **told),  # type: ignore[arg-type]
            facts=self._facts(n, sender, told, digest),
            steps=steps,
        )

    def _facts(self, n: int, sender: str, told: dict[str, object], digest: str) -> Facts:
        facts = self.first.facts
        assert facts
        message = replace(
            facts.message,
            message_id=f"filled.{n}@{DOMAIN}",
            author=Address(sender, "Anna Client"),
            from_shown=f"Anna Client <{sender}>",
            subject=f"Where is my order {n}?",
            date=self._moment(n),
            body_digest=digest,
        )
        envelope = replace(facts.envelope, **told)  # type: ignore[arg-type]
        return replace(facts, envelope=envelope, message=message, now=self._moment(n))

    def _deliver(self, store: Store, at: datetime) -> None:
        """What is owed was taken by a relay."""
        owed = select(_o.account_id, _o.id, _o.trace_id, _o.recipient, _o.created_at).where(_o.state == "pending")
        with store.write() as connection:
            claims = [Claim(*row[:4], 0, row.created_at, None) for row in connection.execute(owed)]
        for start in range(0, len(claims), AT_ONCE):
            some = claims[start : start + AT_ONCE]
            outbox.keep_rendered(store, [(one, _RENDERED) for one in some])
            outbox.settle(store, [Settlement(one, _TAKEN, "delivered", one.created_at) for one in some], at)
