"""What may be spent on the regexes of one document while it is checked: each compiles by itself in moments, ten thousand don't.

A document holds 256 KiB, and whoever may read an account may have one checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from gateway.policy.patterns import MOST_INSTRUCTIONS, BadPattern, check_regex

MOST_INSTRUCTIONS_TOGETHER = 200_000
"""Of all programs in RE2: about 20 MB of memory. Five hundred rules with words and wildcards have 20,000."""
MOST_MISTAKES = 200
"""So many bad regexes are told of, in full, before the others are left unread."""


@dataclass(slots=True)
class RegexBudget:
    """Spent by one document; a regex that stands in many rules is compiled once."""

    good: set[str] = field(default_factory=set)
    instructions: int = 0
    mistakes: int = 0
    told: bool = False

    def check(self, pattern: str) -> None:
        """Raises BadPattern for a bad one, and once for the first that is not looked at any more."""
        if pattern in self.good or self.told:
            return
        self.told = self.instructions > MOST_INSTRUCTIONS_TOGETHER or self.mistakes >= MOST_MISTAKES
        if self.told:
            raise BadPattern(self._why_no_further())
        try:
            self.instructions += check_regex(pattern)
        except BadPattern as error:
            self.mistakes += 1
            self.instructions += MOST_INSTRUCTIONS if error.was_large else 0
            raise
        self.good.add(pattern)

    def _why_no_further(self) -> str:
        if self.mistakes >= MOST_MISTAKES:
            return f"{self.mistakes} other regexes are wrong, and this one was not looked at: mend those first"
        return (
            f"the other regexes of this policy become {self.instructions:,} steps together, and at most "
            f"{MOST_INSTRUCTIONS_TOGETHER:,} are taken: repeat less (+ or * instead of {{1,200}}), or use `contains` or "
            "`wildcard`; this one was not looked at"
        )


_OF_THIS_DOCUMENT: ContextVar[RegexBudget | None] = ContextVar("regex_budget", default=None)


@contextmanager
def one_document() -> Iterator[None]:
    """What `check` is given inside comes out of one budget. (pydantic's own context says which names exist.)"""
    token = _OF_THIS_DOCUMENT.set(RegexBudget())
    try:
        yield
    finally:
        _OF_THIS_DOCUMENT.reset(token)


def check(pattern: str) -> None:
    """`check_regex` within the budget of the document that is being read. Raises BadPattern."""
    budget = _OF_THIS_DOCUMENT.get()
    if budget is None:
        check_regex(pattern)
    else:
        budget.check(pattern)
