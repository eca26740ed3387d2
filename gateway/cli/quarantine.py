"""`quarantine`: messages that wait for a person."""

from __future__ import annotations

import typer

from gateway.cli import show
from gateway.cli.desk import at_account, on_the_line
from gateway.cli.message import MessageId
from gateway.cli.message_page import person, quarantine_lines
from gateway.cli.options import AccountName, AsJson, DispositionName, whoami
from gateway.cli.results import report

app = typer.Typer(no_args_is_help=True, help="Quarantine: messages that wait for a person.")


@app.command("list")
def list_(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """What is in quarantine, newest first."""
    from gateway.store import message_reading

    with at_account(ctx, account) as desk:
        found = message_reading.messages(desk.store, desk.account_id, disposition=DispositionName.QUARANTINED.value)
    if as_json:
        show.document(found)
        return
    rows = [(m["id"], show.moment(m["received_at"]), person(m["author"]), m["subject"], m["reason"]) for m in found]
    show.table(("message", "since", "author", "subject", "reason"), rows, empty="No message is quarantined.")


@app.command("show")
def show_(ctx: typer.Context, message_id: MessageId, account: AccountName = None, as_json: AsJson = False) -> None:
    """One message in quarantine, safe to look at: why it is there, who wrote it, its header fields, files and text."""
    from gateway.store.quarantine import quarantined_message

    with at_account(ctx, account) as desk:
        found = quarantined_message(desk.store, desk.account_id, message_id)
    if as_json:
        show.document(found)
    else:
        show.page(quarantine_lines(found))


@app.command()
def release(ctx: typer.Context, message_id: MessageId, account: AccountName = None, as_json: AsJson = False) -> None:
    """Let a message go on: it opens or joins its ticket, and the usual notices leave."""
    by = whoami()
    with at_account(ctx, account) as desk:
        settings, account_id = desk.settings, desk.account_id
    from gateway.commands.release import release as let_go
    from gateway.core.outcome import Outcome
    from gateway.line import Line

    async def work(line: Line) -> Outcome:
        return await let_go(line, account_id, message_id, by=by)

    report(on_the_line(settings, work), as_json=as_json)


@app.command()
def delete(ctx: typer.Context, message_id: MessageId, account: AccountName = None, as_json: AsJson = False) -> None:
    """Delete a message in quarantine for good; that it came, and who deleted it, stays on record."""
    from gateway.store.erasure import erase_quarantined

    by = whoami()
    with at_account(ctx, account) as desk:
        erase_quarantined(desk.store, desk.blobs(), desk.account_id, message_id, by=by)
    if as_json:
        show.document({"message": message_id, "disposition": DispositionName.ERASED.value, "by": by})
    else:
        show.say(f"Message {message_id} is deleted.")
