"""The judgement: `decide(facts, policy)`, pure. Live mail, `policy test` and `policy replay` all come through here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from gateway.core.addresses import canonical
from gateway.core.ambiguity import ambiguity_of
from gateway.core.decision import Acknowledge, Decision, Disposition, Effect, Facts, Kind, TicketChoice
from gateway.core.outcome import Reason
from gateway.core.place import Place
from gateway.core.reports import Path, Sender
from gateway.policy.action import Verdict
from gateway.policy.attachments import PartJudgement, judge_parts, verdict_of_parts
from gateway.policy.belonging import belonging
from gateway.policy.challenges import verdict_of_challenge
from gateway.policy.confirmations import is_confirmation
from gateway.policy.document import AuthorFrom, PolicyDocument, Rule
from gateway.policy.forwarding import not_forwarded
from gateway.policy.participants import participants
from gateway.policy.patterns import BadPattern, FieldPatterns, PatternBook
from gateway.policy.reading import Reading
from gateway.policy.rules import Clause, CompiledRule, RuleRun, compile_clause, compile_rule, run_rules
from gateway.policy.spam import verdict_of_spam
from gateway.policy.strictness import Settings, settings_of, settings_with, strictest
from gateway.policy.viruses import unproven_files, verdict_of_scan, wanted_by_scan

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taking:
    """One entry of `author_from`: where its clause holds, the header field `take` names the author."""

    name: str
    clause: Clause
    take: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A published document, ready to judge; may be shared between threads. `asks_language`: a rule asks in which language
    mail is written, so that its words have to be looked at.
    """

    version: int
    document: PolicyDocument
    settings: Settings
    overrides: Mapping[str, Settings]
    author_from: tuple[Taking, ...]
    block: tuple[Clause, ...]
    rules: tuple[CompiledRule, ...]
    team_rules: Mapping[str, tuple[CompiledRule, ...]]
    patterns: Mapping[str, FieldPatterns]
    asks_language: bool = False
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Rules that are left out, and why: a pattern of theirs cannot be run."""

    def settings_for(self, place: Place) -> Settings:
        """The settings for the mailboxes of one transaction; the strictest of several."""
        return strictest([self.overrides.get(canonical(m.address), self.settings) for m in place.mailboxes])

    def asks_for_open_ticket(self, place: Place) -> bool:
        """Whether new mail of a proven author may join a ticket here."""
        return self.settings_for(place).accept.join_open_ticket is not False

    def asks_for_listed(self, place: Place) -> bool:
        """Whether it matters here who of To and Cc is a contact."""
        return self.settings_for(place).import_cc in ("listed", "company")


def compile_policy(document: PolicyDocument, version: int) -> Policy:
    """Make a document ready: settings merged, all patterns in RE2 sets. A rule whose pattern RE2 does not take any more is
    left out, and told in `skipped`: without it mail goes on.
    """
    making = _Making()
    takings = [
        making.part(f"author_from {n}", partial(_taking, n, entry, making.book))
        for n, entry in enumerate(document.author_from, 1)
    ]
    block = [
        making.part(f"block {n}", partial(compile_clause, entry, making.book))
        for n, entry in enumerate(document.block, 1)
    ]
    rules = making.rules(document.named_rules())
    teams = {team: making.rules(document.named_rules(team)) for team in document.teams}
    clauses = [c for c in block if c]
    asks = any(r.clause and r.clause.names("language") for r in (*rules, *(r for t in teams.values() for r in t)))
    asks = asks or any(clause.names("language") for clause in clauses)
    overrides = {canonical(a): settings_with(document, o) for a, o in document.mailboxes.items()}
    return Policy(
        version, document, settings_of(document), overrides, tuple(t for t in takings if t), tuple(clauses), rules, teams,
        making.book.compile(), asks, making.skipped,
    )  # fmt: skip


@dataclass(slots=True)
class _Making:
    """A policy in the making: its patterns, and what had to be left out."""

    book: PatternBook = field(default_factory=PatternBook)
    skipped: dict[str, str] = field(default_factory=dict)

    def part(self, name: str, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except BadPattern as error:
            self.skipped[name] = str(error)
            return None

    def rules(self, named: Iterable[tuple[str, Rule]]) -> tuple[CompiledRule, ...]:
        made = (self.part(name, partial(compile_rule, name, rule, self.book)) for name, rule in named)
        return tuple(rule for rule in made if rule)


def _taking(number: int, entry: AuthorFrom, book: PatternBook) -> Taking:
    return Taking(f"author_from {number}", compile_clause(entry.if_, book), entry.take)


def decide(facts: Facts, policy: Policy, *, released: bool = False, opened: bool = False) -> Decision:
    """What becomes of a message. Pure: the same facts and policy give the same decision.

    `released` decides with quarantine off: an admin let the message go, so that nothing quarantines, refuses or defers
    it any more. What would be ignored still is, and its files are judged as before. `opened` lets that go too: an agent
    wants a ticket of this message, whatever stands against it.
    """
    settings = policy.settings_for(facts.place)
    reading = read(facts, policy)
    parts = _parts(facts, settings)
    found = verdicts_before_rules(reading, policy, settings, parts)
    verdict = next((v for v in found if _counts(v, released=released, opened=opened)), None)
    counts = partial(_counts, released=released, opened=opened)
    run = RuleRun.of(reading) if verdict else run_rules(policy.rules, policy.team_rules, reading, counts)
    if run.verdict and counts(run.verdict):
        verdict = run.verdict
    return _decision(reading, policy, settings, parts, run, softened(verdict, facts, settings))


def _counts(verdict: Verdict, *, released: bool, opened: bool) -> bool:
    return not opened and (not released or verdict.disposition is Disposition.IGNORE)


def read(facts: Facts, policy: Policy) -> Reading:
    """The message as the conditions of this policy see it."""
    settings = policy.settings_for(facts.place)
    return Reading(facts, belonging(facts, settings.accept.join_open_ticket), policy.patterns)


def verdicts_before_rules(
    reading: Reading, policy: Policy, settings: Settings, parts: tuple[PartJudgement, ...]
) -> Iterator[Verdict]:
    """What is said of the whole message before any rule sees it, in the order of judgement: the first one holds."""
    facts, exempt = reading.facts, reading.facts.place.exempt
    yield from _if_any(verdict_of_scan(facts, wanted_by_scan(facts, settings.virus)))
    if facts.context.bounce_of is not None:
        # it came to an address only we can make: no proof of its author is needed, and a refusal would lose the news
        yield Verdict(Disposition.IGNORE, Reason.DELIVERY_REPORT, "a delivery report for mail of ours")
    if facts.context.challenge is not None:
        # asked for by us, and known by a token only we can make: that its author's proof broke on the way is the finding
        yield verdict_of_challenge(facts)
    if facts.context.is_own_mail:
        # a notice that was forwarded back: taken for news it would be told to everybody again, without end (RFC 3834)
        yield Verdict(Disposition.IGNORE, Reason.OWN_MAIL, "a notification of ours that came back")
    if is_confirmation(facts):
        yield Verdict(Disposition.IGNORE, Reason.FORWARDING_CONFIRMATION, "Google asks to confirm a forwarding")
    if not exempt:
        yield from _if_any(_unproven_sender(facts, settings))
        yield from _if_any(_blocked(reading, policy))
        yield from _if_any(verdict_of_spam(reading, settings.accept.spam))
    yield from _if_any(_ambiguous(facts))
    yield from _if_any(verdict_of_parts(parts))
    if not exempt:
        yield from _if_any(_not_taken(reading, settings))


def _if_any(verdict: Verdict | None) -> tuple[Verdict, ...]:
    return (verdict,) if verdict else ()


def softened(verdict: Verdict | None, facts: Facts, settings: Settings) -> Verdict | None:
    """A refusal behind a forwarder would become its bounce to a perhaps forged author: such mail waits instead."""
    if verdict is None or verdict.disposition is not Disposition.REJECT:
        return verdict
    forwarded = facts.auth.path in (Path.FORWARDER, Path.PROBABLE)
    if not forwarded or settings.accept.refuse_forwarded:
        return verdict
    return Verdict(Disposition.QUARANTINE, verdict.reason, verdict.text)


def _parts(facts: Facts, settings: Settings) -> tuple[PartJudgement, ...]:
    return judge_parts(facts, settings, unproven_files(facts, wanted_by_scan(facts, settings.virus)))


def _unproven_sender(facts: Facts, settings: Settings) -> Verdict | None:
    sender, accept = facts.auth.sender, settings.accept
    if sender is Sender.FORGED:
        wanted = accept.forged
        if wanted == "reject" and facts.auth.published_policy == "quarantine":
            wanted = "quarantine"
        return _sender_verdict(wanted, Reason.FORGED, "the author's domain disowns this message (DMARC)")
    if sender is Sender.UNVERIFIED:
        return _sender_verdict(accept.unverified, Reason.UNVERIFIED, "the author of this message is not proven")
    if sender is Sender.INDETERMINATE:
        if accept.indeterminate == "defer":
            return Verdict(Disposition.DEFER, Reason.DNS_UNAVAILABLE)
        return _sender_verdict(accept.indeterminate, Reason.INDETERMINATE, "DNS would not say who the author is")
    return None


def _sender_verdict(wanted: str, reason: Reason, text: str) -> Verdict | None:
    return None if wanted == "accept" else Verdict(Disposition(wanted), reason, text)


def _blocked(reading: Reading, policy: Policy) -> Verdict | None:
    if any(clause.holds(reading) for clause in policy.block):
        return Verdict(Disposition.REJECT, Reason.BLOCKED, "this message is not taken here")
    return None


def _ambiguous(facts: Facts) -> Verdict | None:
    """Structure that programs read differently is not guessed at: what we scan need not be what a reader opens."""
    found = ambiguity_of(facts.message.defects)
    return Verdict(Disposition.QUARANTINE, Reason.AMBIGUOUS, found) if found else None


def _not_taken(reading: Reading, settings: Settings) -> Verdict | None:
    """`accept.senders` and `accept.messages`: kept without a ticket, never refused. Agents' own answers pass."""
    if reading.belonging.from_agent:
        return None
    opens_ticket = reading.belonging.ticket is TicketChoice.NEW
    if opens_ticket and "answers" in settings.messages:
        return Verdict(Disposition.IGNORE, Reason.ANSWERS_ONLY, "only answers to tickets are taken here")
    if not reading.belonging.is_new and "new" in settings.messages:
        return Verdict(Disposition.IGNORE, Reason.NEW_ONLY, "answers to tickets are not taken here")
    if opens_ticket and settings.accept.senders == "contacts" and reading.facts.context.contact is None:
        return Verdict(Disposition.IGNORE, Reason.SENDERS_CONTACTS_ONLY, "only known contacts are taken here")
    return None


