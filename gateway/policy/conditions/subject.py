"""`subject`: the decoded Subject."""

from __future__ import annotations

from gateway.policy.conditions._text import FieldCondition
from gateway.policy.matchers import Matchers
from gateway.policy.patterns import text_field

CONDITION = FieldCondition(text_field("subject", lambda facts: (facts.message.subject,)), Matchers)
