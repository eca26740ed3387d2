"""`push: connector`: to a program outside. This release has no connectors, so every name is a mistake."""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator

from gateway.policy.action import Order
from gateway.policy.cures import quote
from gateway.policy.values import Text, mistake


def _connector(value: str) -> NoReturn:
    cure = "remove this, and let the program read tickets by the HTTP API"
    raise mistake(f"there is no connector {quote(value)} in this account, nor any other in this release: {cure}")


class _Push:
    name = "push"
    Params = Annotated[Text, AfterValidator(_connector)]
    bare = False

    def orders(self, params: str) -> tuple[Order, ...]:
        _connector(params)


ACTION: Any = _Push()
