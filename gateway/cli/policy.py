"""`policy`: what an account does with its mail."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.desk import at_account, on_the_line
from gateway.cli.options import AccountName, AsJson, moment_since, read_bytes, read_text, whoami
from gateway.cli.progress import progress
from gateway.core.errors import InvalidInput

if TYPE_CHECKING:
    from gateway.commands.judge import Judgement
    from gateway.commands.publish import FaresWorse
    from gateway.line import Line
    from gateway.policy.document import PolicyDocument
    from gateway.policy.problems import PolicyError

app = typer.Typer(no_args_is_help=True, help="Policies: what an account does with its mail.")

PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A policy: one YAML document.")]


@app.command()
def check(ctx: typer.Context, file: PolicyFile, account: AccountName = None, as_json: AsJson = False) -> None:
    """Read a policy and say what is wrong with it: line, column and cure. Publishes nothing.

    With an account, the teams, mailboxes and agents it names are looked up too.
    """
    from gateway.policy.problems import PolicyError

    text = read_text(file)
    try:
        document = _read(ctx, text, account)
    except PolicyError as error:
        if as_json:
            show.document({"ok": False, "file": str(file), "problems": _problems(error)})
        raise _told(file, error) from None
    if as_json:
        show.document({"ok": True, "file": str(file), "problems": []})
        return
    unseen = "" if account else "; names of teams, mailboxes and agents are only checked with --account"
    show.say(f"{file}: a good policy with {len(document.rules)} rules{unseen}")


def _read(ctx: typer.Context, text: str, account: str | None) -> PolicyDocument:
    from gateway.commands.publish import check as read
    from gateway.policy.loader import load

    if not account:
        return load(text)
    with at_account(ctx, account) as desk:
        return read(desk.store, desk.account_id, text)


def _problems(error: PolicyError) -> list[dict[str, Any]]:
    return [{"line": p.line, "column": p.column, "path": p.path, "message": p.message} for p in error.problems]


def _told(file: Path, error: PolicyError) -> typer.Exit:
    """Say every problem as compilers do, so that editors find the place."""
    for problem in str(error).splitlines():
        show.complain(problem, prefix=f"{file}: ")
    return typer.Exit(1)


@app.command()
def publish(
    ctx: typer.Context,
    file: PolicyFile,
    account: AccountName = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, for the list of versions.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Publish even if mail would fare worse than before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a policy, try it on the mail of the last 7 days, and make it the live one: a new version that never changes.

    Where mail that was ticketed would be refused, ignored or quarantined it shows which, and publishes only with --yes.
    """
    from gateway.commands.publish import FaresWorse
    from gateway.commands.publish import publish as make_live
    from gateway.policy.problems import PolicyError

    text = read_text(file)
    with at_account(ctx, account) as desk, progress() as on_progress:
        try:
            version = make_live(
                desk.store, desk.account_id, text,
                note=note, author=whoami(), agreed=yes, on_progress=on_progress,
            )  # fmt: skip
        except PolicyError as error:
            raise _told(file, error) from None
        except FaresWorse as error:
            raise _worse(error, as_json=as_json) from None
    if as_json:
        show.document({"account": desk.account, "version": version})
    else:
        show.say(f"Version {version} is the policy of {desk.account} now; running processes see it within 2 seconds.")


def _worse(error: FaresWorse, *, as_json: bool) -> typer.Exit:
    from gateway.cli.replay_page import json_of, replay_lines

    told = json_of(error.found)
    if as_json:
        show.document({"version": None, "replay": told})
    else:
        show.page(replay_lines(told | {"groups": [g for g in told["groups"] if g["worse"]]}))
    show.complain(str(error))
    return typer.Exit(1)