def _decision(
    reading: Reading,
    policy: Policy,
    settings: Settings,
    parts: tuple[PartJudgement, ...],
    run: RuleRun,
    verdict: Verdict | None,
) -> Decision:
    """Nothing but an accepted message has a ticket or effects: what waits or is refused must cause no mail."""
    belongs = reading.belonging
    accepted = verdict is None
    ticket, joined = (TicketChoice.NEW, None) if run.opens else (belongs.ticket, belongs.candidate)
    effects, silence = _effects(reading, settings, run) if accepted else ((), "the message opens no ticket")
    return Decision(
        disposition=verdict.disposition if verdict else Disposition.ACCEPT,
        reason=verdict.reason if verdict else Reason.ACCEPTED,
        text=verdict.text if verdict else "",
        kind=belongs.kind,
        ticket=ticket if accepted else TicketChoice.NONE,
        join=joined.ticket_id if accepted and joined else None,
        parts=tuple(p.decision() for p in parts),
        hits=not_forwarded(run.hits, verdict.disposition) if verdict else tuple(run.hits),
        effects=effects,
        policy_version=policy.version,
        silence=silence,
        participants=participants(reading.facts, belongs, settings.import_cc, opens=run.opens) if accepted else (),
    )


def _effects(reading: Reading, settings: Settings, run: RuleRun) -> tuple[tuple[Effect, ...], str]:
    """The rules' effects with the confirmation where one is due, and why not where it is not."""
    wanted = run.effects()
    silence = _silence(reading, settings, run)
    if silence:
        return tuple(e for e in wanted if not isinstance(e, Acknowledge)), silence
    if any(isinstance(e, Acknowledge) for e in wanted):
        return wanted, ""
    return (*wanted, Acknowledge()), ""


