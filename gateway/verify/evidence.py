"""What every check is given: the message, a resolver that keeps to the budget, and a way off the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeVar

from gateway.core.errors import DnsFailure
from gateway.core.ports import AuthEvidence, Resolver
from gateway.core.reports import DnsAnswer
from gateway.verify.at_once import KnownOnly
from gateway.verify.dkim_message import BodyForm, BodyHash, Message

T = TypeVar("T")

INLINE_OCTETS = 65_536
"""CPU work on messages up to this size is cheaper than the way to a thread."""

PATIENCE_SECONDS = 2.0
"""How long mail waits for look-ups that are only recorded: the reverse names of many an honest client never answer."""


ANSWERS_KEPT = 60
"""DNS answers a report keeps; an ordinary message asks for some twenty, a hostile one for hundreds."""


class Offload(Protocol):
    """Runs CPU work in a thread and returns its result."""

    async def __call__(self, function: Callable[..., T], *args: object) -> T: ...


class BudgetedResolver:
    """A resolver that gives up, as `DnsFailure`, when the message's budget is spent: late is temperror, never fail.

    It keeps the answers it gave, for those who ask later why a message was judged as it was.
    """

    def __init__(self, resolver: Resolver, deadline: float) -> None:
        self._resolver = resolver
        self._deadline = deadline
        self._answers: dict[tuple[str, str], tuple[Any, ...] | None] = {}

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """As the resolver below. Raises DnsFailure, also when the budget is spent."""
        return tuple(b"".join(strings) for strings in await self.records(name, "TXT"))

    async def records(self, name: str, kind: str) -> tuple[Any, ...]:
        """As the resolver below. Raises DnsFailure, also when the budget is spent."""
        known = self.known(name, kind)
        if known is not None:
            return known
        try:
            found = await self._bounded(self._resolver.records(name, kind), name)
        except DnsFailure:
            self._answers[name, kind] = None
            raise
        self._answers[name, kind] = found
        return found

    def known(self, name: str, kind: str) -> tuple[Any, ...] | None:
        """As the resolver below; nothing when the budget is spent: then even what is known comes too late."""
        found = None if time.monotonic() > self._deadline else self._resolver.known(name, kind)
        if found is not None:
            self._answers[name, kind] = found
        return found

    def answers(self) -> tuple[DnsAnswer, ...]:
        """What was asked and answered so far, in order, up to a number."""
        return tuple(
            DnsAnswer(name, kind, found) for (name, kind), found in islice(self._answers.items(), ANSWERS_KEPT)
        )

    async def _bounded(self, answer: Awaitable[T], name: str) -> T:
        try:
            async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
                return await answer
        except TimeoutError as error:
            raise DnsFailure(f"the time for this message was spent before {name} was answered") from error


@dataclass(slots=True)
class Reading:
    """What the checks of signatures have read and hashed so far, for each other: see `reading`."""

    message: asyncio.Future[Message] | None = None
    hashes: dict[BodyForm, asyncio.Future[dict[BodyForm, BodyHash]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence(AuthEvidence):
    """`core.ports.AuthEvidence` with the way off the event loop, and what is read once for all checks."""

    offload: Offload
    reading: Reading = field(default_factory=Reading)


def impatient(evidence: AuthEvidence) -> Resolver:
    """A resolver for what is only recorded and judges nobody: it gives up soon, so that no mail waits for it long.

    What is answered later is in the cache for the client's next message.
    """
    if isinstance(evidence.resolver, KnownOnly):
        return evidence.resolver
    return BudgetedResolver(evidence.resolver, min(evidence.deadline, time.monotonic() + PATIENCE_SECONDS))


async def txt_of_all(names: Sequence[str], resolver: Resolver) -> dict[str, tuple[bytes, ...] | DnsFailure]:
    """The TXT records of each name; those that must be asked for are asked for at once, and only they cost a task."""
    answers: dict[str, tuple[bytes, ...] | DnsFailure] = {}
    for name in names:
        known = resolver.known(name, "TXT")
        if known is not None:
            answers[name] = tuple(map(b"".join, known))
    missing = [name for name in names if name not in answers]
    if missing:
        asked = await asyncio.gather(*(_txt_or_failure(name, resolver) for name in missing))
        answers |= dict(zip(missing, asked, strict=True))
    return answers


async def _txt_or_failure(name: str, resolver: Resolver) -> tuple[bytes, ...] | DnsFailure:
    try:
        return await resolver.txt(name)
    except DnsFailure as failure:
        return failure


def is_inline(evidence: AuthEvidence) -> bool:
    """Whether CPU work on this message is done where it stands."""
    return not isinstance(evidence, Evidence) or len(evidence.envelope.content) <= INLINE_OCTETS


async def compute(evidence: AuthEvidence, function: Callable[..., T], *args: object) -> T:
    """CPU work on this message: inline when it is small or there is no other way.

    Raises TimeoutError when the budget is spent.
    """
    if is_inline(evidence) or not isinstance(evidence, Evidence):
        return function(*args)
    async with asyncio.timeout(max(0.0, evidence.deadline - time.monotonic())):
        return await evidence.offload(function, *args)
