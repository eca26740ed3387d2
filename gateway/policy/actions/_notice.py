"""The shape of `notify` and `notify_only`: to addresses, to `assignee`, or to a team."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from gateway.core.addresses import BadAddress, canonical, parse_addr_spec
from gateway.core.decision import Notify
from gateway.policy.action import Order
from gateway.policy.cures import quote
from gateway.policy.values import AgentTemplate, Known, Model, TeamName, Text, as_list, check_team, mistake

_ASSIGNEE = "assignee"
_TEAM = "team:"


class TeamRecipient(Model):
    """All agents of a team."""

    team: TeamName


def _word(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    team = value.get("team")
    if len(value) != 1 or not isinstance(team, str):
        raise mistake("a recipient is an address, assignee, or {team: name}")
    return _TEAM + team


def _recipient(value: str, info: ValidationInfo) -> str:
    if value.startswith(_TEAM):
        check_team(value.removeprefix(_TEAM), info)
    elif value != _ASSIGNEE:
        try:
            parse_addr_spec(value)
        except BadAddress:
            message = f"{quote(value)} is no e-mail address: write name@domain, assignee, or {{team: name}}"
            raise mistake(message) from None
        _elsewhere(value, info)
    return value


def _elsewhere(value: str, info: ValidationInfo) -> None:
    """Raises for a mailbox of the account: a notice there comes back as our own mail, and nobody reads it."""
    known = info.context
    if isinstance(known, Known) and canonical(value) in {canonical(m) for m in known.mailboxes}:
        cure = "name people, or {team: name}"
        raise mistake(f"{quote(value)} is a mailbox of this account, and its notices would come back unread: {cure}")


Recipient = Annotated[
    Text, AfterValidator(_recipient), BeforeValidator(_word, json_schema_input_type=str | TeamRecipient)
]
_Written = str | TeamRecipient | tuple[str | TeamRecipient, ...]
Recipients = Annotated[tuple[Recipient, ...], BeforeValidator(as_list, json_schema_input_type=_Written)]


class NotifyParams(Model):
    """`to` one or several; `template` another one than what happened has."""

    to: Recipients
    template: AgentTemplate | None = None


def _to(value: Any) -> Any:
    """A list, a word or `{team: name}` without `to` is whom to tell."""
    if isinstance(value, dict) and set(value) != {"team"}:
        return value
    return {"to": value}


@dataclass(frozen=True, slots=True)
class NoticeAction:
    """`only` replaces the usual notices to agents."""

    name: str
    only: bool
    Params: Any = Annotated[NotifyParams, BeforeValidator(_to, json_schema_input_type=_Written | NotifyParams)]
    bare: bool = False

    def orders(self, params: NotifyParams) -> tuple[Order, ...]:
        template = params.template or ""
        label = f"{self.name}: {', '.join(params.to)}" + (f" by template {template}" if template else "")
        return (Order(Notify(params.to, self.only, template), label),)
