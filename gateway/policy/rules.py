"""Rules, compiled: `if` as a tree of tests, `then` as orders; and how they are run from the top."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.core.decision import (
    Assign,
    ConditionTrace,
    Effect,
    Forward,
    Hit,
    NewTicket,
    Note,
    Route,
    Set,
    Tag,
    TicketChoice,
    ToMailbox,
)
from gateway.policy.action import NoAcknowledgement, Order, Verdict
from gateway.policy.condition import Test
from gateway.policy.document import IfBase, Rule, all_actions, all_conditions
from gateway.policy.forwarding import MOST
from gateway.policy.patterns import PatternBook
from gateway.policy.reading import Reading

_COMBINED = ("all", "any", "none")


@dataclass(frozen=True, slots=True)
class Clause:
    """One `if`: all tests hold, all clauses of `all`, one of `any`, none of `none`."""

    tests: tuple[tuple[str, Test], ...]
    nested: tuple[tuple[str, tuple[Clause, ...]], ...] = ()

    def holds(self, reading: Reading) -> bool:
        return all(test.holds(reading) for _, test in self.tests) and all(
            _combined(how, clauses, reading) for how, clauses in self.nested
        )

    def traces(self, reading: Reading, prefix: str = "") -> Iterator[ConditionTrace]:
        """Every condition with the value it saw, also those the result did not depend on."""
        for name, test in self.tests:
            yield ConditionTrace(prefix + name, test.expected, test.saw(reading), test.holds(reading))
        for how, clauses in self.nested:
            for number, clause in enumerate(clauses, 1):
                yield from clause.traces(reading, f"{prefix}{how}[{number}].")

    def names(self, condition: str) -> bool:
        """True when the condition stands anywhere in here."""
        return any(name == condition for name, _ in self.tests) or any(
            clause.names(condition) for _, clauses in self.nested for clause in clauses
        )


def _combined(how: str, clauses: tuple[Clause, ...], reading: Reading) -> bool:
    if how == "all":
        return all(clause.holds(reading) for clause in clauses)
    holds = any(clause.holds(reading) for clause in clauses)
    return holds if how == "any" else not holds


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """`sees_all`: its `if` names `kind`, so it sees not only new mail (`Belonging.is_new`). `opens`: it has `new_ticket`."""

    name: str
    clause: Clause | None
    orders: tuple[Order, ...]
    stop: bool
    sees_all: bool

    @property
    def opens(self) -> bool:
        return any(isinstance(o.what, NewTicket) for o in self.orders)

    def holds(self, reading: Reading) -> bool:
        return self.clause is None or self.clause.holds(reading)

    def traces(self, reading: Reading) -> tuple[ConditionTrace, ...]:
        return tuple(self.clause.traces(reading)) if self.clause else ()


def compile_clause(written: IfBase, book: PatternBook) -> Clause:
    """The tests of one `if`, their patterns entered in the book."""
    conditions = all_conditions()
    tests = [(n, conditions[n].test(getattr(written, n), book)) for n in conditions if n in written.model_fields_set]
    combined = [n for n in _COMBINED if n in written.model_fields_set]
    nested = ((n, tuple(compile_clause(inner, book) for inner in getattr(written, n))) for n in combined)
    return Clause(tuple(tests), tuple(nested))


def compile_rule(name: str, written: Rule, book: PatternBook) -> CompiledRule:
    """One rule of the document."""
    clause = compile_clause(written.if_, book) if written.if_ else None
    return CompiledRule(name, clause, orders_of(written), written.stop, clause is not None and clause.names("kind"))


def orders_of(written: Rule) -> tuple[Order, ...]:
    """What a rule asks for, in the order it is written."""
    orders: list[Order] = []
    for step in written.then:
        for name, action in all_actions().items():
            if name in step.model_fields_set:
                orders += action.orders(getattr(step, name))
    return tuple(orders)


_OF_THE_TICKET = Route | Assign | ToMailbox | Set | Tag


@dataclass(slots=True)
class RuleRun:
    """What the rules came to, from the top: who decided what, the hits, and the orders that were granted.

    `is_new`: the mail would open a ticket, or a rule wants one of its own for it. `results` are the names of the rules
    looked at with `matched`, `not matched`, `not seen` (not for this kind of mail) or `not reached`.
    """

    reading: Reading
    is_new: bool
    hits: list[Hit] = field(default_factory=list)
    granted: list[Order] = field(default_factory=list)
    results: list[tuple[CompiledRule, str]] = field(default_factory=list)
    stopped: bool = False
    _opened: bool = False
    _winners: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, reading: Reading) -> RuleRun:
        """Before the first rule."""
        return cls(reading, reading.belonging.is_new)

    @property
    def opens(self) -> bool:
        """A ticket comes of it that was not there."""
        return self._opened or self.reading.belonging.ticket is TicketChoice.NEW

    @property
    def verdict(self) -> Verdict | None:
        return next((o.what for o in self.granted if isinstance(o.what, Verdict)), None)

    @property
    def silenced_by(self) -> str:
        """The rule that wants no confirmation, or nothing."""
        silent = any(isinstance(o.what, NoAcknowledgement) for o in self.granted)
        return self._winners["acknowledge"] if silent else ""

    def effects(self) -> tuple[Effect, ...]:
        """All effects in the order of the rules, each once."""
        kept = (o.what for o in self.granted if not isinstance(o.what, Verdict | NoAcknowledgement))
        return tuple(dict.fromkeys(kept))

    def through(self, rules: Sequence[CompiledRule]) -> None:
        """From the top; the first to decide a thing wins; `stop` ends. A rule behind `new_ticket` sees mail that opens one,
        and whether the mail opens one is known before anything is granted: `route` may stand above `new_ticket`.
        """
        before = len(self.results)
        for rule in rules:
            self.results.append((rule, self._result(rule)))
            if self.results[-1][1] != "matched":
                continue
            self.stopped = self.stopped or rule.stop
            if rule.opens and not self.reading.belonging.from_agent:
                self._opened = self.is_new = True
        for rule, result in self.results[before:]:
            if result == "matched":
                self._take(rule)

    def _result(self, rule: CompiledRule) -> str:
        if self.stopped:
            return "not reached"
        if not (rule.sees_all or self.is_new):
            return "not seen"
        return "matched" if rule.holds(self.reading) else "not matched"

    def _take(self, rule: CompiledRule) -> None:
        """A rule that matched: grant what nobody before it decided."""
        effects: list[str] = []
        lost: list[tuple[str, str]] = []
        withheld: list[tuple[str, str]] = []
        for order in rule.orders:
            taken, why_not = self._already(order), self._why_not(order)
            lost += taken
            withheld += [(order.label, why_not)] if why_not and not taken else []
            if taken or why_not:
                continue
            self._winners |= dict.fromkeys(order.decides, rule.name)
            self.granted.append(_signed(order, rule.name))
            effects.append(order.label)
        self.hits.append(Hit(rule.name, rule.traces(self.reading), tuple(effects), tuple(lost), tuple(withheld)))

    def _already(self, order: Order) -> list[tuple[str, str]]:
        """Why the order is not granted: what was decided, and by which rule, or that the ticket keeps it."""
        if order.new_tickets_only and not self.opens:
            return [(name, "the ticket (an answer moves it only with reassign: true)") for name in order.decides]
        return [(name, self._winners[name]) for name in order.decides if name in self._winners]

    def _why_not(self, order: Order) -> str:
        """Why it must not be done with this message, whoever asks; empty where it may."""
        forwarded = {o.what for o in self.granted if isinstance(o.what, Forward)}
        if isinstance(order.what, Forward) and order.what not in forwarded and len(forwarded) >= MOST:
            return f"it goes on to {MOST} addresses already"
        if isinstance(order.what, _OF_THE_TICKET) and self._is_strangers_note():
            return (
                "it is no participant's: a Message-ID, which every reader knows, must not be enough to change a ticket"
            )
        return order.unless(self.reading) if order.unless else ""

    def _is_strangers_note(self) -> bool:
        belonging = self.reading.belonging
        return belonging.ticket is TicketChoice.NOTE and not belonging.from_agent and not self.opens

    def team(self) -> str | None:
        """Whom the mail reaches by now: whoever it was routed or assigned to, else whose the ticket is or will be."""
        for effect in self.effects():
            if isinstance(effect, Route):
                return effect.team
            if isinstance(effect, Assign) and effect.agent:
                return self.reading.facts.place.team_with(effect.agent, self._home())
            if isinstance(effect, Assign) and effect.teams:
                return effect.teams[0]
        return self._home()

    def _home(self) -> str | None:
        """Whose the mail is where no rule says more."""
        belonging, place = self.reading.belonging, self.reading.facts.place
        if belonging.candidate and not self.opens:
            return belonging.candidate.team
        moved = next((e.mailbox for e in self.effects() if isinstance(e, ToMailbox)), place.mailbox.address)
        return place.team_of(moved)

    def opened_for(self, team: str) -> None:
        """A ticket of its own that the rules of `team` wanted stays with them, unless somebody decided otherwise."""
        if "team" not in self._winners:
            self.granted.append(Order(Route(team), f"route: {team}"))


def _signed(order: Order, rule: str) -> Order:
    """A note says which rule wrote it."""
    return replace(order, what=replace(order.what, rule=rule)) if isinstance(order.what, Note) else order


def run_rules(
    rules: Sequence[CompiledRule],
    of_teams: Mapping[str, Sequence[CompiledRule]],
    reading: Reading,
    counts: Callable[[Verdict], bool] = lambda _verdict: True,
) -> RuleRun:
    """The account's rules, then those of the team that the mail reaches: none where it was stopped, or where a verdict that
    `counts` keeps it from everybody.
    """
    run = RuleRun.of(reading)
    run.through(rules)
    verdict, team, opened = run.verdict, run.team(), run.opens
    if team is None or team not in of_teams:
        return run
    run.stopped = run.stopped or (verdict is not None and counts(verdict))
    run.through(of_teams[team])
    if run.opens and not opened:
        run.opened_for(team)
    return run
