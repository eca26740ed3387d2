"""`kind`: new, answer, automatic, bounce or list. A rule that names it sees all mail, answers too; one that does not, what
names no ticket of ours.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from gateway.policy.conditions._choice import ChoiceCondition
from gateway.policy.values import as_list

Kinds = Literal["new", "answer", "automatic", "bounce", "list"]
Params = Annotated[tuple[Kinds, ...], BeforeValidator(as_list, json_schema_input_type=Kinds | tuple[Kinds, ...])]

CONDITION = ChoiceCondition("kind", Params, lambda reading: reading.belonging.kind.value)
