"""`audit`: proof that nothing was lost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from gateway.cli import show
from gateway.cli.desk import at_desk
from gateway.cli.options import AsJson


def audit(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Prove that all that was accepted is kept, byte-exact and in one state, and that nothing was sent twice.

    Reads every message. Exit 1 when anything does not agree.
    """
    from gateway.commands.audit import audit as prove

    with at_desk(ctx) as desk, _progress() as on_progress:
        report = prove(desk.store, desk.blobs(), on_progress)
    if as_json:
        show.document({"ok": not report.problems, "counts": report.counts, "problems": report.problems})
    else:
        show.table(("kept", "messages"), list(report.counts.items()), empty="There is nothing to audit.")
        if not report.problems:
            show.say("Everything agrees.")
    for problem in report.problems:
        show.complain(problem, prefix="gateway: audit: ")
    if report.problems:
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; standard output stays the report's."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("messages"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("messages", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
