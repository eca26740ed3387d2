"""`ticket`: what customers wrote about, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.completion import agent_addresses, team_names, ticket_numbers
from gateway.cli.desk import AccountDesk, at_account
from gateway.cli.message_page import message_lines, notice_lines, person, text_lines
from gateway.cli.options import AccountName, AsJson, TicketState, read_standard_input, whoami

app = typer.Typer(no_args_is_help=True, help="Tickets.")

MOST = 2**31 - 1
"""The largest number that databases keep in the column."""

Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1, max=MOST, autocompletion=ticket_numbers)]


@app.command("list")
def list_(
    ctx: typer.Context,
    account: AccountName = None,
    state: Annotated[TicketState | None, typer.Option("--state", help="Only tickets in this state.")] = None,
    as_json: AsJson = False,
) -> None:
    """All tickets of an account, newest first."""
    from gateway.store import ticket_reading

    with at_account(ctx, account) as desk:
        found = ticket_reading.tickets(desk.store, desk.account_id, state=state.value if state else None)
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
    with at_account(ctx, account) as desk:
        # only documents show HTML, which is read anew from the raw messages
        found = _one(desk, number, whole=as_json)
    if as_json:
        show.document(found)
    else:
        show.page(_page(found))


def _one(desk: AccountDesk, number: int, *, whole: bool = False) -> dict[str, Any]:
    """A ticket with its notes and what people did to it. Raises UnknownThing."""
    from gateway.store import ticket_reading
    from gateway.store.ticket_changes import ticket_history

    found = ticket_reading.ticket(desk.store, desk.account_id, number, desk.blobs() if whole else None)
    events = ticket_history(desk.store, desk.account_id, number)
    notes = [
        {"at": e["at"], "by": e["detail"]["by"], "text": e["detail"]["text"]} for e in events if e["stage"] == "note"
    ]
    return found | {"notes": notes, "history": [e for e in events if e["stage"] != "note"]}


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
    for note in ticket["notes"]:
        yield show.blank()
        yield show.heading(note["by"], show.Words(f"  {show.moment(note['at'])}  internal note", "dim"))
        yield from text_lines(note["text"], indent=4)
    if ticket["history"]:
        yield show.blank()
        yield show.heading("History")
        yield from (_history_line(event) for event in ticket["history"])
    if ticket["notifications"]:
        yield show.blank()
        yield show.heading("Notifications")
        yield from notice_lines(ticket["notifications"], indent=2)


def _history_line(event: dict[str, Any]) -> show.Line:
    detail = event["detail"]
    whom = f" to {detail['to']}" if event["outcome"] == "assigned" else ""
    before = f", was {detail['from']}" if detail.get("from") else ""
    team = f", team {detail['team']}" if detail.get("team") else ""
    what = (
        show.state(event["outcome"]),
        show.Words(f"{whom}{team}{before}"),
        show.Words(f"  by {detail['by']}", "dim"),
    )
    return show.field(show.moment(event["at"]), *what, width=22)


@app.command()
def close(ctx: typer.Context, number: Number, account: AccountName = None, as_json: AsJson = False) -> None:
    """Close a ticket. An answer of the customer opens it again."""
    _set_state(ctx, number, account, TicketState.CLOSED, as_json=as_json)


@app.command()
def reopen(ctx: typer.Context, number: Number, account: AccountName = None, as_json: AsJson = False) -> None:
    """Open a ticket that is closed or pending."""
    _set_state(ctx, number, account, TicketState.OPEN, as_json=as_json)


def _set_state(ctx: typer.Context, number: int, account: str | None, state: TicketState, *, as_json: bool) -> None:
    from gateway.store.ticket_changes import set_ticket_state

    with at_account(ctx, account) as desk:
        before = set_ticket_state(desk.store, desk.account_id, number, state.value, by=whoami())
        was = f"was {state.value} already" if before == state.value else f"is {state.value}; it was {before}"
        _done(desk, number, f"Ticket {number} {was}.", as_json=as_json)


def _done(desk: AccountDesk, number: int, said: str, *, as_json: bool) -> None:
    """The ticket as it is now, or one sentence."""
    if as_json:
        show.document(_one(desk, number, whole=True))
    else:
        show.say(said)


@app.command()
def assign(
    ctx: typer.Context,
    number: Number,
    agent: Annotated[
        str | None, typer.Argument(metavar="AGENT", help="The agent's address.", autocompletion=agent_addresses)
    ] = None,
    team: Annotated[
        str | None,
        typer.Option(
            "--team", metavar="TEAM", help="Within this team; without AGENT to all of it.", autocompletion=team_names
        ),
    ] = None,
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Give a ticket to an agent, who is told by mail, or unassigned to a team."""
    from gateway.commands.tickets import assign as give

    with at_account(ctx, account) as desk:
        changed = give(desk.store, desk.account_id, number, agent=agent, team=team, by=whoami())
        found = _one(desk, number)
        to = found["assignee"] or f"nobody in team {found['team']}"
        said = f"is assigned to {to}" if changed else f"was assigned to {to} already"
        _done(desk, number, f"Ticket {number} {said}.", as_json=as_json)


@app.command()
def take(
    ctx: typer.Context,
    number: Number,
    agent: Annotated[
        str, typer.Option("--agent", metavar="ADDRESS", help="Who takes it.", autocompletion=agent_addresses)
    ],
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Take a ticket as an agent: like `assign`, but nobody is told what they did themselves."""
    from gateway.commands.tickets import take as have

    with at_account(ctx, account) as desk:
        changed = have(desk.store, desk.account_id, number, agent=agent)
        said = f"is taken by {agent}" if changed else f"was with {agent} already"
        _done(desk, number, f"Ticket {number} {said}.", as_json=as_json)


@app.command()
def note(
    ctx: typer.Context,
    number: Number,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What colleagues should know; - reads standard input.")],
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Write an internal note on a ticket. Customers never see it."""
    from gateway.commands.tickets import note as write

    words = read_standard_input() if text == "-" else text
    with at_account(ctx, account) as desk:
        write(desk.store, desk.account_id, number, words, by=whoami())
        _done(desk, number, f"The note is on ticket {number}.", as_json=as_json)


@app.command("open")
def open_(
    ctx: typer.Context,
    mailbox: Annotated[str, typer.Option("--mailbox", metavar="ADDRESS", help="The mailbox it belongs to.")],
    to: Annotated[str, typer.Option("--to", metavar="ADDRESS", help="The customer it is about.")],
    subject: Annotated[str, typer.Option("--subject", metavar="TEXT")],
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="The customer's name.")] = "",
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Open a ticket by hand, for a call for example. This version sends no mail from it."""
    from gateway.commands.tickets import open_ticket
    from gateway.store.ticket_changes import NewTicket

    with at_account(ctx, account) as desk:
        new = NewTicket(mailbox, to, subject, name)
        number = open_ticket(desk.store, desk.account_id, new, by=whoami())
        _done(desk, number, f"Ticket {number} is open. {to} was not written to.", as_json=as_json)
