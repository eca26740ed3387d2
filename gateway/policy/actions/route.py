"""`route: team`, or `{team, reassign}`: to a team, unassigned."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from gateway.core.decision import Route
from gateway.policy.action import TEAM_AND_ASSIGNEE, Order
from gateway.policy.values import Model, TeamName


class RouteParams(Model):
    """`reassign: true` moves the ticket of an answer too."""

    team: TeamName
    reassign: bool = False


def _team(value: Any) -> Any:
    return {"team": value} if isinstance(value, str) else value


class _Route:
    name = "route"
    Params = Annotated[RouteParams, BeforeValidator(_team, json_schema_input_type=str | RouteParams)]
    bare = False

    def orders(self, params: RouteParams) -> tuple[Order, ...]:
        effect = Route(params.team, params.reassign)
        return (Order(effect, f"route: {params.team}", TEAM_AND_ASSIGNEE, not params.reassign),)


ACTION: Any = _Route()
