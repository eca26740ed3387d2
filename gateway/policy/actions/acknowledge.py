"""`acknowledge: template | false`: which confirmation the author gets, or none."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from gateway.core.decision import Acknowledge
from gateway.policy.action import NoAcknowledgement, Order
from gateway.policy.values import mistake

_TEMPLATE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def _choice(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, str) and _TEMPLATE.fullmatch(value)):
        return value
    raise mistake("write false for no confirmation, or the name of a template (lower case, digits and hyphens)")


class _Acknowledge:
    name = "acknowledge"
    Params = Annotated[Any, BeforeValidator(_choice, json_schema_input_type=bool | str)]
    bare = False

    def orders(self, params: Literal[True, False] | str) -> tuple[Order, ...]:
        if params is False:
            return (Order(NoAcknowledgement(), "acknowledge: false", ("acknowledge",)),)
        template = params if isinstance(params, str) else None
        return (Order(Acknowledge(template), f"acknowledge: {template or 'true'}", ("acknowledge",)),)


ACTION: Any = _Acknowledge()
