"""Kill -9 of the whole gateway, at random moments and at every named stage, while clients send and repeat until 250.

    python -m tests.faults.crash_test --messages 1000 --kills 10 --seed 7

Afterwards what was answered is compared with what is stored: each message once, byte for byte, in one ticket.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import smtplib
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.store.tables import MessageRow, Outbox, Ticket, Transaction
from gateway.store.tables.columns import columns
from tests.faults.relay import Relay
from tests.servers.gateway import Fault, Reply, RunningGateway, transaction, wait_until

CLIENTS = 20
BUSY = (421, 450, 451, 452)
STAGES = (
    "receive",
    "parse",
    "verify",
    "recall",
    "decide",
    "blob-written",
    "before-commit",
    "in-commit",
    "after-commit",
    "after-render",
    "after-relay-accepted",
    "before-outbox-settle",
)
RECIPIENTS = (
    ("acme", ("support@acme.gw.test",)),
    ("acme", ("sales@acme.gw.test",)),
    ("acme", ("support@acme.gw.test", "sales@acme.gw.test")),
    ("globex", ("help@globex.gw.test",)),
)
_m, _t, _o, _x = columns(MessageRow), columns(Ticket), columns(Outbox), columns(Transaction)


@dataclass
class Sent:
    """A unique message and what became of it, as its client saw it."""

    number: int
    account: str
    recipients: tuple[str, ...]
    content: bytes
    repeats_after_250: bool
    replies: list[Reply] = field(default_factory=list)
    tries: int = 0

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def unique_messages(count: int, seed: int) -> list[Sent]:
    """Mostly small, every tenth about 100 KB, every fortieth over 256 KiB (a blob); half of the authors are proven."""
    chance = random.Random(seed)
    return [_unique(n, chance) for n in range(count)]


def _unique(n: int, chance: random.Random) -> Sent:
    account, recipients = RECIPIENTS[n % len(RECIPIENTS)]
    domain = "customer" if n % 2 else "stranger"
    size = 300_000 if n % 40 == 7 else 100_000 if n % 10 == 3 else chance.randrange(10, 2_000)
    lines = [f"{chance.getrandbits(256):064x}" for _ in range(size // 66 + 1)]
    head = [
        f"From: Customer {n} <customer{n}@{domain}.test>",
        f"To: <{recipients[0].replace('.gw', '')}>",
        f"Subject: Question {n}",
        f"Message-ID: <{seed_of(chance)}.{n}@{domain}.test>",
        "Date: Mon, 02 Feb 2026 10:00:00 +0000",
    ]
    body = [f".{n} begins with a dot", *lines, "."]
    content = "\r\n".join([*head, "", *body, ""]).encode()
    return Sent(n, account, recipients, content, repeats_after_250=chance.random() < 0.05)


def seed_of(chance: random.Random) -> str:
    return f"{chance.getrandbits(64):016x}"


class Clients:
    """Twenty clients with one list of messages; each message is repeated until it is answered 250."""

    def __init__(self, gateway: RunningGateway, messages: list[Sent], deadline_in: float) -> None:
        self._gateway = gateway
        self._waiting = iter(messages)
        self._deadline = time.monotonic() + deadline_in
        self._lock = threading.Lock()
        self._moved = threading.Condition()
        self.answered = 0
        self.broken = 0
        self.unexpected: list[str] = []
        self._threads = [threading.Thread(target=self._work, name=f"client-{i}") for i in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def give_up(self) -> None:
        self._deadline = 0.0

    @property
    def at_work(self) -> bool:
        return any(t.is_alive() for t in self._threads)

    def wait_answered(self, count: int) -> None:
        """Until so many are answered, or all clients have ended."""
        with self._moved:
            while self.answered < count and self.at_work:
                self._moved.wait(0.2)

    def _next(self) -> Sent | None:
        with self._lock:
            return next(self._waiting, None)

    def _work(self) -> None:
        with ExitStack() as stack:
            session: smtplib.SMTP | None = None
            while message := self._next():
                session = self._until_250(message, session, stack)
                if message.repeats_after_250:
                    # its 250 was lost on the way: it comes again, and must be told the first trace
                    session = self._until_250(message, session, stack)

    def _until_250(self, message: Sent, session: smtplib.SMTP | None, stack: ExitStack) -> smtplib.SMTP | None:
        while time.monotonic() < self._deadline:
            message.tries += 1
            try:
                if session is None:
                    session = stack.enter_context(self._gateway.session())
                # the reverse-path changes with every try, as SRS and BATV do it
                reply = transaction(session, message.content, message.recipients, f"b{message.tries}@customer.test")
            except smtplib.SMTPResponseException as refusal:
                reply = Reply(refusal.smtp_code, str(refusal.smtp_error))
            except (OSError, smtplib.SMTPException):
                session = self._lost(session)
                continue
            if reply.code == 250:
                self._count(message, reply)
                return session
            if reply.code not in BUSY:
                self.unexpected.append(f"message {message.number}: {reply.code} {reply.text}")
                return session
            session = self._lost(session)
        return session

    def _lost(self, session: smtplib.SMTP | None) -> None:
        self.broken += 1
        if session is not None:
            session.close()
        with self._moved:
            self._moved.wait(0.05)

    def _count(self, message: Sent, reply: Reply) -> None:
        first = not message.replies
        message.replies.append(reply)
        if first:
            with self._moved:
                self.answered += 1
                self._moved.notify_all()


@dataclass
class Result:
    """What a run came to; `problems` is empty when nothing was lost or doubled."""

    messages: int
    answered: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    tickets: int = 0
    blobs: int = 0
    notifications: int = 0
    sent_again: int = 0
    kills: int = 0
    stages: list[str] = field(default_factory=list)
    tries: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def table(self) -> str:
        rows = {
            "messages": self.messages,
            "answered 250": self.answered,
            "stored": self.stored,
            "lost": self.lost,
            "doubled": self.doubled,
            "tickets": self.tickets,
            "of them in blobs": self.blobs,
            "tries": self.tries,
            "kills at random": self.kills,
            "kills at stages": len(self.stages),
            "notifications": self.notifications,
            "sent again, same Message-ID": self.sent_again,
            "problems": len(self.problems),
            "seconds": round(self.seconds, 1),
        }
        lines = [f"{name:<30}{value:>10}" for name, value in rows.items()]
        return "\n".join([*lines, *(f"  killed at {s}" for s in self.stages), *(f"  {p}" for p in self.problems[:20])])


def crash_test(
    gateway: RunningGateway,
    relay: Relay,
    *,
    messages: int,
    kills: int,
    seed: int,
    stages: tuple[str, ...] = STAGES,
    seconds: float = 600.0,
) -> Result:
    """Run it, on a gateway that is not started yet; leaves it running."""
    began = time.monotonic()
    chance = random.Random(seed)
    sent = unique_messages(messages, seed)
    result = Result(messages)
    clients = Clients(gateway, sent, seconds)
    clients.start()
    try:
        _lives(gateway, clients, result, chance, kills, stages)
    except BaseException:
        clients.give_up()
        raise
    finally:
        clients.join()
    wait_until(lambda: not _pending(gateway), "all notifications are settled", 120)
    result.seconds = time.monotonic() - began
    result.answered = sum(1 for s in sent if s.replies)
    result.tries = sum(s.tries for s in sent)
    result.problems += clients.unexpected
    compare(gateway, relay, sent, result)
    return result


def _lives(
    gateway: RunningGateway,
    clients: Clients,
    result: Result,
    chance: random.Random,
    kills: int,
    stages: tuple[str, ...],
) -> None:
    """Start it, let it be killed, and again, spread evenly over the work; the last life is left in peace."""
    ends: list[str] = ["random"] * kills + list(stages)
    chance.shuffle(ends)
    for i, end in enumerate(ends, 1):
        until = round(result.messages * i / (len(ends) + 2))
        if end == "random":
            gateway.start()
            clients.wait_answered(until)
            _pause(chance.random() * 0.05)
            gateway.kill_group()
            result.kills += 1
        else:
            _life_to_stage(gateway, clients, result, Fault(end, "kill-group", after=_after(end, chance)), until)
    gateway.start()


def _after(stage: str, chance: random.Random) -> int:
    """Blobs are rare; a group commits the messages of all clients at once, so sixty messages may be four groups."""
    return 1 if stage == "blob-written" or "commit" in stage else chance.randrange(1, 12)


def _life_to_stage(gateway: RunningGateway, clients: Clients, result: Result, fault: Fault, until: int) -> None:
    gateway.begin(fault)
    with suppress(AssertionError):
        # it dies before the last messages are in; where work ends earlier, it is killed as at random
        wait_until(lambda: not gateway.running or not clients.at_work, fault.stage, 30)
    if gateway.running:
        clients.wait_answered(until)
        gateway.kill_group()
        result.problems.append(f"stage {fault.stage} was not reached {fault.after} times")
    else:
        assert gateway.wait_dead() == -9, f"ended otherwise than by a kill at {fault.stage}"
        result.stages.append(f"{fault.stage} #{fault.after}")


def _pause(seconds: float) -> None:
    """The moment of a kill is random by intention; nothing waits for it."""
    threading.Event().wait(seconds)


def _pending(gateway: RunningGateway) -> int:
    with gateway.store.read() as connection:
        query = select(func.count()).select_from(Outbox).where(_o.state == "pending")
        return int(connection.execute(query).scalar())


# --- afterwards ---


def compare(gateway: RunningGateway, relay: Relay, sent: list[Sent], result: Result) -> None:
    """Everything answered against everything stored; fills in `result`."""
    result.problems += gateway.audit().problems
    result.problems += _content_problems(gateway, sent, result)
    result.problems += _reply_problems(gateway, sent)
    result.problems += _ticket_problems(gateway, result)
    result.problems += _outbox_problems(gateway, relay, result)


def _content_problems(gateway: RunningGateway, sent: list[Sent], result: Result) -> Iterator[str]:
    """Each message once, byte-exact as it was sent, ticketed."""
    with gateway.store.read() as connection:
        rows = connection.execute(select(_m.account_id, _m.id, _m.sha256, _m.content, _m.disposition)).all()
    stored = Counter(r.sha256 for r in rows)
    result.stored = len(rows)
    result.blobs = sum(1 for r in rows if r.content is None)
    result.lost = sum(1 for s in sent if s.replies and not stored[s.sha256])
    result.doubled = sum(n - 1 for n in stored.values())
    by_sha = {s.sha256: s for s in sent}
    for s in sent:
        if not s.replies:
            yield f"message {s.number} was never answered 250"
        if stored[s.sha256] != 1:
            yield f"message {s.number} is stored {stored[s.sha256]} times"
    for row in rows:
        original = by_sha.get(row.sha256)
        if original is None:
            yield f"message row {row.id}: nobody sent this"
            continue
        if row.disposition != "ticketed":
            yield f"message {original.number} is {row.disposition}"
        if gateway.raw(original.account, row.id) != original.content:
            yield f"message {original.number}: other bytes are stored than were sent"


def _reply_problems(gateway: RunningGateway, sent: list[Sent]) -> Iterator[str]:
    """The trace that a 250 names exists, is this message's, and every repetition was told the same."""
    with gateway.store.read() as connection:
        query = select(_x.trace_id, _m.sha256).join(MessageRow, _m.id == _x.message_id)
        traces = dict(map(tuple, connection.execute(query.where(_m.trace_id == _x.trace_id))))
    for s in sent:
        named = {r.trace for r in s.replies}
        if len(named) > 1:
            yield f"message {s.number}: its repetitions were told different traces: {named}"
        for trace in named:
            if traces.get(trace) != s.sha256:
                yield f"message {s.number}: its 250 names trace {trace}, which is not its own"


