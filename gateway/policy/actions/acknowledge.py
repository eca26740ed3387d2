"""`acknowledge: true | false | TEMPLATE`: whether the author gets a confirmation, and in which words."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

from gateway.core.decision import Acknowledge
from gateway.policy.action import NoAcknowledgement, Order
from gateway.policy.values import check_customer_template, mistake


def _choice(value: Any, info: ValidationInfo) -> Any:
    """`yes`, `no`, `on` and `off` are text in YAML 1.2, and would be taken for templates."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.strip().lower() in ("", "yes", "no", "on", "off"):
        raise mistake("write false for no confirmation, true for the usual one, or the name of a template")
    return check_customer_template(value, info)


class _Acknowledge:
    name = "acknowledge"
    Params = Annotated[Any, BeforeValidator(_choice, json_schema_input_type=bool | str)]
    bare = False

    def orders(self, params: bool | str) -> tuple[Order, ...]:
        if params is False:
            return (Order(NoAcknowledgement(), "acknowledge: false", ("acknowledge",)),)
        if params is True:
            return (Order(Acknowledge(), "acknowledge: true", ("acknowledge",)),)
        return (Order(Acknowledge(params), f"acknowledge: {params}", ("acknowledge",)),)


ACTION: Any = _Acknowledge()
