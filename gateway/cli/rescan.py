"""`rescan`: kept files before the scanners again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gateway.cli import show
from gateway.cli.desk import at_account, at_desk, on_the_line
from gateway.cli.options import AsJson, EveryAccount, Since
from gateway.cli.progress import progress

PATIENCE_SECONDS = 120.0
"""For a scanner that goes away on the way: one that is started anew loads its signatures for up to a minute."""

if TYPE_CHECKING:
    from gateway.commands.rescan import Found, Tally
    from gateway.line import Line


def rescan(ctx: typer.Context, since: Since = None, account: EveryAccount = None, as_json: AsJson = False) -> None:
    """Scan the files of kept messages again, newest first; every file once, however many messages hold it.

    A file that has become infected is held in every message that has it, in all accounts; its tickets get the tag
    infected-file and their readers a notice. Messages that no scanner has seen yet have their scan now. `serve` does the
    same by itself when the scanner's signatures have changed. What the scanner does not survive is passed over and named.
    """
    account_id = None
    with at_account(ctx, account) if account else at_desk(ctx) as desk:
        settings, account_id = desk.settings, getattr(desk, "account_id", None)
    from gateway.app import bench_of
    from gateway.commands.rescan import rescan as run
    from gateway.store.kept_files import Scope

    with progress() as on_progress:

        async def work(line: Line) -> Tally:
            bench = bench_of(line)
            try:
                return await run(
                    bench, Scope(account_id, since), by="gateway rescan", on_progress=on_progress,
                    patience_seconds=PATIENCE_SECONDS,
                )  # fmt: skip
            finally:
                await bench.scans.close()

        tally = on_the_line(settings, work)
    _report(tally, as_json=as_json)


def _json(found: Found) -> dict[str, Any]:
    holder, file = found.holder, found.file
    return {
        "account": holder.account,
        "message": holder.id,
        "trace": holder.trace_id,
        "ticket": found.marked.ticket,
        "n": file.n if file else None,
        "file": file.name if file else None,
        "sha256": file.sha256 if file else None,
        "virus": found.virus,
        "told": list(found.marked.told),
        "author": holder.author,
        "subject": holder.subject,
    }


def _report(tally: Tally, *, as_json: bool) -> None:
    """Ends the command with 1 where messages could not be read or files not be scanned: what is in them is not known."""
    found = [_json(f) for f in tally.found]
    if as_json:
        show.document(found)
    else:
        rows = [
            (
                f["account"], f["message"], f["ticket"], f["file"] or "the message", f["virus"],
                ", ".join(f["told"]), f["author"], f["subject"],
            )
            for f in found
        ]  # fmt: skip
        columns = ("account", "message", "ticket", "file", "virus", "told", "author", "subject")
        show.table(columns, rows, empty="Nothing infected.")
        show.complain(_counts(tally), prefix="")  # beside the table, which programs read
    for holder, why in tally.unreadable:
        show.complain(f"message {holder.id} of {holder.account} could not be scanned: {why}")
    for passed in tally.passed_over:
        show.complain(f"passed over: {passed}")
    if tally.unreadable or tally.passed_over:
        raise typer.Exit(1)


def _counts(tally: Tally) -> str:
    said = f"{tally.files} files of {tally.messages} messages were scanned"
    said += f", {tally.late} messages for the first time" if tally.late else ""
    return f"{said}; {tally.unscannable} could not be judged." if tally.unscannable else f"{said}."