def _ticket_problems(gateway: RunningGateway, result: Result) -> Iterator[str]:
    """A ticket per message; no number twice and none left out."""
    with gateway.store.read() as connection:
        tickets = connection.execute(select(_t.account_id, _t.number)).all()
        shared = connection.execute(
            select(_m.ticket_id, func.count()).group_by(_m.ticket_id).having(func.count() > 1)
        ).all()
    result.tickets = len(tickets)
    if len(tickets) != result.messages:
        yield f"{len(tickets)} tickets for {result.messages} messages"
    yield from (f"ticket {t} holds {n} messages" for t, n in shared)
    for account, account_id in gateway.account_ids.items():
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
    copies: dict[str, list[bytes]] = {}
    for taken in relay.taken:
        copies.setdefault(taken.message_id.strip("<>"), []).append(taken.unsigned)
    result.sent_again = sum(len(c) - 1 for c in copies.values())
    yield from (f"{m}: sent again with other bytes" for m, c in copies.items() if len(set(c)) > 1)
    if set(copies) != {r.message_id_header for r in rows}:
        yield "the relay has other notifications than the outbox"
    # a group of attempts may be between the relay's 250 and its record at each kill
    if result.sent_again > 16 * (result.kills + len(result.stages)):
        yield f"{result.sent_again} notifications were sent again: more than kills can explain"


