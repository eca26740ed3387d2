"""`outbox`: the mail we owe."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.desk import at_account, at_desk
from gateway.cli.options import AccountName, AsJson, EveryAccount, OutboxState, whoami

app = typer.Typer(no_args_is_help=True, help="Outbox: the notifications we owe, and those that left.")


@app.command("list")
def list_(
    ctx: typer.Context,
    account: EveryAccount = None,
    state: Annotated[OutboxState | None, typer.Option("--state", help="Only notifications in this state.")] = None,
    as_json: AsJson = False,
) -> None:
    """Notifications, newest first; of all accounts unless one is named."""
    from gateway.store import named, outbox_reading

    with at_desk(ctx) as desk:
        if account:
            named.account_id(desk.store, account)
        found = outbox_reading.outbox_rows(desk.store, account or None, state=state.value if state else None)
    if as_json:
        show.document(found)
        return
    rows = [
        (
            n["id"], n["account"], n["ticket"], n["kind"], n["recipient"], show.state(n["state"]), n["attempts"],
            show.moment(n["next_at"] or n["settled_at"]), n["last_reply"],
        )
        for n in found
    ]  # fmt: skip
    columns = ("notification", "account", "ticket", "kind", "to", "state", "attempts", "next or settled", "last reply")
    show.table(columns, rows, empty="The outbox is empty.")


@app.command()
def retry(
    ctx: typer.Context,
    notification: Annotated[
        str | None, typer.Argument(metavar="ID", help="One that is pending or failed; else all that are pending.")
    ] = None,
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Make notifications due now; a running `serve` sends them."""
    from gateway.store.outbox_changes import retry_outbox

    with at_account(ctx, account) as desk:
        moved = retry_outbox(desk.store, desk.account_id, notification)
    if as_json:
        show.document({"due": moved})
    else:
        show.say(f"{moved} notifications are due now.")


@app.command()
def cancel(
    ctx: typer.Context,
    notification: Annotated[str, typer.Argument(metavar="ID", help="One that has not left yet.")],
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Do not send a notification that is pending, failed or withheld."""
    from gateway.store.outbox_changes import cancel_outbox

    with at_account(ctx, account) as desk:
        before = cancel_outbox(desk.store, desk.account_id, notification, by=whoami())
    if as_json:
        show.document({"id": notification, "state": OutboxState.CANCELLED.value, "was": before})
    else:
        show.say(f"Notification {notification} is cancelled; it was {before}.")
