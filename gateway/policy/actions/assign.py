"""`assign: agent`, or `{agent | team, strategy, last_agent_first, reassign}`: to a person."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, model_validator

from gateway.core.decision import Assign
from gateway.core.ports import Strategy
from gateway.policy import strategies
from gateway.policy.action import TEAM_AND_ASSIGNEE, Order
from gateway.policy.cures import quote
from gateway.policy.values import AgentAddress, Model, TeamName, Text, as_list, mistake, not_available, suggestion
from gateway.registry import plugins_of

_LATER = frozenset({"customer-owner", "contact-owner"})


@cache
def all_strategies() -> dict[str, Strategy]:
    """The strategies found, by name."""
    return plugins_of(strategies, "STRATEGY", Strategy)  # type: ignore[type-abstract]  # the port is what is asked for


def _strategy(value: str) -> str:
    if value in _LATER:
        raise mistake(not_available(value))
    if value not in all_strategies():
        raise mistake(f"there is no strategy {quote(value)}{suggestion(value, set(all_strategies()))}")
    return value


class AssignParams(Model):
    """An agent, or a team (or several) and how to choose among its agents."""

    later: ClassVar[frozenset[str]] = frozenset({"otherwise"})
    agent: AgentAddress | None = None
    team: Annotated[
        tuple[TeamName, ...] | None, BeforeValidator(as_list, json_schema_input_type=str | tuple[str, ...])
    ] = None
    strategy: Annotated[Text, AfterValidator(_strategy)] = "least-open"
    last_agent_first: bool = False
    reassign: bool = False

    @model_validator(mode="after")
    def _one_target(self) -> AssignParams:
        if bool(self.agent) == bool(self.team):
            raise mistake("say either which agent, or which team: assign: ann@acme.example, or assign: {team: sales}")
        if self.agent and self.model_fields_set & {"strategy", "last_agent_first"}:
            raise mistake("a strategy chooses among the agents of a team: remove it, or write a team")
        return self


def _agent(value: Any) -> Any:
    return {"agent": value} if isinstance(value, str) else value


class _Assign:
    name = "assign"
    Params = Annotated[AssignParams, BeforeValidator(_agent, json_schema_input_type=str | AssignParams)]
    bare = False

    def orders(self, params: AssignParams) -> tuple[Order, ...]:
        teams = params.team or ()
        effect = Assign(params.agent, teams, params.strategy, params.last_agent_first, params.reassign)
        to = params.agent or f"{', '.join(teams)} by {params.strategy}"
        return (Order(effect, f"assign: {to}", TEAM_AND_ASSIGNEE, not params.reassign),)


ACTION: Any = _Assign()
