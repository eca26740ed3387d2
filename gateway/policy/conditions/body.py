"""`body`: the text as a reader sees it, quotes included, without the blank lines at its end; its first 65,536 characters."""

from __future__ import annotations

from gateway.policy.conditions._text import FieldCondition
from gateway.policy.matchers import Matchers
from gateway.policy.patterns import text_field

CONDITION = FieldCondition(text_field("body", lambda facts: (facts.message.text.rstrip(),)), Matchers)
