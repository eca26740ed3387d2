"""`sender`: the author, RFC5322.From. A message without exactly one author has none: nobody is guessed."""

from __future__ import annotations

from gateway.core.decision import Facts
from gateway.policy.conditions._text import FieldCondition
from gateway.policy.matchers import AddressMatchers
from gateway.policy.patterns import address_field


def _author(facts: Facts) -> tuple[str, ...]:
    return (facts.message.author.address,) if facts.message.author else ()


CONDITION = FieldCondition(address_field("sender", _author), AddressMatchers)
