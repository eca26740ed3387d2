"""`agent`: people who answer."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.desk import at_account
from gateway.cli.options import AccountName, AsJson, Language

app = typer.Typer(no_args_is_help=True, help="Agents: people who answer customers.")

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The agent's own mail address.")]


@app.command()
def add(
    ctx: typer.Context,
    address: Address,
    account: AccountName = None,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="As colleagues and customers see it.")] = "",
    team: Annotated[list[str] | None, typer.Option("--team", metavar="TEAM", help="May be given again.")] = None,
    language: Language = None,
    as_json: AsJson = False,
) -> None:
    """Add an agent; a new one is available."""
    from gateway.commands.accounts import add_agent
    from gateway.store import listing
    from gateway.store.changes import NewAgent

    with at_account(ctx, account) as desk:
        add_agent(desk.store, desk.account_id, NewAgent(address, name, tuple(dict.fromkeys(team or ())), language))
        newest = max(listing.agents(desk.store, desk.account_id), key=lambda a: int(a["number"]))
    if as_json:
        show.document(newest)
    else:
        show.say(f"Agent {newest['address']} is there, {newest['status']}, in {', '.join(newest['teams'])}.")


@app.command("list")
def list_(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """All agents of an account."""
    from gateway.store import listing

    with at_account(ctx, account) as desk:
        found = listing.agents(desk.store, desk.account_id)
    if as_json:
        show.document(found)
        return
    rows = [(a["address"], a["name"], show.state(a["status"]), ", ".join(a["teams"]), a["language"]) for a in found]
    show.table(("agent", "name", "status", "teams", "language"), rows, empty="There are no agents.")


@app.command()
def status(
    ctx: typer.Context,
    address: Address,
    status: Annotated[
        str, typer.Argument(metavar="STATUS", help="available, in-email, in-call, in-chat, away or offline.")
    ],
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Say whether an agent can take mail: available and in-email can."""
    from gateway.commands.accounts import set_agent_status

    with at_account(ctx, account) as desk:
        set_agent_status(desk.store, desk.account_id, address, status)
    if as_json:
        show.document({"address": address, "status": status})
    else:
        show.say(f"Agent {address} is {status}.")
