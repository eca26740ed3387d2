"""What is worth a word in a good policy: it is taken all the same, and part of it will do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from gateway.core.decision import Assign, Disposition, NewTicket, Route
from gateway.parse.language import is_installed
from gateway.policy.action import Order, Verdict
from gateway.policy.document import PolicyDocument
from gateway.policy.rules import orders_of

_FATES = {Disposition.IGNORE: "ignored", Disposition.REJECT: "refused"}
"""A quarantined message may be released, and then has what its rules granted."""


def remarks(document: PolicyDocument) -> tuple[str, ...]:
    """A sentence for each: what is missing here for a condition to see anything, actions of a rule that exclude each other."""
    rules = list(chain(document.named_rules(), *(document.named_rules(team) for team in document.teams)))
    clauses = [*document.block, *(rule.if_ for _, rule in rules if rule.if_)]
    found: list[str] = []
    if not is_installed() and any("language" in c.model_fields_set for clause in clauses for c in clause.clauses()):
        found.append(
            "`language` is asked, but nothing here looks at the words of a message: only Content-Language, the contact, the "
            "mailbox and the account tell. Install the extra: pip install 'support-mail-gateway[language]'"
        )
    for name, rule in rules:
        found += _contradictions(name, orders_of(rule))
    return tuple(found)


def _contradictions(rule: str, orders: tuple[Order, ...]) -> Iterator[str]:
    """Within one rule; between rules the first one wins, which is how exceptions are written."""
    decided: dict[str, Order] = {}
    fate = next((f for o in orders if isinstance(o.what, Verdict) and (f := _FATES.get(o.what.disposition))), "")
    for order in orders:
        first = next((decided[n] for n in order.decides if n in decided), None)
        on_answers = first and first.new_tickets_only and not order.new_tickets_only  # there it has its turn
        if first and first.label != order.label and not on_answers:
            yield f"rule `{rule}`: `{order.label}` never happens, since `{first.label}` in the same rule decides that first"
        elif fate and isinstance(order.what, Assign | NewTicket | Route):
            yield f"rule `{rule}`: `{order.label}` never happens, since mail that is {fate} by the same rule gets no ticket"
        for name in order.decides:
            decided.setdefault(name, order)
