"""Runs the checks of one message together, under one deadline, and tells what they found."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from gateway.core.addresses import BadAddress, normal_domain
from gateway.core.envelope import Envelope
from gateway.core.message import ParsedMessage
from gateway.core.place import Place
from gateway.core.ports import AuthCheck, Resolver
from gateway.core.reports import AuthReport, AuthResult, Path
from gateway.registry import plugins_of
from gateway.verify import checks, dmarc, forwarder, verdict
from gateway.verify.arc_proof import ArcProof, arc_proof, witness_of
from gateway.verify.arc_sets import read_sets
from gateway.verify.at_once import KnownOnly, MustAsk, at_once
from gateway.verify.border_proof import NO_BORDER, BorderProof, border_proof
from gateway.verify.drift import drifts_of
from gateway.verify.evidence import BudgetedResolver, Evidence, Offload, compute, is_inline
from gateway.verify.explain import candidates_of
from gateway.verify.forwarder import Journey, MailboxEvidence
from gateway.verify.known import NOBODY, forwarders_of, recognise
from gateway.verify.reading import message_of
from gateway.verify.spf import identity_of
from gateway.verify.verdict import Findings

T = TypeVar("T")

GRACE_SECONDS = 1.0
"""What a check may be late by itself before it is cut: its look-ups end at the deadline and its results are worth
having."""

NO_DOMAIN = "the author's address has no domain that could be asked"
AMBIGUOUS = "ambiguous-author: From does not name exactly one address"


class Verifier:
    """Judges who wrote a message. One instance serves all messages; it keeps nothing between them."""

    def __init__(
        self, resolver: Resolver, budget_seconds: float, offload: Offload, trusted_arc_sealers: Iterable[str] = ()
    ) -> None:
        """`budget_seconds` bounds all DNS and crypto of one message together; `offload` runs CPU work in a thread.

        `trusted_arc_sealers` are domains whose ARC seals count behind a known forwarder, for every account; an account may
        have more (`Place.arc_sealers`). Raises BadAddress for what is none.
        """
        self._resolver = resolver
        self._budget_seconds = budget_seconds
        self._offload = offload
        self._trusted_arc_sealers = frozenset(map(normal_domain, trusted_arc_sealers))
        self._checks = tuple(plugins_of(checks, "CHECK", AuthCheck).values())  # type: ignore[type-abstract]

    async def verify(self, envelope: Envelope, message: ParsedMessage, place: Place) -> AuthReport:
        """Judge one message. What is not ready within the budget is temperror; DNS trouble is never raised."""
        deadline = time.monotonic() + self._budget_seconds
        resolver = BudgetedResolver(self._resolver, deadline)
        evidence = Evidence(envelope, message, place, resolver, deadline, self._offload)
        author = _author_domain(message)
        found, mailbox, policy = await self._ask(evidence, author)
        results = [result for check in sorted(found, key=_order) for result in found[check]]
        spf = _spf_result(found)
        learnt = await recognise(envelope, place, spf, resolver) if forwarders_of(place) else NOBODY
        journey = forwarder.judge(envelope, spf, mailbox, learnt)
        drifts = () if learnt is NOBODY else drifts_of(learnt, envelope, message, place, spf)
        if policy is None:
            why = AMBIGUOUS if message.author is None else NO_DOMAIN
            report = verdict.ambiguous_report(results, journey, why)
            return replace(report, drifts=drifts, dns=resolver.answers())
        findings = await _findings(author, policy, found, journey, evidence)
        if journey.path is Path.FORWARDER:
            findings = await self._through_forwarder(findings, evidence, sealed=_passes(found.get("arc", ())))
        judgement = verdict.judge(findings)
        tried = candidates_of(results, findings, judgement)
        return verdict.report(results, findings, judgement, drifts=drifts, candidates=tried, dns=resolver.answers())

    async def _ask(
        self, evidence: Evidence, author: str
    ) -> tuple[dict[str, tuple[AuthResult, ...]], MailboxEvidence, dmarc.Policy | None]:
        """What the checks find, what the mailboxes' domains say of the client, and the author's DMARC policy."""
        known = replace(evidence, resolver=KnownOnly(evidence.resolver)) if is_inline(evidence) else None
        async with asyncio.TaskGroup() as group:

            def start(work: Callable[[Evidence], Coroutine[Any, Any, T]], *, tried: bool = True) -> Callable[[], T]:
                if known and tried:
                    with contextlib.suppress(MustAsk):
                        result = at_once(work(known))
                        return lambda: result
                return group.create_task(work(evidence)).result

            running = {c.name: start(partial(_bounded, c), tried=_only_asks(c)) for c in self._checks}
            mailbox = start(lambda e: forwarder.mailbox_evidence(e.envelope, e.place, e.resolver))
            policy = start(lambda e: dmarc.discover(author, e.resolver)) if author else None
        return {name: result() for name, result in running.items()}, mailbox(), policy() if policy else None

    async def _through_forwarder(self, found: Findings, evidence: Evidence, *, sealed: bool) -> Findings:
        """With what the mailbox's known forwarder, and those who sealed before it, say of the author."""
        if sealed:
            trusted = self._trusted_arc_sealers | found.place.arc_sealers
            found = replace(found, arc=await _arc(found, evidence, trusted))
        if verdict.by_himself(found) or verdict.is_own(found.author, found.place):
            return found
        return replace(found, border=await _border(found, evidence))


