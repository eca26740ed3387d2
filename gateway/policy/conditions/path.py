"""`path`: how the message came to us."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from gateway.policy.conditions._choice import ChoiceCondition
from gateway.policy.values import as_list

Paths = Literal["direct", "forwarder", "probable", "unknown"]
Params = Annotated[tuple[Paths, ...], BeforeValidator(as_list, json_schema_input_type=Paths | tuple[Paths, ...])]

CONDITION = ChoiceCondition("path", Params, lambda reading: reading.facts.auth.path.value)
