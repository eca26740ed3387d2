"""`key`: API keys of one account."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.completion import team_names
from gateway.cli.desk import at_account
from gateway.cli.options import AccountName, AsJson, KeyScope

app = typer.Typer(no_args_is_help=True, help="API keys.")


@app.command()
def add(
    ctx: typer.Context,
    account: AccountName = None,
    scope: Annotated[KeyScope, typer.Option("--scope", help="What the key may do.")] = KeyScope.READ,
    team: Annotated[
        str | None,
        typer.Option(
            "--team",
            metavar="NAME",
            help="Needed with --scope write: it writes this team's rules, and nothing else.",
            autocompletion=team_names,
        ),
    ] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What it is for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown this once and kept nowhere."""
    from gateway.store.changes import add_key
    from gateway.web.security import key_digest

    if team and scope is not KeyScope.WRITE:
        raise typer.BadParameter("a team's key reads, and writes that team's rules: --scope write", param_hint="--team")
    if scope is KeyScope.WRITE and not team:
        raise typer.BadParameter(
            "a key that writes is a team's: name it with --team; what else can be changed takes --scope admin",
            param_hint="--scope",
        )
    key = f"gw_{secrets.token_urlsafe(32)}"
    with at_account(ctx, account) as desk:
        key_id = add_key(desk.store, desk.account_id, scope=scope.value, digest=key_digest(key), note=note, team=team)
    if as_json:
        show.document({"id": key_id, "key": key})
        return
    show.say(key)
    revoke_it = f"gateway key revoke {key_id} --account {desk.account}"
    show.complain(f"This is the only time the key is shown. To revoke it: {revoke_it}", prefix="")


@app.command("list")
def list_(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """All keys of an account, revoked ones too; never the keys themselves."""
    from gateway.store import listing

    with at_account(ctx, account) as desk:
        found = listing.keys(desk.store, desk.account_id)
    if as_json:
        show.document(found)
        return
    rows = [
        (
            k["id"],
            k["scope"] + (f" ({k['team']})" if k["team"] else ""),
            k["note"],
            show.moment(k["created_at"]),
            show.moment(k["revoked_at"]) or "valid",
        )
        for k in found
    ]
    show.table(("key", "scope", "note", "made", "revoked"), rows, empty="There are no keys.")


@app.command()
def revoke(
    ctx: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, see `key list`.")],
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """End a key, at once."""
    from gateway.store.changes import revoke_key

    with at_account(ctx, account) as desk:
        revoke_key(desk.store, desk.account_id, key_id)
    if as_json:
        show.document({"id": key_id, "revoked": True})
    else:
        show.say(f"Key {key_id} is revoked.")
