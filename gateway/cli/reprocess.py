"""`reprocess`: kept messages through the live policy again."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.desk import at_account, on_the_line
from gateway.cli.options import AccountName, AsJson, DispositionName, moment_since
from gateway.cli.progress import progress

if TYPE_CHECKING:
    from gateway.commands.reprocess import Change
    from gateway.line import Line

_GONE = (DispositionName.ERASED, DispositionName.EXPIRED)


def reprocess(
    ctx: typer.Context,
    since: Annotated[
        datetime,
        typer.Option(
            "--since", metavar="AGO", parser=moment_since, help="Messages received since: 90m, 1h, 2d, a date."
        ),
    ],
    disposition: Annotated[
        list[DispositionName] | None,
        typer.Option("--disposition", help="Only these; else quarantined and ignored. May be given again."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    notify: Annotated[bool, typer.Option("--notify", help="Send the notices too, late as they are.")] = False,
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Send kept messages through the live policy again, as they were judged when they came.

    What would be refused today waits in quarantine. Parked messages run along the whole line. A ticket stays one.
    """
    wanted = disposition or [DispositionName.QUARANTINED, DispositionName.IGNORED]
    if gone := [d.value for d in wanted if d in _GONE]:
        raise typer.BadParameter(f"{gone[0]}: its content is gone", ctx=ctx, param_hint="--disposition")
    with at_account(ctx, account) as desk:
        settings, account_id = desk.settings, desk.account_id
    from gateway.commands.reprocess import reprocess as run

    with progress() as on_progress:

        async def work(line: Line) -> list[Change]:
            return await run(
                line, account_id, since, [d.value for d in wanted],
                dry_run=dry_run, notify=notify, on_progress=on_progress,
            )  # fmt: skip

        found = on_the_line(settings, work)
    _report([_json(c) for c in found], dry_run=dry_run, as_json=as_json)


def _json(change: Change) -> dict[str, Any]:
    message = change.message
    return {
        "message": message.id,
        "trace": message.trace,
        "author": message.author,
        "subject": message.subject,
        "before": message.disposition,
        "after": change.after,
        "reason": change.reason,
        "ticket": change.ticket or message.ticket,
        "done": change.done,
        "problem": change.problem,
    }


def _report(found: list[dict[str, Any]], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        show.document(found)
        return
    rows = [
        (
            c["message"], show.state(c["before"]), show.state(c["after"]), c["reason"], c["ticket"],
            c["problem"] or ("done" if c["done"] else "not done: --dry-run"), c["author"], c["subject"],
        )
        for c in found
    ]  # fmt: skip
    empty = "Nothing would change." if dry_run else "Nothing changed."
    show.table(("message", "was", "becomes", "reason", "ticket", "", "author", "subject"), rows, empty=empty)