def _author_domain(message: ParsedMessage) -> str:
    """The one author's domain in A-labels; empty when there is none, or it names no domain."""
    if message.author is None:
        return ""
    try:
        name = normal_domain(message.author.domain)
    except BadAddress:
        return ""
    return "" if name.startswith("[") else name


def _order(method: str) -> tuple[int, str]:
    return ({"spf": 0, "dkim": 1, "arc": 2}.get(method, 3), method)


def _only_asks(check: AuthCheck) -> bool:
    """Whether a check says that it waits for nothing but DNS."""
    return bool(getattr(check, "only_asks", False))


async def _bounded(check: AuthCheck, evidence: Evidence) -> tuple[AuthResult, ...]:
    """A check that forgets the deadline is cut; it has found nothing then."""
    if isinstance(evidence.resolver, KnownOnly):  # it waits for nothing
        return await check.check(evidence)
    try:
        async with asyncio.timeout(max(0.0, evidence.deadline - time.monotonic()) + GRACE_SECONDS):
            return await check.check(evidence)
    except TimeoutError:
        return (AuthResult(check.name, "temperror", (), "not ready in time"),)


def _passes(results: Sequence[AuthResult]) -> bool:
    return any(result.result == "pass" for result in results)


async def _arc(found: Findings, evidence: Evidence, trusted: frozenset[str]) -> ArcProof:
    """Whether the chain, which passed, proves the author."""
    try:
        message = await message_of(evidence)
        sets = await compute(evidence, read_sets, message, evidence.envelope.received_at.timestamp())
    except TimeoutError:
        return ArcProof(why="no time left to read who sealed it")
    own = verdict.is_own(found.author, found.place)
    return arc_proof(witness_of(message, sets), found.journey.path, found.author, trusted, own=own)


async def _border(found: Findings, evidence: Evidence) -> BorderProof:
    """Whether what the forwarder recorded when it took the message proves the author."""
    if found.journey.forwarder is None:
        return NO_BORDER
    try:
        message = await message_of(evidence)
    except TimeoutError:
        return NO_BORDER
    return await border_proof(found.journey.forwarder, message, evidence.envelope, found.policy, evidence.resolver)


def _spf_result(found: Mapping[str, Sequence[AuthResult]]) -> str:
    return found["spf"][0].result if found.get("spf") else "none"


async def _findings(
    author: str,
    policy: dmarc.Policy,
    found: Mapping[str, Sequence[AuthResult]],
    journey: Journey,
    evidence: Evidence,
) -> Findings:
    """Which of the authenticated domains are aligned with the author's."""
    signatures = [r for r in found.get("dkim", ()) if r.result in ("pass", "temperror")]
    if len(signatures) == 1:  # as nearly always
        dkim = [await _dkim_candidate(signatures[0], policy, evidence.resolver)]
    else:
        dkim = await asyncio.gather(*(_dkim_candidate(r, policy, evidence.resolver) for r in signatures))
    domain, result = identity_of(evidence.envelope).domain, _spf_result(found)
    spf_aligned: bool | None = False
    if domain and result in ("pass", "temperror"):
        spf_aligned = await dmarc.aligned(policy, domain, evidence.resolver, strict=policy.strict_spf)
    spf = verdict.Candidate("spf", domain, result, spf_aligned)
    has_client = evidence.envelope.client is not None
    return Findings(author, has_client, policy, tuple(dkim), spf, journey, evidence.place)


async def _dkim_candidate(result: AuthResult, policy: dmarc.Policy, resolver: Resolver) -> verdict.Candidate:
    properties = dict(result.properties)
    domain = properties.get("header.d", "")
    aligned: bool | None = None
    if domain:
        aligned = await dmarc.aligned(policy, domain, resolver, strict=policy.strict_dkim)
    return verdict.Candidate("dkim", domain, result.result, aligned, properties.get("header.s", ""))
