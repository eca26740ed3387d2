"""`team`: groups of agents."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.desk import at_account
from gateway.cli.options import AccountName, AsJson

app = typer.Typer(no_args_is_help=True, help="Teams of agents.")


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Add a team."""
    from gateway.commands.accounts import add_team

    with at_account(ctx, account) as desk:
        add_team(desk.store, desk.account_id, name)
    if as_json:
        show.document({"name": name, "agents": []})
    else:
        show.say(f"Team {name} is there.")


@app.command("list")
def list_(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """All teams of an account with their agents."""
    from gateway.store import listing

    with at_account(ctx, account) as desk:
        found = listing.teams(desk.store, desk.account_id)
    if as_json:
        show.document(found)
        return
    rows = [(t["name"], ", ".join(t["agents"])) for t in found]
    show.table(("team", "agents"), rows, empty="There are no teams.")
