"""The way of one message: parse -> locate -> verify ‖ scan -> recall -> decide -> commit. This file is the whole story.

Whoever has an `Envelope` (SMTP, the pipe) calls `Intake.take`; a stored message goes the same way again by
`Intake.again`. Every stage is a room of its own and answers one question; only this file knows their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar

from gateway import log, metrics
from gateway.core.challenges import is_for_challenge
from gateway.core.clock import new_id, now
from gateway.core.decision import Acknowledge, Decision, Disposition, EnvelopeFacts, Facts, Forward, Notify
from gateway.core.envelope import Envelope
from gateway.core.errors import OutOfMemory, StoreUnavailable, Surroundings, TooComplex
from gateway.core.message import ParsedMessage
from gateway.core.outcome import Deferred, Outcome, Reason, Refused
from gateway.core.place import Context, Place
from gateway.core.reports import AuthReport, ScanReport, Sender
from gateway.core.trace import Step, received
from gateway.endings import Endings, label
from gateway.journey import Again, Journey
from gateway.offload import INLINE_BYTES, Offload
from gateway.parse import as_read
from gateway.policy.authorship import is_asked, whose
from gateway.policy.challenges import why_not_learnt
from gateway.policy.engine import Policy, decide
from gateway.policy.trial import beside, on_probation, unharmed
from gateway.scan.files import Files, parse_and_see
from gateway.scan.runner import Asked, ScanRunner
from gateway.store.blobs import FileBlobs
from gateway.store.committer import Committer
from gateway.store.directory import AccountEntry, Directory
from gateway.store.filing import Answered
from gateway.store.locate import locate
from gateway.store.recall import Recall, Wanted
from gateway.verify.challenge_report import remark_on_report
from gateway.verify.learning import learn
from gateway.verify.telling import told

RECEIVED_LIMIT = 50
"""More Received fields than this is a loop (RFC 5321 section 6.3 asks for at least 100 hops; T34 for 50)."""


T = TypeVar("T")
PATIENCE_WITH_MEMORY = timedelta(minutes=30)


async def _unknown() -> Collection[str]:
    return ()


class Verifies(Protocol):
    async def verify(self, envelope: Envelope, message: ParsedMessage, place: Place) -> AuthReport: ...


class Policies(Protocol):
    """An account's policies, ready to judge."""

    def __call__(self, account_id: str, version: int) -> Policy: ...

    def before(self, account_id: str, version: int) -> Policy | None:
        """What this version is held against while it is on probation."""
        ...

    def candidate(self, account_id: str, candidate_id: str) -> Policy:
        """One that is not live."""
        ...


class Begun(Protocol):
    """Marks content that is being worked on, so that content which ends processes is known again."""

    def ended_processes(self, sha256: str) -> bool: ...

    def mark(self, sha256: str) -> None: ...

    def clear(self, sha256: str) -> None: ...


