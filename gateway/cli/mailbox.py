"""`mailbox`: the company addresses that forward to the gateway."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli import forwarding_page, mailbox_check, show
from gateway.cli.completion import team_names
from gateway.cli.desk import AccountDesk, at_account
from gateway.cli.options import AccountName, AsJson, Language, LanguageOrNone

app = typer.Typer(no_args_is_help=True, help="Mailboxes: the company's addresses that forward here.")

app.command("check")(mailbox_check.check)

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The company's address, as customers write to it.")]
TeamName = Annotated[
    str | None, typer.Option("--team", metavar="TEAM", help="Who gets its tickets.", autocompletion=team_names)
]


@app.command()
def add(
    ctx: typer.Context,
    address: Address,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="Shown to customers: Acme Support.")],
    account: AccountName = None,
    inbound: Annotated[
        str | None,
        typer.Option("--inbound", metavar="LOCALPART", help="Where it forwards to; else the address's local part."),
    ] = None,
    language: Language = None,
    team: TeamName = None,
    default: Annotated[bool, typer.Option("--default", help="Takes what no other mailbox claims.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a mailbox, and say where its mail has to be forwarded."""
    from gateway.commands.accounts import add_mailbox
    from gateway.store.changes import NewMailbox

    with at_account(ctx, account) as desk:
        new = NewMailbox(address, name, inbound, language, team, default)
        add_mailbox(desk.store, desk.settings, desk.account_id, desk.account, new)
        found = _one(desk, address)
    if as_json:
        show.document(found)
        return
    show.say(f"Mailbox {found['address']} is there. Let your mail server forward it to {found['inbound_address']}")


def _one(desk: AccountDesk, address: str) -> dict[str, Any]:
    from gateway.store import listing

    return _with_inbound(desk, listing.mailbox(desk.store, desk.account_id, address.strip()))


def _with_inbound(desk: AccountDesk, mailbox: dict[str, Any]) -> dict[str, Any]:
    domain = f"{desk.account}.{desk.settings.domain}"
    local = mailbox["inbound"] or (mailbox["address"].rpartition("@")[0] if mailbox["account_own"] else "support")
    return mailbox | {"inbound_address": f"{local}@{domain}"}


@app.command("list")
def list_(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """All mailboxes of an account."""
    from gateway.store import listing

    with at_account(ctx, account) as desk:
        found = [_with_inbound(desk, m) for m in listing.mailboxes(desk.store, desk.account_id)]
    if as_json:
        show.document(found)
        return
    rows = [
        (m["address"], m["name"], m["inbound_address"], m["team"], m["language"], "default" if m["default"] else "")
        for m in found
    ]
    show.table(("mailbox", "name", "forwards to", "team", "language", ""), rows, empty="There are no mailboxes.")


@app.command("show")
def show_(ctx: typer.Context, address: Address, account: AccountName = None, as_json: AsJson = False) -> None:
    """One mailbox: who forwards it, what the last check saw, and what Google asks."""
    from gateway.store.default_team import default_team_name

    with at_account(ctx, account) as desk:
        found = _one(desk, address)
        found = _forwarding(desk, found["address"]) | found
        team = found["team"] or f"{default_team_name(desk.store, desk.account_id)}, the account's default"
    if as_json:
        show.document(found)
        return
    show.page(
        [
            show.heading(f"{found['name']} <{found['address']}>"),
            show.field("forward it to", show.Words(found["inbound_address"], "cyan")),
            show.field("team", team),
            show.field("language", found["language"] or "the account's"),
            show.field("default", "yes" if found["default"] else "no"),
            show.field("added", show.moment(found["created_at"])),
            *forwarding_page.lines(found),
        ]
    )


def _forwarding(desk: AccountDesk, address: str) -> dict[str, Any]:
    from gateway.commands.check_mailbox import told

    return told(desk.store, desk.settings, desk.account_id, address)


@app.command()
def forget(
    ctx: typer.Context,
    address: Address,
    forwarder: Annotated[str, typer.Argument(metavar="ID", help="The forwarder, as `mailbox show` names it.")],
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Forget a forwarder: a server that forwards the mailbox no more, or never should have."""
    from gateway.store.challenges import forget_forwarder, mailbox_to_check

    with at_account(ctx, account) as desk:
        mailbox = mailbox_to_check(desk.store, desk.account_id, address)
        forget_forwarder(desk.store, desk.account_id, mailbox.mailbox_id, forwarder)
    if as_json:
        show.document({"mailbox": mailbox.address, "forwarder": forwarder, "forgotten": True})
    else:
        show.say(f"Forwarder {forwarder} of {mailbox.address} is forgotten; its mail is judged as anybody's.")


@app.command()
def edit(
    ctx: typer.Context,
    address: Address,
    account: AccountName = None,
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT")] = None,
    language: LanguageOrNone = None,
    team: TeamName = None,
    default: Annotated[bool, typer.Option("--default", help="Make it the default mailbox.")] = False,
    as_json: AsJson = False,
) -> None:
    """Change a mailbox."""
    from gateway.commands.accounts import edit_mailbox

    if name is None and language is None and team is None and not default:
        raise typer.BadParameter("say what to change: --name, --language, --team or --default", ctx=ctx)
    with at_account(ctx, account) as desk:
        before = _one(desk, address)
        edit_mailbox(
            desk.store, desk.account_id, before["address"], name=name, language=language, team=team, default=default
        )
        found = _one(desk, address)
    if as_json:
        show.document(found)
    else:
        show.say(f"Mailbox {found['address']} is changed.")


@app.command()
def remove(ctx: typer.Context, address: Address, account: AccountName = None, as_json: AsJson = False) -> None:
    """Remove a mailbox. Its tickets keep it; mail that still comes for it is the default mailbox's."""
    from gateway.commands.departures import policy_problems, remove_mailbox

    with at_account(ctx, account) as desk:
        found = _one(desk, address)
        remove_mailbox(desk.store, desk.account_id, found["address"])
        problems = policy_problems(desk.store, desk.account_id)
    if as_json:
        show.document(found | {"removed": True, "policy_problems": problems})
    else:
        show.say(f"Mailbox {found['address']} is removed; end its forwarding to {found['inbound_address']}.")
    for problem in problems:
        show.complain(problem, prefix="gateway: the live policy still names it: ")
