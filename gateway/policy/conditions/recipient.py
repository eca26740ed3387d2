"""`recipient`: any address the message was sent to, by the envelope (forward-paths) or by To and Cc."""

from __future__ import annotations

from gateway.core.decision import Facts
from gateway.policy.conditions._text import FieldCondition
from gateway.policy.matchers import AddressMatchers
from gateway.policy.patterns import address_field


def _recipients(facts: Facts) -> tuple[str, ...]:
    shown = (a.address for a in (*facts.message.to, *facts.message.cc))
    return tuple(dict.fromkeys([*facts.envelope.recipients, *shown]))


CONDITION = FieldCondition(address_field("recipient", _recipients), AddressMatchers)
