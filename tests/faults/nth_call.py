"""The n-th system call of a kind fails, for n = 1, 2, ... while a message is accepted, until a run meets no such call.

After each: 250 and kept byte for byte and once, or 4xx or a cut and the next try is kept once; never 5xx.
"""

from __future__ import annotations

import hashlib
import smtplib
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from gateway.store.tables import MessageRow
from gateway.store.tables.columns import columns
from tests.faults.tracing import SCOPES, SmtpWorker, Trace, smtp_worker
from tests.servers.gateway import Reply, RunningGateway, mail, transaction, wait_until

NEXT_MAIL_SECONDS = 30.0
"""The promise is ten; a busy machine has more. `Counts.slowest_return` tells what it was."""
ENOUGH = 500
_m = columns(MessageRow)

LARGE = "\r\n".join(["z" * 70] * 4000)
"""Beyond what lies in the database: its content becomes a blob."""
SIZES = {"small": "Hello.", "large": LARGE}


@dataclass(frozen=True)
class Kind:
    """Which call fails how, in which threads. `step` leaves n out (1, 1 + step, ...) where a hundred calls are alike: pages
    written to the log of the database.
    """

    call: str
    error: str
    scopes: tuple[str, ...] = SCOPES
    step: int = 1
    large_step: int = 0
    sizes: tuple[str, ...] = tuple(SIZES)

    def step_for(self, size: str) -> int:
        return self.large_step or self.step if size == "large" else self.step

    def __str__(self) -> str:
        return f"{self.call} {self.error}"


@dataclass
class Counts:
    """What a series came to."""

    failed_calls: int = 0
    answers: dict[str, int] = field(default_factory=lambda: {"250": 0, "4xx": 0, "cut": 0})
    deepest: dict[str, int] = field(default_factory=dict)
    new_workers: int = 0
    slowest_answer: float = 0.0
    slowest_return: float = 0.0

    def add(self, other: Counts) -> None:
        self.failed_calls += other.failed_calls
        self.new_workers += other.new_workers
        self.answers = {k: v + other.answers[k] for k, v in self.answers.items()}
        self.slowest_answer = max(self.slowest_answer, other.slowest_answer)
        self.slowest_return = max(self.slowest_return, other.slowest_return)

    def __str__(self) -> str:
        answers = ", ".join(f"{n} {name}" for name, n in self.answers.items())
        depth = ", ".join(f"{scope} {n}" for scope, n in self.deepest.items())
        return (
            f"{self.failed_calls} calls failed ({depth or 'none'}): {answers}; {self.new_workers} new workers, "
            f"answer within {self.slowest_answer:.1f} s, mail taken again within {self.slowest_return:.1f} s"
        )