# --- the tests ---


def test_a_thousand_messages_survive_kills_at_random_moments(gateway: RunningGateway, relay: Relay) -> None:
    gateway.add_agent("acme", "agent@acme.test")
    result = crash_test(gateway, relay, messages=1000, kills=8, seed=1, stages=(), seconds=180)
    print(result.table())
    assert not result.problems
    assert (result.answered, result.stored, result.lost, result.doubled) == (1000, 1000, 0, 0)
    assert result.blobs == 25
    assert result.kills == 8
    assert gateway.stop() == 0


@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_at_a_stage_loses_and_doubles_nothing(gateway: RunningGateway, relay: Relay, stage: str) -> None:
    result = crash_test(gateway, relay, messages=60, kills=0, seed=STAGES.index(stage), stages=(stage,), seconds=40)
    print(result.table())
    assert not result.problems
    assert len(result.stages) == 1
    assert (result.answered, result.stored, result.lost, result.doubled) == (60, 60, 0, 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10, help="at random moments; one more at every named stage")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="crash-test-") as folder,
        Relay() as relay,
        RunningGateway(Path(folder), relay=relay.url) as gateway,
    ):
        seconds = 60 + given.messages * 0.1 + (given.kills + len(STAGES)) * 10
        result = crash_test(
            gateway, relay, messages=given.messages, kills=given.kills, seed=given.seed, seconds=seconds
        )
        if result.problems:
            sys.stderr.write(gateway.log.read_text()[-5000:])
    print(result.table())
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
