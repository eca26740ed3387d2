"""Rules, compiled: `if` as a tree of tests, `then` as orders; and how they are run from the top."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gateway.core.decision import ConditionTrace, Effect, Hit, TicketChoice
from gateway.policy.action import NoAcknowledgement, Order, Verdict
from gateway.policy.condition import Test
from gateway.policy.document import IfBase, Rule, all_actions, all_conditions
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
    """`sees_all`: its `if` names `kind`, so it sees not only mail that would open a ticket."""

    name: str
    clause: Clause | None
    orders: tuple[Order, ...]
    stop: bool
    sees_all: bool

    def sees(self, reading: Reading) -> bool:
        return self.sees_all or reading.belonging.ticket is TicketChoice.NEW

    def matches(self, reading: Reading) -> bool:
        return self.sees(reading) and (self.clause is None or self.clause.holds(reading))

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
    actions = all_actions()
    orders: list[Order] = []
    for step in written.then:
        for action in actions:
            if action in step.model_fields_set:
                orders += actions[action].orders(getattr(step, action))
    return CompiledRule(name, clause, tuple(orders), written.stop, clause is not None and clause.names("kind"))


@dataclass(slots=True)
class RuleRun:
    """What the rules came to, from the top: who decided what, the hits, and the orders that were granted."""

    hits: list[Hit] = field(default_factory=list)
    granted: list[Order] = field(default_factory=list)
    _winners: dict[str, str] = field(default_factory=dict)

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

    def take(self, rule: CompiledRule, reading: Reading) -> Hit:
        """A rule that matched: grant what nobody before it decided."""
        effects: list[str] = []
        lost: list[tuple[str, str]] = []
        for order in rule.orders:
            taken = self._already(order, reading)
            if taken:
                lost += taken
                continue
            self._winners |= dict.fromkeys(order.decides, rule.name)
            self.granted.append(order)
            effects.append(order.label)
        hit = Hit(rule.name, rule.traces(reading), tuple(effects), tuple(lost))
        self.hits.append(hit)
        return hit

    def _already(self, order: Order, reading: Reading) -> list[tuple[str, str]]:
        """Why the order is not granted: what was decided, and by which rule, or that the ticket keeps it."""
        if order.new_tickets_only and reading.belonging.ticket is not TicketChoice.NEW:
            return [(name, "the ticket (an answer moves it only with reassign: true)") for name in order.decides]
        return [(name, self._winners[name]) for name in order.decides if name in self._winners]


def run_rules(rules: Sequence[CompiledRule], reading: Reading) -> RuleRun:
    """From the top; the first to decide a thing wins; `stop` ends."""
    run = RuleRun()
    for rule in rules:
        if not rule.matches(reading):
            continue
        run.take(rule, reading)
        if rule.stop:
            break
    return run
