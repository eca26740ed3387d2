"""`ticket`: what customers wrote about, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.desk import at_account
from gateway.cli.message_page import message_lines, notice_lines, person
from gateway.cli.options import AccountName, AsJson, TicketState, whoami

app = typer.Typer(no_args_is_help=True, help="Tickets.")

Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1)]


@app.command("list")
def list_(
    ctx: typer.Context,
    account: AccountName = None,
    state: Annotated[TicketState | None, typer.Option("--state", help="Only tickets in this state.")] = None,
    as_json: AsJson = False,
) -> None:
    """All tickets of an account, newest first."""
    from gateway.store import queries

    with at_account(ctx, account) as desk:
        found = queries.tickets(desk.store, desk.account_id, state=state.value if state else None)
    if as_json:
        show.document(found)
        return
    rows = [
        (
            t["number"], show.state(t["state"]), t["priority"], t["mailbox"], t["team"], t["assignee"],
            show.moment(t["updated_at"]), t["subject"],
        )
        for t in found
    ]  # fmt: skip
    columns = ("ticket", "state", "priority", "mailbox", "team", "assignee", "updated", "subject")
    show.table(columns, rows, empty="There are no tickets.")


@app.command("show")
def show_(ctx: typer.Context, number: Number, account: AccountName = None, as_json: AsJson = False) -> None:
    """One ticket with its messages, their verdicts and files, and the notifications about it."""
    from gateway.store import queries

    with at_account(ctx, account) as desk:
        # only documents show HTML, which is read anew from the raw messages
        found = queries.ticket(desk.store, desk.account_id, number, desk.blobs() if as_json else None)
    if as_json:
        show.document(found)
    else:
        show.page(_page(found))


def _page(ticket: dict[str, Any]) -> Iterator[show.Line]:
    title = f"Ticket {ticket['label']}  {ticket['subject'] or '(no subject)'}"
    yield show.heading(title, show.Words("  "), show.state(ticket["state"]))
    yield show.field("mailbox", ticket["mailbox"])
    yield show.field("team", ticket["team"] or "none")
    yield show.field("assignee", ticket["assignee"] or "nobody")
    yield show.field("priority", ticket["priority"])
    if ticket["tags"]:
        yield show.field("tags", ", ".join(ticket["tags"]))
    for name, value in sorted(ticket["fields"].items()):
        yield show.field(name, str(value))
    for someone in ticket["participants"]:
        yield show.field("participant", person(someone), show.Words(f"  {someone['role']}", "dim"))
    yield show.field("opened", show.moment(ticket["created_at"]))
    yield show.field("updated", show.moment(ticket["updated_at"]))
    for message in ticket["messages"]:
        yield show.blank()
        yield from message_lines(message)
    if ticket["notifications"]:
        yield show.blank()
        yield show.heading("Notifications")
        yield from notice_lines(ticket["notifications"], indent=2)


@app.command()
def close(ctx: typer.Context, number: Number, account: AccountName = None, as_json: AsJson = False) -> None:
    """Close a ticket. An answer of the customer opens it again."""
    from gateway.store import queries
    from gateway.store.changes import set_ticket_state

    with at_account(ctx, account) as desk:
        before = set_ticket_state(desk.store, desk.account_id, number, TicketState.CLOSED.value, by=whoami())
        found = queries.ticket(desk.store, desk.account_id, number, desk.blobs()) if as_json else {}
    if as_json:
        show.document(found)
    else:
        was = "was closed already" if before == TicketState.CLOSED else f"is closed; it was {before}"
        show.say(f"Ticket {number} {was}.")
