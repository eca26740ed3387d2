"""`agent`: people who answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.completion import agent_addresses, team_names
from gateway.cli.desk import AccountDesk, at_account
from gateway.cli.options import AccountName, AsJson, Language, LanguageOrNone, not_available, whoami

app = typer.Typer(no_args_is_help=True, help="Agents: people who answer customers.")

NewAddress = Annotated[str, typer.Argument(metavar="ADDRESS", help="The agent's own mail address.")]
Address = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="The agent's own mail address.", autocompletion=agent_addresses)
]


@app.command()
def add(
    ctx: typer.Context,
    address: NewAddress,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="As colleagues and customers see it.")],
    team: Annotated[
        list[str], typer.Option("--team", metavar="TEAM", help="May be given again.", autocompletion=team_names)
    ],
    account: AccountName = None,
    language: Language = None,
    as_json: AsJson = False,
) -> None:
    """Add an agent; a new one is available."""
    from gateway.commands.accounts import add_agent
    from gateway.store import listing
    from gateway.store.team_changes import NewAgent

    with at_account(ctx, account) as desk:
        add_agent(
            desk.store,
            desk.settings,
            desk.account_id,
            NewAgent(address, name, tuple(dict.fromkeys(team)), language),
        )
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
        address = set_agent_status(desk.store, desk.account_id, address, status)
    if as_json:
        show.document({"address": address, "status": status})
    else:
        show.say(f"Agent {address} is {status}.")


@app.command()
def edit(
    ctx: typer.Context,
    address: Address,
    account: AccountName = None,
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT")] = None,
    team: Annotated[
        list[str] | None,
        typer.Option(
            "--team",
            metavar="TEAM",
            help="In the place of the teams so far. Give it once for each.",
            autocompletion=team_names,
        ),
    ] = None,
    language: LanguageOrNone = None,
    signature: Annotated[Path | None, typer.Option("--signature", metavar="FILE", hidden=True)] = None,
    notices: Annotated[str | None, typer.Option("--notices", metavar="WHICH", hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Change an agent's name, teams or language. Tickets that are assigned to the agent stay so."""
    from gateway.commands.accounts import edit_agent

    for option, value in (("--signature", signature), ("--notices", notices)):
        if value is not None:
            raise not_available(option)
    if name is None and language is None and not team:
        raise typer.BadParameter("say what to change: --name, --team or --language", ctx=ctx)
    with at_account(ctx, account) as desk:
        edit_agent(desk.store, desk.account_id, address, name=name, language=language, teams=team or ())
        found = _one(desk, address)
    if as_json:
        show.document(found)
    else:
        show.say(f"Agent {found['address']} is changed{_in_teams(found) if team else ''}.")


def _in_teams(agent: dict[str, Any]) -> str:
    return f", and in {', '.join(agent['teams'])} now"


def _one(desk: AccountDesk, address: str) -> dict[str, Any]:
    from gateway.core.addresses import canonical
    from gateway.store import listing

    every = listing.agents(desk.store, desk.account_id)
    return next(a for a in every if canonical(a["address"]) == canonical(address))


@app.command()
def remove(
    ctx: typer.Context,
    address: Address,
    give_to: Annotated[
        str,
        typer.Option(
            "--give-to", metavar="AGENT|TEAM", help="Who gets the open tickets.", autocompletion=agent_addresses
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would move, and move nothing.")] = False,
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Remove an agent. Open tickets move, closed ones keep the name; nobody is told by mail."""
    from gateway.commands.departures import policy_problems, remove_agent

    with at_account(ctx, account) as desk:
        plan = remove_agent(desk.store, desk.account_id, address, give_to=give_to, by=whoami(), dry_run=dry_run)
        problems = [] if dry_run else policy_problems(desk.store, desk.account_id)
    if as_json:
        show.document(plan | {"removed": not dry_run, "policy_problems": problems})
    else:
        show.table(
            ("ticket", "subject"), [(t["number"], t["subject"]) for t in plan["tickets"]], empty="No ticket moves."
        )
        show.say(_told(plan, dry_run=dry_run))
    for problem in problems:
        show.complain(problem, prefix="gateway: the live policy still names the agent: ")


def _told(plan: dict[str, Any], *, dry_run: bool) -> str:
    would = "would be" if dry_run else "is"
    moved = f"{len(plan['tickets'])} open tickets go to {plan['given_to']}"
    return f"Agent {plan['agent']} {would} removed; {moved}, {plan['unsent_notices']} notices are not sent any more."
