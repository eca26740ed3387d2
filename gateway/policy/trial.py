"""A policy on trial: a new version's first day, and a candidate that runs beside the live one without effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from gateway.core.decision import Decision, Disposition, Facts
from gateway.core.outcome import Reason
from gateway.policy.differences import Difference, differences, fares_worse
from gateway.policy.engine import Policy, decide

T = TypeVar("T")

_WOULD_BE = {
    Disposition.REJECT: "refused",
    Disposition.IGNORE: "ignored",
    Disposition.QUARANTINE: "quarantined",
}


def on_probation(decision: Decision, facts: Facts, before: Policy) -> Decision:
    """The decision of a version on probation, held against the one it has to be as good as."""
    would_be = _WOULD_BE.get(decision.disposition)
    if would_be is None or not fares_worse(decide(facts, before), decision):
        return decision
    text = f"version {decision.policy_version} is new, and would have {would_be} what version {before.version} ticketed"
    reason = f"{decision.reason.value}: {decision.text}" if decision.text else decision.reason.value
    return replace(decision, disposition=Disposition.QUARANTINE, reason=Reason.PROBATION, text=f"{text} ({reason})")


@dataclass(frozen=True, slots=True)
class Beside:
    """What a candidate would have done otherwise with one message; `broken` says why it could not be asked."""

    differences: tuple[Difference, ...] = ()
    broken: str = ""

    @property
    def outcome(self) -> str:
        return "broken" if self.broken else "differs" if self.differences else "same"


def beside(decision: Decision, facts: Facts, candidate: Callable[[], Policy]) -> Beside:
    """What the candidate would have done otherwise with this message. Nothing of it happens."""
    found, broken = unharmed(lambda: differences(decision, decide(facts, candidate())))
    return Beside(found or (), broken)


def unharmed(draft: Callable[[], T]) -> tuple[T | None, str]:
    """What comes of work on somebody's draft, or what went wrong, in a line: nothing of it may touch live mail."""
    try:
        return draft(), ""
    except Exception as error:  # noqa: BLE001  live mail goes on, whatever a draft does
        first = next(iter(str(error).splitlines()), "")
        return None, f"{type(error).__name__}: {first}"
