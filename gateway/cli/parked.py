"""`parked`: messages that broke our code or its limits, kept byte-exact."""

from __future__ import annotations

import typer

from gateway.cli.desk import at_account, on_the_line
from gateway.cli.message import MessageId, print_list, print_one
from gateway.cli.options import AccountName, AsJson, DispositionName
from gateway.cli.results import report

app = typer.Typer(no_args_is_help=True, help="Parked: messages that broke our code or its limits.")


@app.command("list")
def list_(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """What is parked, newest first."""
    print_list(ctx, account, DispositionName.PARKED, as_json=as_json)


@app.command("show")
def show_(ctx: typer.Context, message_id: MessageId, account: AccountName = None, as_json: AsJson = False) -> None:
    """One parked message, and why it is there."""
    print_one(ctx, account, message_id, DispositionName.PARKED, as_json=as_json)


@app.command()
def rerun(ctx: typer.Context, message_id: MessageId, account: AccountName = None, as_json: AsJson = False) -> None:
    """Take a parked message along the line once more, after the fix."""
    with at_account(ctx, account) as desk:
        settings, account_id = desk.settings, desk.account_id
    from gateway.commands.rerun import rerun as run_again
    from gateway.core.outcome import Outcome
    from gateway.line import Line

    async def work(line: Line) -> Outcome:
        return await run_again(line, account_id, message_id)

    report(on_the_line(settings, work), as_json=as_json)
