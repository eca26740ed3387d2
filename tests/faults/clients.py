"""Clients with unique messages, each repeated until it is answered 250; and what they were told."""

from __future__ import annotations

import hashlib
import random
import smtplib
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.servers.gateway import Reply, RunningGateway, transaction

CLIENTS = 20
BUSY = (421, 450, 451, 452)
RECIPIENTS = (
    ("acme", ("support@acme.gw.test",)),
    ("acme", ("sales@acme.gw.test",)),
    ("acme", ("support@acme.gw.test", "sales@acme.gw.test")),
    ("globex", ("help@globex.gw.test",)),
)


@dataclass(slots=True)
class Sent:
    """A unique message and what became of it, as its client saw it. Its content is made when it is needed: a million of
    them are 18 GB.
    """

    number: int
    seed: int
    sha256: str = ""
    traces: list[str] = field(default_factory=list)
    tries: int = 0

    @property
    def account(self) -> str:
        return RECIPIENTS[self.number % len(RECIPIENTS)][0]

    @property
    def recipients(self) -> tuple[str, ...]:
        return RECIPIENTS[self.number % len(RECIPIENTS)][1]

    @property
    def repeats_after_250(self) -> bool:
        """Its 250 is lost on the way: it comes again, and must be told the first trace."""
        return self.number % 20 == 11

    def content(self) -> bytes:
        """Mostly small, every tenth about 100 KB, every fortieth over 256 KiB (a blob); half of the authors are proven."""
        n, chance = self.number, random.Random(f"{self.seed}.{self.number}")
        domain = "customer" if n % 2 else "stranger"
        size = 300_000 if n % 40 == 7 else 100_000 if n % 10 == 3 else chance.randrange(10, 2_000)
        lines = [f"{chance.getrandbits(256):064x}" for _ in range(size // 66 + 1)]
        head = [
            f"From: Customer {n} <customer{n}@{domain}.test>",
            f"To: <{self.recipients[0].replace('.gw', '')}>",
            f"Subject: Question {n}",
            f"Message-ID: <{chance.getrandbits(64):016x}.{n}@{domain}.test>",
            "Date: Mon, 02 Feb 2026 10:00:00 +0000",
        ]
        return "\r\n".join([*head, "", f".{n} begins with a dot", *lines, ".", ""]).encode()


def unique_messages(count: int, seed: int) -> list[Sent]:
    return [Sent(n, seed) for n in range(count)]


def load_until(enough: threading.Event, at_least: int, seed: int, begun: list[Sent]) -> Iterator[Sent]:
    """Unique messages, and more and more until `enough`; `begun` is given those that somebody took."""
    while len(begun) < at_least or not enough.is_set():
        begun.append(Sent(len(begun), seed))
        yield begun[-1]


class Clients:
    """Twenty clients, or `count`, with one list of messages."""

    def __init__(
        self, gateway: RunningGateway, messages: Iterable[Sent], deadline_in: float, *, count: int = CLIENTS
    ) -> None:
        self._gateway = gateway
        self._waiting = iter(messages)
        self._deadline = time.monotonic() + deadline_in
        self._lock = threading.Lock()
        self._moved = threading.Condition()
        self.answered = 0
        self.broken = 0
        self.unexpected: list[str] = []
        self.refused: list[str] = []
        """Connections that were not taken."""
        self._threads = [threading.Thread(target=self._work, name=f"client-{i}") for i in range(count)]

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

    def wait_seconds(self, seconds: float) -> None:
        """So long, or until all clients have ended."""
        end = time.monotonic() + seconds
        while self.at_work and (left := end - time.monotonic()) > 0:
            self._threads[0].join(min(left, 0.2))

    def _next(self) -> Sent | None:
        with self._lock:
            return next(self._waiting, None)

    def _work(self) -> None:
        with ExitStack() as stack:
            session: smtplib.SMTP | None = None
            while time.monotonic() < self._deadline and (message := self._next()):
                content = message.content()
                message.sha256 = hashlib.sha256(content).hexdigest()
                for _ in range(2 if message.repeats_after_250 else 1):
                    session = self._until_250(message, content, session, stack)

    def _until_250(
        self, message: Sent, content: bytes, session: smtplib.SMTP | None, stack: ExitStack
    ) -> smtplib.SMTP | None:
        while time.monotonic() < self._deadline:
            message.tries += 1
            try:
                if session is None:
                    stack.close()
                    session = stack.enter_context(self._gateway.session())
                # the reverse-path changes with every try, as SRS and BATV do it
                reply = transaction(session, content, message.recipients, f"b{message.tries}@customer.test")
            except smtplib.SMTPResponseException as refusal:
                reply = Reply(refusal.smtp_code, str(refusal.smtp_error))
            except (OSError, smtplib.SMTPException) as error:
                self._note(message, error)
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

    def _note(self, message: Sent, error: Exception) -> None:
        """smtplib tells what breaks later as an SMTPException."""
        if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException):
            self.refused.append(f"message {message.number}: {error!r}")

    def _lost(self, session: smtplib.SMTP | None) -> None:
        self.broken += 1
        if session is not None:
            session.close()
        # twenty who knock without a pause keep a small machine from starting what they wait for
        with self._moved:
            self._moved.wait(0.25)

    def _count(self, message: Sent, reply: Reply) -> None:
        first = not message.traces
        if reply.trace not in message.traces:
            message.traces.append(reply.trace)
        if first:
            with self._moved:
                self.answered += 1
                self._moved.notify_all()


def answered(sent: list[Sent]) -> Iterator[Sent]:
    return (s for s in sent if s.traces)