@app.command()
def replay(
    ctx: typer.Context,
    file: PolicyFile,
    since: Annotated[
        datetime,
        typer.Option("--since", metavar="AGO", parser=moment_since, help="Mail since: 12h, 30d, a date."),
    ] = "30d",  # type: ignore[assignment]  # the parser reads it
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Show what a policy would have done otherwise with past mail, by the facts of the day it came.

    Sends, stores and publishes nothing. Mail that was refused is not kept, so it cannot be replayed.
    """
    from gateway.cli.replay_page import json_of, replay_lines
    from gateway.commands.publish import check as read
    from gateway.commands.replay import replay as run
    from gateway.policy.problems import PolicyError

    text = read_text(file)
    with at_account(ctx, account) as desk, progress() as on_progress:
        try:
            read(desk.store, desk.account_id, text)
        except PolicyError as error:
            raise _told(file, error) from None
        told = json_of(run(desk.store, desk.account_id, text, since, on_progress))
    if as_json:
        show.document(told)
    else:
        show.page(replay_lines(told))


@app.command()
def versions(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """All published versions, newest first."""
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
            show.moment(v["created_at"]),
            v["author"],
            v["note"],
        )
        for v in found
    ]
    empty = "Nothing is published: the account lives by the defaults."
    show.table(("version", "", "published", "by", "note"), rows, empty=empty)


@app.command("show")
def show_(
    ctx: typer.Context,
    version: Annotated[int | None, typer.Argument(metavar="VERSION", min=0, help="Else the live one.")] = None,
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """The text of a version."""
    from gateway.store import policies

    with at_account(ctx, account) as desk:
        live = policies.live_version(desk.store, desk.account_id)
        wanted = live if version is None else version
        text = policies.policy_text(desk.store, desk.account_id, wanted)
    if as_json:
        show.document({"version": wanted, "live": wanted == live, "text": text})
    else:
        show.verbatim(text or "# version 0: nothing is published, the defaults hold")


@app.command()
def rollback(
    ctx: typer.Context,
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="See `policy versions`.")],
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Publish an old version's text anew."""
    from gateway.commands.publish import rollback as go_back
    from gateway.policy.problems import PolicyError

    with at_account(ctx, account) as desk:
        try:
            new = go_back(desk.store, desk.account_id, version, author=whoami())
        except PolicyError as error:
            raise InvalidInput(f"version {version} does not fit the account any more:\n{error}") from None
    if as_json:
        show.document({"account": desk.account, "version": new, "rolled_back_from": version})
    else:
        show.say(f"Version {new} is the policy of {desk.account} now; its text is that of version {version}.")


@app.command("test")
def judge(
    ctx: typer.Context,
    file: PolicyFile,
    message: Annotated[Path, typer.Argument(metavar="MESSAGE.eml", help="A message as it was sent.")],
    account: AccountName = None,
    recipient: Annotated[str | None, typer.Option("--recipient", metavar="ADDRESS", help="Where it arrived.")] = None,
    sender: Annotated[str | None, typer.Option("--sender", metavar="ADDRESS", help="The reverse-path.")] = None,
    client_ip: Annotated[str | None, typer.Option("--client-ip", metavar="IP", help="Who sent it, for SPF.")] = None,
    helo: Annotated[str | None, typer.Option("--helo", metavar="NAME")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a policy would make of a message, with every condition. Sends and stores nothing."""
    from gateway.commands.judge import judge_file
    from gateway.commands.publish import check as read
    from gateway.policy.problems import PolicyError

    text, content = read_text(file), read_bytes(message)
    with at_account(ctx, account) as desk:
        try:
            read(desk.store, desk.account_id, text)
        except PolicyError as error:
            raise _told(file, error) from None

    async def work(line: Line) -> Judgement:
        return await judge_file(
            line, desk.account, content,
            policy_text=text, sender=sender, recipient=recipient, client_ip=client_ip, helo=helo,
        )  # fmt: skip

    from gateway.cli.judgement_page import json_of, judgement_lines

    judged = json_of(on_the_line(desk.settings, work))
    if as_json:
        show.document(judged)
    else:
        show.page(judgement_lines(judged))
