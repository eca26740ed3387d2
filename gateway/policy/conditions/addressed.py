"""`addressed`: whether the mailbox, by any address it has, stands in To, in Cc, or in neither (bcc)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BeforeValidator

from gateway.core.addresses import canonical
from gateway.core.message import Address
from gateway.policy.conditions._choice import ChoiceCondition
from gateway.policy.reading import Reading
from gateway.policy.values import as_list

Fields = Literal["to", "cc", "bcc"]
Params = Annotated[tuple[Fields, ...], BeforeValidator(as_list, json_schema_input_type=Fields | tuple[Fields, ...])]


def _addressed(reading: Reading) -> str:
    def names_us(addresses: Iterable[Address]) -> bool:
        return any(canonical(a.address) in reading.own_recipients for a in addresses)

    if names_us(reading.facts.message.to):
        return "to"
    return "cc" if names_us(reading.facts.message.cc) else "bcc"


CONDITION = ChoiceCondition("addressed", Params, _addressed)
