"""`set: {priority, state, language, fields}`: fields of the ticket."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from gateway.core.decision import Set
from gateway.policy.action import Order
from gateway.policy.language_tags import known_language, language_tag
from gateway.policy.values import Model, ScalarText, Text, mistake


class SetParams(Model):
    """What to set; `fields` are the account's own."""

    priority: Literal["low", "normal", "high", "urgent"] | None = None
    state: Literal["open", "pending", "closed"] | None = None
    language: Annotated[Text, AfterValidator(language_tag), AfterValidator(known_language)] | None = None
    fields: dict[str, ScalarText] | None = None

    @model_validator(mode="after")
    def _something(self) -> SetParams:
        if not self.model_fields_set or self.fields == {}:
            raise mistake("nothing to set: write {priority: high}, {state: pending}, {language: de} or {fields: {…}}")
        if self.fields and not all(name.strip() for name in self.fields):
            raise mistake("a field has a name: write {fields: {order: 4711}}")
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