class Intake:
    """Takes messages. Its parts are handed in by `line.py`; it holds no state of its own."""

    def __init__(
        self,
        *,
        authserv_id: str,
        directory: Directory,
        verifier: Verifies,
        scanner: ScanRunner,
        recall: Recall,
        policies: Policies,
        reply_line: Callable[[Outcome, str], str],
        committer: Committer,
        blobs: FileBlobs,
        begun: Begun,
        store_pool: Offload,
        cpu_pool: Offload,
        saw_forwarder: Callable[[str], None] = lambda _ip: None,
        relay_addresses: Callable[[], Awaitable[Collection[str]]] = _unknown,
    ) -> None:
        self._authserv_id = authserv_id
        self._directory = directory
        self._verifier = verifier
        self._scanner = scanner
        self._recall = recall
        self._policies = policies
        self._committer = committer
        self._begun = begun
        self._store_pool = store_pool
        self._cpu_pool = cpu_pool
        self._saw_forwarder = saw_forwarder
        self._relay_addresses = relay_addresses
        self._log = log.get("intake")
        self._endings = Endings(
            authserv_id=authserv_id,
            committer=committer,
            blobs=blobs,
            store_pool=store_pool,
            account_of=self._account,
            reply_line=reply_line,
        )

    async def take(self, envelope: Envelope) -> Outcome:
        """Judge and keep one message. Never raises: a fault of the message parks it, one of our surroundings defers it."""
        log.trace_id.set(envelope.trace_id)
        journey = Journey(envelope, new_id())
        journey.steps.append(received(envelope))
        with self._committer.expecting():
            outcome = await self._guarded(journey)
        metrics.transactions(*label(outcome)).inc()
        self._endings.tell(journey, outcome)
        return outcome

    async def again(self, envelope: Envelope, message_id: str, how: Again | None = None) -> Outcome:
        """Take a stored message along the line once more and bring its row up to date."""
        log.trace_id.set(envelope.trace_id)
        journey = Journey(envelope, message_id)
        outcome = await self._guarded(journey, again=how or Again())
        self._endings.tell(journey, outcome, again=True)
        return outcome

    async def decision_again(self, envelope: Envelope, facts: Facts) -> Decision:
        """What the live policy makes of a kept message, from the facts as they were; nothing is stored."""
        return await self._decide_again(Journey(envelope, ""), await self._placed(envelope, facts), Again(facts))

    async def facts_of(self, envelope: Envelope, policy: Policy | None = None) -> Facts:
        """What the line would find out about a message, under another policy than the live one where `policy` is given;
        nothing is stored. Raises what the stages raise.
        """
        journey = Journey(envelope, "")
        asked = self._scanner.ask(envelope.content, envelope)
        try:
            message, files = await self._parse(journey)
            return await self._find_facts(journey, message, files, asked, policy)
        finally:
            asked.cancel()

    async def _guarded(self, journey: Journey, *, again: Again | None = None) -> Outcome:
        try:
            if again and again.facts:
                return await self._redecided(journey, again.facts, again)
            return await self._line(journey, again=again)
        except Surroundings as error:
            return self._endings.deferred(journey, error)
        except TooComplex as error:
            return await self._endings.park(journey, Reason.TOO_COMPLEX, str(error), again=again)
        except MemoryError:
            return await self._out_of_memory(journey, again=again)
        except Exception as error:  # noqa: BLE001  the line's one broad except: whatever breaks on this message parks it
            self._log.error("message parked", stage=journey.stage, exc_info=error)
            text = f"{type(error).__name__} in stage {journey.stage}"
            return await self._endings.park(journey, Reason.CRASHED, text, again=again)

    async def _out_of_memory(self, journey: Journey, *, again: Again | None) -> Outcome:
        """Others' content took it, as a rule, and the client comes again. What finds no room in half an hour is too much by
        itself: it is kept unread rather than given back to its sender.
        """
        error = OutOfMemory(f"no memory left in stage {journey.stage}")
        try:
            account = await self._account(journey.envelope.account)
            first = await self._store_pool(self._recall.first_tried, journey.envelope, account.id)
        except (Surroundings, MemoryError):
            first = None
        if again or (first and journey.envelope.received_at - first > PATIENCE_WITH_MEMORY):
            return await self._endings.park(journey, Reason.CRASHED, str(error), again=again)
        return self._endings.deferred(journey, error)

    async def _line(self, journey: Journey, *, again: Again | None) -> Outcome:
        envelope = journey.envelope
        if not again and self._begun.ended_processes(envelope.sha256):
            return await self._endings.park(
                journey, Reason.ENDED_PROCESSES, "this content ended processes before", again=None
            )
        self._begun.mark(envelope.sha256)
        asked = self._scanner.ask(envelope.content, envelope)
        try:
            message, files = await self._parse(journey)
            if message.received_count > RECEIVED_LIMIT and not again:
                return await self._endings.unkept(journey, Refused(Reason.MAIL_LOOP))
            facts = await self._find_facts(journey, message, files, asked)
            if envelope.client and facts.auth.client_vouched and not again:
                self._saw_forwarder(envelope.client.ip)
            deciding = self._decide_again(journey, facts, again) if again else self._decide(journey, facts)
            decision = await deciding
            await self._beside(journey, facts, decision)
        finally:
            asked.cancel()
            self._begun.clear(envelope.sha256)
        if decision.disposition in (Disposition.REJECT, Disposition.DEFER):
            return await self._turned_away(journey, facts, decision)
        answered = await self._answered(journey, facts) if facts.context.challenge else None
        return await self._endings.commit(journey, facts, decision, again=again, answered=answered)

    async def _answered(self, journey: Journey, facts: Facts) -> Answered | None:
        """What this message says of a forwarding challenge of ours: a report on it, or the challenge itself come back."""
        challenge, envelope, message = facts.context.challenge, journey.envelope, facts.message
        if challenge is None:
            return None
        if is_for_challenge(envelope.recipients):
            return Answered(None, (remark_on_report(envelope, message),))
        sent = await self._store_pool(self._recall.sent_challenge, facts.place.account_id, challenge)
        with journey.in_stage("learn") as detail:
            lesson = learn(
                challenge, envelope, message, facts.auth, forwarder_id=new_id(), hostname=self._authserv_id,
                relay_addresses=await self._relay_addresses(), sent_text=sent.text, seen_before=sent.returns,
            )  # fmt: skip
            detail["remarks"] = [r.code for r in lesson.remarks]
        return Answered(lesson.forwarder, lesson.remarks, why_not_learnt(challenge, facts, lesson.forwarder))

    async def _turned_away(self, journey: Journey, facts: Facts, decision: Decision) -> Outcome:
        """Refused or deferred, unless it is a retry of what was kept already: its 250 was lost on the way, and what has
        changed since (policy, scanner, DNS) is not this message's business any more.
        """
        first = await self._store_pool(self._recall.kept_before, journey.envelope, facts.place.account_id)
        if first:
            return await self._endings.commit(
                journey, facts, replace(decision, disposition=Disposition.QUARANTINE), again=None
            )
        if decision.disposition is Disposition.REJECT:
            return await self._endings.unkept(journey, Refused(decision.reason, decision.text))
        return await self._endings.unkept(journey, Deferred(decision.reason))

    async def _find_facts(
        self, journey: Journey, message: ParsedMessage, files: Files, asked: Asked, policy: Policy | None = None
    ) -> Facts:
        """Everything a decision may read: whose the message is, what the checks found, what we remember."""
        envelope = journey.envelope
        with journey.in_stage("locate") as detail:
            place = locate(await self._account(envelope.account), envelope.recipients, message)
            detail |= {"account": place.account, "mailboxes": [m.address for m in place.mailboxes]}
        auth = await self._verify(journey, message, place)
        scan = await self._scan(journey, message, files, asked)
        facts = Facts(_facts_of(envelope), message, place, auth, scan, Context(), envelope.received_at)
        asking = await self._asking(place, policy)
        facts = await self._as_read(facts, asking)
        facts = self._whose(journey, facts, asking[0])
        wanted = _wanted(facts, asking)
        with journey.in_stage("recall") as detail:
            context = await self._store_pool(self._recall, envelope, facts.message, place, wanted)
            detail |= {"contact": bool(context.contact), "tickets": [c.number for c in context.candidates]}
        return replace(facts, context=context)

    async def _as_read(self, facts: Facts, policies: Sequence[Policy]) -> Facts:
        """With the body that the ticket takes, and the language of its words where one of `policies` asks for it."""
        preferred = policies[0].settings_for(facts.place).body
        language = any(p.asks_language for p in policies)
        if language or len(facts.message.html or "") > INLINE_BYTES:
            read = await self._cpu_pool(as_read, facts.message, preferred, language=language)
        else:
            read = as_read(facts.message, preferred)
        return replace(facts, message=read.message, body=read.body, detected_language=read.language)

    async def _asking(self, place: Place, policy: Policy | None) -> list[Policy]:
        """The policy that decides, and one in the shadow, which wants to know the same."""
        asking = [policy or self._policies(place.account_id, place.policy_version)]
        account = await self._account(place.account)
        if account.shadow_id is not None and policy is None:
            candidate, _ = unharmed(partial(self._policies.candidate, account.id, account.shadow_id))
            asking += [candidate] if candidate else []  # one that is broken is told when it would have decided
        return asking

    def _whose(self, journey: Journey, facts: Facts, policy: Policy) -> Facts:
        """The facts with the author that a header field tells, where the policy or a known forwarder has it asked."""
        if not is_asked(facts, policy):
            return facts
        with journey.in_stage("whose") as detail:
            found = whose(facts, policy, journey.envelope.content)
            detail |= {"outcome": "told" if found.facts.told else "as written", "reason": found.reason}
            detail |= {"passed_over": list(found.passed_over), "not_counted": list(found.not_counted)}
        return found.facts

    async def _parse(self, journey: Journey) -> tuple[ParsedMessage, Files]:
        """The message, and its files as they were seen while they were decoded."""
        await asyncio.sleep(0)  # the scanners have the content before our own work on it begins
        with journey.in_stage("parse") as detail:
            message, files = await self._inline_where_small(journey, partial(parse_and_see, journey.envelope.content))
            detail |= {"parts": len(message.parts), "defects": list(message.defects)}
        return message, files

    async def _inline_where_small(self, journey: Journey, work: Callable[[], T]) -> T:
        """Pure work on one message: a thread's switch costs more than a small one, a large one would hold up the others."""
        return work() if len(journey.envelope.content) <= INLINE_BYTES else await self._cpu_pool(work)

    async def _account(self, name: str) -> AccountEntry:
        domain = self._directory.domain_of(name)
        account = self._directory.cached(domain) or await self._store_pool(self._directory.look_up, domain)
        if account is None:
            raise StoreUnavailable(f"account {name} is not there any more")
        return account

    async def _verify(self, journey: Journey, message: ParsedMessage, place: Place) -> AuthReport:
        with journey.in_stage("verify") as detail:
            auth = await self._verifier.verify(journey.envelope, message, place)
            detail |= {"outcome": auth.sender.value, "reason": auth.reason, **told(auth)}
        return auth

    async def _scan(self, journey: Journey, message: ParsedMessage, files: Files, asked: Asked) -> ScanReport:
        with journey.in_stage("scan", asked.since) as detail:
            scan = await self._scanner.scan(journey.envelope.content, message, files, asked)
            detail |= {"outcome": scan.status.value, "reason": scan.reason}
            metrics.scans(scan.status.value, scan.reason).inc()
            detail["findings"] = [{"scanner": f.scanner, "name": f.name, "where": f.where} for f in scan.findings]
            detail["facts"] = dict(scan.facts)
        return scan

    async def _decide(
        self, journey: Journey, facts: Facts, *, released: bool = False, opened: bool = False
    ) -> Decision:
        with journey.in_stage("decide") as detail:
            account_id, version = facts.place.account_id, facts.place.policy_version
            policy, before = self._policies(account_id, version), self._policies.before(account_id, version)
            judged = partial(decide, facts, policy, released=released, opened=opened)
            decision = await self._inline_where_small(journey, judged)
            if policy.skipped:
                detail["skipped"] = self._tell_skipped(policy)
            if before:
                held = await self._inline_where_small(journey, partial(on_probation, decision, facts, before))
                if released and held is not decision:
                    # who releases what waits for that says that it is a ticket, though the new version would ignore it
                    held = await self._inline_where_small(journey, partial(decide, facts, policy, opened=True))
                decision = held
            detail |= {"outcome": decision.disposition.value, "reason": decision.reason.value}
            detail |= {"policy_version": decision.policy_version, "kind": decision.kind.value}
            # a kept message's row has its decision whole; what is refused has only this trace to be explained by
            kept = decision.disposition not in (Disposition.REJECT, Disposition.DEFER)
            detail["rules"] = [h.rule if kept else asdict(h) for h in decision.hits]
            if decision.text:
                detail["text"] = decision.text
        return decision

    def _tell_skipped(self, policy: Policy) -> dict[str, str]:
        """A rule that cannot be run is silent; whoever waits for what it does must hear of that, with every message."""
        metrics.RULES_SKIPPED.inc(len(policy.skipped))
        self._log.error("rules skipped", policy_version=policy.version, rules=dict(policy.skipped))
        return dict(policy.skipped)

    async def _beside(self, journey: Journey, facts: Facts, decision: Decision) -> None:
        """What a candidate in the shadow would have done otherwise is told, and nothing else comes of it."""
        account = await self._account(journey.envelope.account)
        if account.shadow_id is None:
            return
        candidate = partial(self._policies.candidate, account.id, account.shadow_id)
        found = await self._inline_where_small(journey, partial(beside, decision, facts, candidate))
        metrics.SHADOW.labels(found.outcome).inc()
        if found.outcome != "same":
            detail = {"differences": [asdict(d) for d in found.differences]} | (
                {"text": found.broken} if found.broken else {}
            )
            journey.steps.append(Step(now(), "shadow", found.outcome, "", detail))

    async def _decide_again(self, journey: Journey, facts: Facts, how: Again) -> Decision:
        decision = await self._decide(journey, facts, released=how.released, opened=how.opened)
        if decision.disposition in (Disposition.REJECT, Disposition.DEFER):
            # it was answered 250 long ago: what would be refused today waits for a person instead
            decision = replace(decision, disposition=Disposition.QUARANTINE)
        return _quiet(decision) if how.quiet else decision

    async def _placed(self, envelope: Envelope, facts: Facts) -> Facts:
        """Stored facts in the account as it is today: mailboxes come and go, and the policy is another."""
        place = locate(await self._account(envelope.account), envelope.recipients, facts.message)
        return replace(facts, place=place)

    async def _redecided(self, journey: Journey, facts: Facts, how: Again) -> Outcome:
        facts = await self._placed(journey.envelope, facts)
        return await self._endings.commit(journey, facts, await self._decide_again(journey, facts, how), again=how)


