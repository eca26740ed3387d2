"""What the commands of `policy` share: the file they are given, and how they refuse it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.options import read_standard_input, read_text
from gateway.core.note import problem_of_note

if TYPE_CHECKING:
    from gateway.policy.problems import PolicyError

PolicyFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A policy: one YAML document. - reads standard input.")
]


def _note(text: str) -> str:
    """As the API takes it. Ends the command with what is wrong."""
    problem = problem_of_note(text)
    if problem:
        raise typer.BadParameter(problem)
    return text


Note = Annotated[
    str, typer.Option("--note", metavar="TEXT", callback=_note, help="Why, for the list of versions: one line.")
]
Agreed = Annotated[
    bool, typer.Option("--yes", help="Publish even if mail would fare worse, or rules of teams be lost.")
]


def problems_of(error: PolicyError) -> list[dict[str, Any]]:
    return [{"line": p.line, "column": p.column, "path": p.path, "message": p.message} for p in error.problems]


def policy_text(file: Path) -> str:
    """The text of a policy's file, of standard input where it is `-`. Ends the command with what is wrong and where."""
    return read_standard_input() if str(file) == "-" else read_text(file)


def called(file: Path | str) -> str:
    """What the file is called to a person."""
    return "standard input" if str(file) == "-" else str(file)


def refused(file: Path | str, error: PolicyError) -> dict[str, Any]:
    """A broken policy for programs, as `policy check --json` tells it."""
    return {"ok": False, "file": str(file), "problems": problems_of(error), "remarks": []}


def told(file: Path | str, error: PolicyError, *, as_json: bool, **besides: Any) -> typer.Exit:
    """Say every problem as compilers do, so that editors find the place; with `as_json` for programs too, and what is
    `besides`.
    """
    if as_json:
        show.document(refused(file, error) | besides)
    for problem in str(error).splitlines():
        show.complain(problem, prefix=f"{called(file)}: ")
    return typer.Exit(1)
