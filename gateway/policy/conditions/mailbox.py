"""`mailbox`: any of the company's mailboxes this transaction is for."""

from __future__ import annotations

from gateway.core.decision import Facts
from gateway.policy.conditions._text import FieldCondition
from gateway.policy.matchers import MailboxMatchers
from gateway.policy.patterns import address_field


def _mailboxes(facts: Facts) -> tuple[str, ...]:
    return tuple(m.address for m in facts.place.mailboxes)


CONDITION = FieldCondition(address_field("mailbox", _mailboxes), MailboxMatchers)
