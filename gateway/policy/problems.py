"""What is wrong with a policy document: for the person who wrote it, with the place and the cure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.errors import InvalidInput

MOST_SHOWN = 50
"""Problems told at once. One wrong indentation can cause hundreds, and nobody reads those."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. `line` and `column` count from 1; `path` names the place in the document (`rules[2].if.sender`)."""

    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


class PolicyError(InvalidInput):
    """A document that cannot be taken. `problems` in the order of the document; `str()` is one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(dict.fromkeys(problems)))
        shown = [str(p) for p in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            shown.append(f"and {len(self.problems) - MOST_SHOWN} more")
        super().__init__("\n".join(shown))