def _wanted(facts: Facts, asking: Sequence[Policy]) -> Wanted:
    """What to remember beside what is always asked. Of proven authors only, for nothing is joined, and nobody taken from Cc,
    by anybody's word.
    """
    if facts.auth.sender is not Sender.VERIFIED:
        return Wanted()
    return Wanted(
        open_ticket=any(p.asks_for_open_ticket(facts.place) for p in asking),
        listed=any(p.asks_for_listed(facts.place) for p in asking),
    )


def _quiet(decision: Decision) -> Decision:
    """Late notices surprise: a ticket made of old mail is told to nobody, and the record says so."""
    if decision.disposition is not Disposition.ACCEPT:
        return decision
    kept = [e for e in decision.effects if not isinstance(e, Acknowledge | Forward | Notify)]
    return replace(decision, effects=(*kept, Notify((), only=True)), silence="reprocessed without late notices")


def _facts_of(envelope: Envelope) -> EnvelopeFacts:
    return EnvelopeFacts(
        trace_id=envelope.trace_id,
        source=envelope.source,
        received_at=envelope.received_at,
        client=envelope.client,
        reverse_path=envelope.reverse_path,
        recipients=envelope.recipients,
        smtputf8=envelope.smtputf8,
        size_bytes=len(envelope.content),
        sha256=envelope.sha256,
    )
