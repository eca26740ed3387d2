"""`acknowledge: true | false`: whether the author gets a confirmation."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from gateway.core.decision import Acknowledge
from gateway.policy.action import NoAcknowledgement, Order
from gateway.policy.values import mistake

_TEMPLATE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def _choice(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and _TEMPLATE.fullmatch(value):
        raise mistake("a template for the confirmation is not available in this version: write true or false")
    raise mistake("write false for no confirmation, true for one")


class _Acknowledge:
    name = "acknowledge"
    Params = Annotated[Any, BeforeValidator(_choice, json_schema_input_type=bool)]
    bare = False

    def orders(self, params: bool) -> tuple[Order, ...]:
        if params is False:
            return (Order(NoAcknowledgement(), "acknowledge: false", ("acknowledge",)),)
        return (Order(Acknowledge(), "acknowledge: true", ("acknowledge",)),)


ACTION: Any = _Acknowledge()
