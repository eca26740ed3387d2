"""`assign: agent`, or `{agent | team, strategy, last_agent_first, reassign, otherwise}`: to a person."""

from __future__ import annotations

from collections.abc import Mapping
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


class Target(Model):
    """An agent, or a team (or several) and how to choose among its agents."""

    agent: AgentAddress | None = None
    team: Annotated[
        tuple[TeamName, ...] | None, BeforeValidator(as_list, json_schema_input_type=str | tuple[str, ...])
    ] = None
    strategy: Annotated[Text, AfterValidator(_strategy)] = "least-open"
    last_agent_first: bool = False

    @model_validator(mode="after")
    def _one_target(self) -> Target:
        if bool(self.agent) == bool(self.team):
            raise mistake("say either which agent, or which team: assign: ann@acme.example, or assign: {team: sales}")
        if self.agent and self.model_fields_set & {"strategy", "last_agent_first"}:
            raise mistake("a strategy chooses among the agents of a team: remove it, or write a team")
        return self

    def effect(self, *, reassign: bool, otherwise: Assign | None = None) -> Assign:
        return Assign(self.agent, self.team or (), self.strategy, self.last_agent_first, reassign, otherwise)

    @property
    def words(self) -> str:
        return self.agent or f"{', '.join(self.team or ())} by {self.strategy}"


class Otherwise(Target):
    """Who is tried when nobody of the teams before can get mail."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "reassign": "`reassign` holds for the whole of `assign`: write it beside `otherwise`",
        "otherwise": "one `otherwise` is all there is: name several teams in it, {team: [sales, support]}",
    }


def _team_or_agent(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return {"agent": value} if "@" in value else {"team": value}


class AssignParams(Target):
    """`reassign: true` moves the ticket of an answer too."""

    reassign: bool = False
    otherwise: Annotated[Otherwise, BeforeValidator(_team_or_agent, json_schema_input_type=str | Otherwise)] | None = (
        None
    )

    @model_validator(mode="after")
    def _otherwise_than_a_team(self) -> AssignParams:
        if self.agent and self.otherwise:
            raise mistake("an agent who is named gets it in every case: remove `otherwise`, or write a team")
        return self


def _agent(value: Any) -> Any:
    return {"agent": value} if isinstance(value, str) else value


class _Assign:
    name = "assign"
    Params = Annotated[AssignParams, BeforeValidator(_agent, json_schema_input_type=str | AssignParams)]
    bare = False

    def orders(self, params: AssignParams) -> tuple[Order, ...]:
        other = params.otherwise.effect(reassign=params.reassign) if params.otherwise else None
        effect = params.effect(reassign=params.reassign, otherwise=other)
        to = params.words + (f", otherwise {params.otherwise.words}" if params.otherwise else "")
        return (Order(effect, f"assign: {to}", TEAM_AND_ASSIGNEE, not params.reassign),)


ACTION: Any = _Assign()
