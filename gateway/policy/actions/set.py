"""`set: {priority, state, language, fields}`: fields of the ticket."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from gateway.core.decision import Set
from gateway.policy.action import Order
from gateway.policy.cures import quote
from gateway.policy.values import Model, ScalarText, Text, mistake

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")  # the common shapes of BCP 47


def _language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise mistake(f"{quote(value)} is no language tag: write en, de or pt-BR")
    return value


class SetParams(Model):
    """What to set; `fields` are the account's own."""

    priority: Literal["low", "normal", "high", "urgent"] | None = None
    state: Literal["open", "pending", "closed"] | None = None
    language: Annotated[Text, AfterValidator(_language)] | None = None
    fields: dict[str, ScalarText] | None = None

    @model_validator(mode="after")
    def _something(self) -> SetParams:
        if not self.model_fields_set or self.fields == {}:
            raise mistake("nothing to set: write {priority: high}, {state: pending}, {language: de} or {fields: {…}}")
        return self


class _Set:
    name = "set"
    Params = SetParams
    bare = False

    def orders(self, params: SetParams) -> tuple[Order, ...]:
        wanted = {name: getattr(params, name) for name in ("priority", "state", "language")}
        wanted |= {f"fields.{name}": value for name, value in (params.fields or {}).items()}
        chosen = ((name, value) for name, value in wanted.items() if value is not None)
        return tuple(Order(Set(name, value), f"set: {name} = {value}", (name,)) for name, value in chosen)


ACTION: Any = _Set()
