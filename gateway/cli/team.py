"""`team`: groups of agents."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.completion import team_names
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
        name = add_team(desk.store, desk.account_id, name)
    if as_json:
        show.document({"name": name, "agents": [], "managers": []})
    else:
        show.say(f"Team {name} is there.")


@app.command()
def edit(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=team_names)],
    managers: Annotated[
        list[str] | None,
        typer.Option(
            "--manager", metavar="ADDRESS", help="An agent of the team who manages it. Give it once for each."
        ),
    ] = None,
    nobody: Annotated[bool, typer.Option("--no-manager", help="Nobody manages it.")] = False,
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Say who manages a team, in the place of those who did: a manager may publish the team's own rules.

    For the API he has a key of his own: `key add --scope write --team NAME`.
    """
    from gateway.store import listing
    from gateway.store.team_changes import set_managers

    if bool(managers) == nobody:
        raise typer.BadParameter("say who manages it: --manager ADDRESS, or --no-manager", ctx=ctx)
    with at_account(ctx, account) as desk:
        set_managers(desk.store, desk.account_id, name, managers or ())
        found = next(t["managers"] for t in listing.teams(desk.store, desk.account_id) if t["name"] == name)
    if as_json:
        show.document({"name": name, "managers": found})
    else:
        show.say(f"Team {name} is managed by {', '.join(found) or 'nobody'}.")


@app.command("list")
def list_(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """All teams of an account with their agents, and who manages them."""
    from gateway.store import listing

    with at_account(ctx, account) as desk:
        found = listing.teams(desk.store, desk.account_id)
    if as_json:
        show.document(found)
        return
    rows = [(t["name"], ", ".join(t["agents"]), ", ".join(t["managers"])) for t in found]
    show.table(("team", "agents", "managed by"), rows, empty="There are no teams.")
