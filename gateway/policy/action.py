"""The port of actions: one file each in `actions/`, found by scanning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.decision import Disposition, Effect
from gateway.core.outcome import Reason
from gateway.policy.reading import Reading


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the whole message, why, and the words for an SMTP reply (ASCII, one line)."""

    disposition: Disposition
    reason: Reason
    text: str = ""


@dataclass(frozen=True, slots=True)
class NoAcknowledgement:
    """The rule wants the author left without a confirmation."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a rule asks for. `decides` names what only the first rule sets; it is granted whole or not at all.

    `new_tickets_only`: on an answer it has no effect (`route` and `assign` without `reassign: true`). `unless` says why it
    must not be done with this message; empty where it may.
    """

    what: Effect | Verdict | NoAcknowledgement
    label: str
    decides: tuple[str, ...] = ()
    new_tickets_only: bool = False
    unless: Callable[[Reading], str] | None = None


class Action(Protocol):
    """`Params` is a type pydantic can validate. `bare`: may be written as a mere word (`- ignore`)."""

    name: str
    Params: Any
    bare: bool

    def orders(self, params: Any) -> tuple[Order, ...]: ...


TEAM_AND_ASSIGNEE = ("team", "assignee")
"""`route` and `assign` decide both: to route is also to leave unassigned."""