class Series:
    """Attempts on one running gateway with one SMTP worker."""

    def __init__(self, gateway: RunningGateway, folder: Path) -> None:
        self._gateway = gateway
        self._folder = folder
        self._sent = 0
        self._worker: SmtpWorker | None = None

    def run(self, kind: Kind, size: str, *, author: str = "anna@customer.test", full: bool = False) -> Counts:
        """`full`: no n is left out. Every thread in turn, n = 1, 2, ... until a run in which nothing failed. AssertionError where a promise broke."""
        counts = Counts()
        for scope in kind.scopes:
            for n in range(1, ENOUGH, 1 if full else kind.step_for(size)):
                if not self._attempt(kind, scope, n, self._content(kind, size, author), author, counts):
                    break
                counts.deepest[scope] = n
            else:
                raise AssertionError(f"{kind} in {scope}: {ENOUGH} calls for one message")
        assert self._gateway.audit().problems == []
        return counts

    def _content(self, kind: Kind, size: str, author: str) -> bytes:
        self._sent += 1
        return mail(f"{kind.call}.{kind.error}.{size}.{self._sent}", author=author, text=SIZES[size])

    def _attempt(self, kind: Kind, scope: str, n: int, content: bytes, author: str, counts: Counts) -> int:
        """One message with one fault, then the same again without; how many calls failed."""
        worker = self._current_worker(counts)
        fail = f"{kind.error}:when={n}"
        began = time.monotonic()
        with Trace(worker.of(scope), [kind.call], self._folder / "inject.trace", fail=fail) as trace:
            first = _try(self._gateway, content, author)
        answered = time.monotonic()
        if trace.injected:
            counts.failed_calls += trace.injected
            counts.answers[_class_of(first)] += 1
            counts.slowest_answer = max(counts.slowest_answer, answered - began)
        again = wait_until(
            lambda: _taken(_try(self._gateway, content, author)), f"taken after {kind} {n}", NEXT_MAIL_SECONDS
        )
        counts.slowest_return = max(counts.slowest_return, time.monotonic() - answered)
        self._is_kept_once(content, first, again, f"{kind} {n} in {scope}")
        return trace.injected

    def _current_worker(self, counts: Counts) -> SmtpWorker:
        """One that died by the last fault has been replaced by the supervisor: look who does what now."""
        if self._worker is None or not self._worker.lives:
            counts.new_workers += self._worker is not None
            self._worker = smtp_worker(self._gateway, self._folder / "look.trace")
        return self._worker

    def _is_kept_once(self, content: bytes, first: Reply | None, again: Reply, what: str) -> None:
        with self._gateway.store.read() as connection:
            query = select(_m.id, _m.trace_id, _m.disposition).where(_m.sha256 == hashlib.sha256(content).hexdigest())
            rows = connection.execute(query).all()
        assert len(rows) == 1, f"{what}: kept {len(rows)} times"
        assert rows[0].disposition == "ticketed", (
            f"{what}: a fault around us is not the message's: {rows[0].disposition}"
        )
        assert self._gateway.raw("acme", rows[0].id) == content, f"{what}: other bytes are kept"
        assert again.trace == rows[0].trace_id, f"{what}: a repetition was told another trace"
        if first and first.code == 250:
            assert first.trace == again.trace, f"{what}: the 250 named another trace"


def _try(gateway: RunningGateway, content: bytes, author: str) -> Reply | None:
    """The reply of one try; None where the connection broke. AssertionError on 5xx."""
    try:
        with gateway.session(timeout=30) as client:
            reply = transaction(client, content, "support@acme.gw.test", author)
    except smtplib.SMTPResponseException as refusal:
        reply = Reply(refusal.smtp_code, str(refusal.smtp_error))
    except TimeoutError:
        raise AssertionError("no answer within 30 s") from None
    except (OSError, smtplib.SMTPException):
        return None
    assert reply.code < 500, f"a fault around us was answered {reply.code} {reply.text}"
    return reply


def _taken(reply: Reply | None) -> Reply | None:
    return reply if reply and reply.code == 250 else None


def _class_of(reply: Reply | None) -> str:
    return "cut" if reply is None else "250" if reply.code == 250 else "4xx"


SQLITE = (
    Kind("pwrite64", "EIO", ("committer", "pools"), large_step=16),
    Kind("pwrite64", "ENOSPC", ("committer", "pools"), step=16),
    Kind("fdatasync", "EIO", ("committer", "pools")),
    Kind("fsync", "EIO"),
    Kind("write", "EIO", ("loop", "pools")),
    Kind("write", "ENOSPC", ("loop", "pools")),
    Kind("/^rename", "EIO"),
    Kind("openat", "EMFILE"),
    Kind("openat", "ENOSPC"),
    Kind("pread64", "EIO", ("committer", "pools")),
    Kind("sendto", "EPIPE"),
    Kind("sendto", "ECONNRESET"),
    Kind("recvfrom", "ECONNRESET", ("loop",)),
    Kind("accept4", "EMFILE", ("loop",)),
)
"""What the accept path does with files and its clients, with SQLite."""

POSTGRES = (
    Kind("recvfrom", "ECONNRESET"),
    Kind("sendto", "EPIPE", ("committer", "pools"), step=12, sizes=("small",)),
    Kind("fsync", "EIO"),
)
"""What its client does: talk, and connect anew where that broke. After a send that failed libpq waits for the server's last
words; as its connection lives, that is four seconds each.
"""

CONNECT = (Kind("connect", "ECONNREFUSED", ("loop", "pools")),)
"""Where the scanner and the name server are asked."""
