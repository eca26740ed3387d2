"""One message as the conditions of a policy see it: its facts, and what each field's patterns found in them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from gateway.core.addresses import canonical
from gateway.core.decision import Facts
from gateway.policy.belonging import Belonging
from gateway.policy.patterns import Field, FieldPatterns

_NOTHING: frozenset[int] = frozenset()


class Reading:
    """Each field is matched at most once, however many rules ask."""

    def __init__(self, facts: Facts, belonging: Belonging, patterns: Mapping[str, FieldPatterns]) -> None:
        self.facts = facts
        self.belonging = belonging
        self._patterns = patterns
        self._fields: dict[str, frozenset[int]] = {}
        self._values: dict[tuple[str, str], frozenset[int]] = {}

    def hits(self, where: Field) -> frozenset[int]:
        """The numbers of the patterns that hold for any value of this field."""
        found = self._fields.get(where.key)
        if found is None:
            found = _NOTHING.union(*(self.hits_in(where, value) for value in where.read(self.facts)))
            self._fields[where.key] = found
        return found

    def hits_in(self, where: Field, value: str) -> frozenset[int]:
        """The numbers of the patterns of this field that hold for one value."""
        key = (where.key, value)
        found = self._values.get(key)
        if found is None:
            patterns = self._patterns.get(where.key)
            found = patterns.match(value) if patterns else _NOTHING
            self._values[key] = found
        return found

    @cached_property
    def own_recipients(self) -> frozenset[str]:
        """Every address that means the mailboxes this transaction is for, as they are compared: the company's own, the
        inbound ones at the account's domain, and the forward-paths (a domain of the account's own may be among them).
        """
        place = self.facts.place
        inbound = (f"{m.inbound}@{place.account_domain}" for m in place.mailboxes if m.inbound)
        every = (*(m.address for m in place.mailboxes), *inbound, *self.facts.envelope.recipients)
        return frozenset(canonical(a) for a in every)
