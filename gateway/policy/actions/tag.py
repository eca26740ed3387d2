"""`tag: […]`: tags of all rules add up."""

from __future__ import annotations

from typing import Any

from gateway.core.decision import Tag
from gateway.policy.action import Order
from gateway.policy.values import Tags


class _Tag:
    name = "tag"
    Params = Tags
    bare = False

    def orders(self, params: tuple[str, ...]) -> tuple[Order, ...]:
        return tuple(Order(Tag(tag), f"tag: {tag}") for tag in dict.fromkeys(params))


ACTION: Any = _Tag()
