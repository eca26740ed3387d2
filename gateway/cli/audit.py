"""`audit`: proof that nothing was lost."""

from __future__ import annotations

import typer

from gateway.cli import show
from gateway.cli.desk import at_desk
from gateway.cli.options import AsJson
from gateway.cli.progress import progress


def audit(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Prove that all that was accepted is kept, byte-exact and in one state, and that nothing was sent twice.

    Reads every message. Exit 1 when anything does not agree.
    """
    from gateway.commands.audit import audit as prove

    with at_desk(ctx) as desk, progress() as on_progress:
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
