"""`policy versions`, `show`, `diff`, `rollback`: what was published, and the way back."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.desk import at_account
from gateway.cli.options import AccountName, AsJson, whoami
from gateway.cli.policy_losses import losses_json, not_agreed, say_losses
from gateway.cli.policy_probation import probation_of, say_probation
from gateway.core.errors import InvalidInput

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def versions(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """All published versions, newest first: who published each, when and why."""
    from gateway.store import policies

    with at_account(ctx, account) as desk:
        found = policies.versions(desk.store, desk.account_id)
    if as_json:
        show.document(found)
        return
    rows = [
        (
            v["version"],
            show.Words("live", "green") if v["live"] else "",
            show.Words("probation", "yellow") if v["probation"] else "",
            show.moment(v["created_at"]),
            v["author"],
            v["note"],
        )
        for v in found
    ]
    empty = "Nothing is published: the account lives by the defaults."
    show.table(("version", "", "", "published", "by", "note"), rows, empty=empty)


def show_(
    ctx: typer.Context,
    version: Annotated[int | None, typer.Argument(metavar="VERSION", min=0, help="Else the live one.")] = None,
    changes: Annotated[bool, typer.Option("--diff", help="What it changed of the version before it, instead.")] = False,
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """The text of a version; --diff shows what it changed of the one before."""
    from gateway.store import policies

    with at_account(ctx, account) as desk:
        live = policies.live_version(desk.store, desk.account_id)
        wanted = live if version is None else version
        text = policies.policy_text(desk.store, desk.account_id, wanted)
        found = policies.diff(desk.store, desk.account_id, max(wanted - 1, 0), wanted)
    if as_json:
        show.document({"version": wanted, "live": wanted == live, "text": text, "diff": found})
    elif changes:
        _page(found)
    else:
        show.verbatim(text or "# version 0: nothing is published, the defaults hold")


def diff(
    ctx: typer.Context,
    first: Annotated[int, typer.Argument(metavar="A", min=0, help="A version; 0 is the empty one before all.")],
    second: Annotated[int | None, typer.Argument(metavar="B", min=0, help="Another; else the live one.")] = None,
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """What changed from version A to version B, as a unified diff."""
    from gateway.store import policies

    with at_account(ctx, account) as desk:
        other = policies.live_version(desk.store, desk.account_id) if second is None else second
        found = policies.diff(desk.store, desk.account_id, first, other)
    if as_json:
        show.document({"from": first, "to": other, "diff": found})
    else:
        _page(found)


def _page(found: str) -> None:
    """Nothing where nothing differs, as `diff` does."""
    show.page(show.Line(body=(show.Words(line, _COLOURS.get(line[:1], "")),)) for line in found.splitlines())


def rollback(
    ctx: typer.Context,
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="See `policy versions`.")],
    account: AccountName = None,
    yes: Annotated[bool, typer.Option("--yes", help="Go back even if rules of teams be lost.")] = False,
    as_json: AsJson = False,
) -> None:
    """Publish an old version's text anew, at once: it is not tried on past mail first.

    Where rules that teams' managers published would be lost it names them, and goes back only with --yes. What the version
    in between ignored or held back is brought back by `gateway reprocess --since`.
    """
    from gateway.commands.losses import NotAgreed
    from gateway.commands.publish import rollback as go_back
    from gateway.policy.problems import PolicyError

    with at_account(ctx, account) as desk:
        try:
            done = go_back(desk.store, desk.account_id, version, author=whoami(), agreed=yes)
        except NotAgreed as error:
            raise not_agreed(error, desk.account, as_json=as_json, rolled_back_from=None) from None
        except PolicyError as error:
            raise InvalidInput(f"version {version} does not fit the account any more:\n{error}") from None
        probation = probation_of(desk, done.version)
    if as_json:
        back = {"account": desk.account, "version": done.version, "rolled_back_from": version, "probation": probation}
        show.document(back | losses_json(done.losses))
        return
    say_losses(done.losses, f"version {version}")
    show.say(f"Version {done.version} is the policy of {desk.account} now; its text is that of version {version}.")
    say_probation(desk.account, probation)
    show.say("It was not tried on past mail. What was held back or ignored meanwhile: gateway reprocess --since TIME")


def add_to(app: typer.Typer) -> None:
    app.command()(versions)
    app.command("show")(show_)
    app.command()(diff)
    app.command()(rollback)
