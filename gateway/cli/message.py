"""`message`: everything that was kept, whatever became of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.desk import at_account, on_the_line
from gateway.cli.message_page import message_lines, person
from gateway.cli.options import AccountName, AsJson, DispositionName
from gateway.cli.results import report
from gateway.core.errors import UnknownThing

app = typer.Typer(no_args_is_help=True, help="Messages: all that was kept.")

MessageId = Annotated[str, typer.Argument(metavar="ID", help="The message's id, not its Message-ID field.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    account: AccountName = None,
    disposition: Annotated[DispositionName | None, typer.Option("--disposition", help="Only these.")] = None,
    as_json: AsJson = False,
) -> None:
    """All kept messages of an account, newest first."""
    print_list(ctx, account, disposition, as_json=as_json)


def print_list(ctx: typer.Context, account: str | None, which: DispositionName | None, *, as_json: bool) -> None:
    """The messages of one disposition, or all. Also `quarantine list` and `parked list`."""
    from gateway.store import message_reading

    with at_account(ctx, account) as desk:
        found = message_reading.messages(desk.store, desk.account_id, disposition=which.value if which else None)
    if as_json:
        show.document(found)
        return
    rows = [
        (
            m["id"], show.moment(m["received_at"]), show.state(m["disposition"]), m["reason"], m["ticket"],
            person(m["author"]), m["subject"],
        )
        for m in found
    ]  # fmt: skip
    empty = f"No message is {which.value}." if which else "There are no messages."
    show.table(("message", "received", "became", "reason", "ticket", "author", "subject"), rows, empty=empty)


@app.command("show")
def show_(ctx: typer.Context, message_id: MessageId, account: AccountName = None, as_json: AsJson = False) -> None:
    """One message: its author's verdict, the checks, the rules, its files and text."""
    print_one(ctx, account, message_id, None, as_json=as_json)


def print_one(
    ctx: typer.Context, account: str | None, message_id: str, which: DispositionName | None, *, as_json: bool
) -> None:
    """One message; with `which` only if that became of it. Raises UnknownThing."""
    from gateway.store import message_reading

    with at_account(ctx, account) as desk:
        blobs = desk.blobs() if as_json else None  # only documents show HTML, read anew from the raw message
        found: dict[str, Any] = message_reading.message(desk.store, desk.account_id, message_id, blobs)
    if which and found["disposition"] != which.value:
        raise UnknownThing(f"message {message_id} is {found['disposition']}, not {which.value}")
    if as_json:
        show.document(found)
    else:
        show.page(message_lines(found))


@app.command("open")
def open_(ctx: typer.Context, message_id: MessageId, account: AccountName = None, as_json: AsJson = False) -> None:
    """Make a ticket of a message that was ignored, with the usual notices."""
    with at_account(ctx, account) as desk:
        settings, account_id = desk.settings, desk.account_id
    from gateway.commands.open_message import open_message
    from gateway.core.outcome import Outcome
    from gateway.line import Line

    async def work(line: Line) -> Outcome:
        return await open_message(line, account_id, message_id)

    report(on_the_line(settings, work), as_json=as_json)