def _silence(reading: Reading, settings: Settings, run: RuleRun) -> str:
    """Why the author gets no confirmation (RFC 3834 section 2: what never to answer); empty when one is due."""
    facts = reading.facts
    if not run.opens:
        return "not a new ticket"
    if facts.envelope.reverse_path is None:
        return "null reverse-path"
    if reading.belonging.kind not in (Kind.NEW, Kind.ANSWER):
        return f"{reading.belonging.kind.value} mail is not answered"
    if facts.auth.sender is not Sender.VERIFIED:
        return f"the author is {facts.auth.sender.value}"
    if run.silenced_by:
        return f"rule {run.silenced_by}: acknowledge: false"
    if not settings.accept.acknowledge:
        return "accept.acknowledge is false"
    return _silence_to_ourselves(facts)


def _silence_to_ourselves(facts: Facts) -> str:
    author, place = facts.message.author, facts.place
    if author is None:
        return "no single author"
    address = canonical(author.address)
    if address in {canonical(a) for a in place.own_addresses}:
        return "the author is an address of this account"
    if address in {canonical(a) for a in place.agent_addresses}:
        return "the author is an agent"
    if address.rpartition("@")[2] == canonical(f"x@{place.account_domain}").rpartition("@")[2]:
        return "the author is at the gateway's own domain"
    return ""
