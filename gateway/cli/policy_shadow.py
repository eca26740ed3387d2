"""`policy shadow`: a candidate that runs beside the live policy, and what it would change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gateway.cli import show
from gateway.cli.desk import at_account
from gateway.cli.options import AccountName, AsJson, whoami
from gateway.cli.policy_file import Agreed, Note, PolicyFile, policy_text, told
from gateway.cli.policy_losses import losses_json, not_agreed, say_losses
from gateway.cli.policy_probation import probation_of, say_probation
from gateway.cli.progress import progress

if TYPE_CHECKING:
    from gateway.commands.shadow import Shadow

app = typer.Typer(no_args_is_help=True, help="A candidate that runs beside the live policy, without effect.")


@app.command()
def start(
    ctx: typer.Context, file: PolicyFile, account: AccountName = None, note: Note = "", as_json: AsJson = False
) -> None:
    """Let a policy be asked about every message beside the live one. Nothing that it decides happens.

    One runs at a time: where another does, `policy shadow stop` ends it first.
    """
    from gateway.commands import shadow
    from gateway.policy.problems import PolicyError

    text = policy_text(file)
    with at_account(ctx, account) as desk:
        try:
            candidate = shadow.start(desk.store, desk.account_id, text, note=note, author=whoami())
        except PolicyError as error:
            raise told(file, error, as_json=as_json) from None
    if as_json:
        show.document({"account": desk.account, "id": candidate})
    else:
        show.say(f"It runs beside the policy of {desk.account}; what it would change: gateway policy shadow show")


@app.command("show")
def show_(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """What the candidate would have done otherwise with the mail since its start, in groups with examples."""
    from gateway.cli.replay_page import replay_lines
    from gateway.commands import shadow

    with at_account(ctx, account) as desk, progress() as on_progress:
        found = shadow.watch(desk.store, desk.account_id, on_progress=on_progress)
    if as_json:
        show.document(json_of(found))
    elif found is None:
        show.say("No candidate runs in the shadow; `gateway policy shadow start FILE` begins one.")
    else:
        shown = json_of(found)
        since = f"It runs since {show.moment(shown['since'])}, started by {shown['author']}"
        show.say(since + (f": {shown['note']}" if shown["note"] else ""))
        show.page(replay_lines(shown["replay"]))


def json_of(found: Shadow | None) -> dict[str, Any]:
    from gateway.commands.replay import json_of as replayed
    from gateway.store.events import moment

    if found is None:
        return {"running": False}
    one = found.candidate
    about = {"id": one.id, "since": moment(one.created_at), "author": one.author, "note": one.note, "text": one.text}
    return {"running": True, **about, "replay": replayed(found.found)}


@app.command()
def stop(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """End the candidate's run. The live policy stays as it is."""
    from gateway.commands import shadow

    with at_account(ctx, account) as desk:
        shadow.stop(desk.store, desk.account_id, by=whoami())
    if as_json:
        show.document({"account": desk.account, "running": False})
    else:
        show.say("No candidate runs in the shadow any more.")


@app.command()
def publish(
    ctx: typer.Context, account: AccountName = None, note: Note = "", yes: Agreed = False, as_json: AsJson = False
) -> None:
    """Make the candidate the live policy, checked and tried on past mail as `policy publish` does, and end its run."""
    from gateway.commands import shadow
    from gateway.commands.losses import NotAgreed
    from gateway.policy.problems import PolicyError

    with at_account(ctx, account) as desk, progress() as on_progress:
        try:
            done = shadow.make_live(
                desk.store, desk.account_id, note=note, author=whoami(), agreed=yes, on_progress=on_progress
            )
        except PolicyError as error:
            raise told("the candidate", error, as_json=as_json, account=desk.account, version=None) from None
        except NotAgreed as error:
            raise not_agreed(error, desk.account, as_json=as_json) from None
        probation = probation_of(desk, done.version)
    if as_json:
        told_of = {"account": desk.account, "version": done.version, "probation": probation}
        show.document(told_of | losses_json(done.losses))
    else:
        say_losses(done.losses)
        show.say(
            f"Version {done.version} is the policy of {desk.account} now; running processes see it within 2 seconds."
        )
        say_probation(desk.account, probation)
