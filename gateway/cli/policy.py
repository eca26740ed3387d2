"""`policy`: what an account does with its mail."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import policy_later, policy_shadow, policy_starters, policy_versions, show
from gateway.cli.completion import team_names
from gateway.cli.desk import AccountDesk, at_account, on_the_line
from gateway.cli.options import AccountName, AsJson, moment_since, read_bytes, whoami
from gateway.cli.policy_file import Agreed, Note, PolicyFile, called, policy_text, told
from gateway.cli.policy_losses import losses_json, not_agreed, say_losses
from gateway.cli.policy_probation import probation_of, say_probation
from gateway.cli.progress import progress

if TYPE_CHECKING:
    from gateway.commands.judge import Judgement
    from gateway.commands.losses import Losses
    from gateway.line import Line
    from gateway.policy.document import PolicyDocument

app = typer.Typer(no_args_is_help=True, help="Policies: what an account does with its mail.")

app.add_typer(policy_shadow.app, name="shadow")


@app.command()
def check(ctx: typer.Context, file: PolicyFile, account: AccountName = None, as_json: AsJson = False) -> None:
    """Read a policy and say what is wrong with it: line, column and cure. Publishes nothing.

    Of a good one it says what in it will do nothing. With an account, the teams, mailboxes and agents it names are looked up too.
    """
    from gateway.policy.problems import PolicyError
    from gateway.policy.remarks import remarks

    text = policy_text(file)
    try:
        document = _read(ctx, text, account)
    except PolicyError as error:
        raise told(file, error, as_json=as_json) from None
    said = remarks(document)
    if as_json:
        show.document({"ok": True, "file": str(file), "problems": [], "remarks": said})
        return
    for sentence in said:
        show.complain(sentence, prefix=f"{called(file)}: remark: ")
    unseen = "" if account else "; names of teams, mailboxes and agents are only checked with --account"
    show.say(f"{called(file)}: a good policy with {len(document.rules)} rules{unseen}")


def _read(ctx: typer.Context, text: str, account: str | None) -> PolicyDocument:
    from gateway.commands.publish import check as read
    from gateway.policy.loader import load

    if not account:
        return load(text)
    with at_account(ctx, account) as desk:
        return read(desk.store, desk.account_id, text)


@app.command()
def publish(
    ctx: typer.Context,
    file: PolicyFile,
    account: AccountName = None,
    note: Note = "",
    yes: Agreed = False,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="TIME", help='Publish it then: RFC 3339, or "2026-12-01 08:00" in the account\'s zone.'
        ),
    ] = None,
    team: Annotated[
        str | None,
        typer.Option(
            "--team", metavar="NAME", help="FILE holds `rules:` alone: those of this team.", autocompletion=team_names
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a policy, try it on the mail of the last 7 days, and make it the live one: a new version that never changes.

    Where mail that was ticketed would be refused, ignored or quarantined, or rules that teams' managers published would be
    lost, it shows all of that, and publishes only with --yes; such mail then waits in quarantine for the version's first 24
    hours. With --at it is checked and tried now and once more when it is published; see `policy scheduled`.
    """
    from gateway.commands.losses import NotAgreed
    from gateway.policy.problems import PolicyError

    if at is not None and team is not None:
        raise typer.BadParameter("a team's rules are published at once; leave one of the two away", param_hint="--at")
    text = policy_text(file)
    with at_account(ctx, account) as desk, progress() as on_progress:
        how = {"note": note, "author": whoami(), "agreed": yes, "on_progress": on_progress}
        try:
            done, losses = _published(desk, text, team, how) if at is None else _scheduled(desk, text, at, how)
        except PolicyError as error:
            raise told(file, error, as_json=as_json, account=desk.account, version=None) from None
        except NotAgreed as error:
            besides: dict[str, Any] = {} if at is None else {"id": None, "due_at": None}
            besides |= {} if team is None else {"team": team}
            raise not_agreed(error, desk.account, as_json=as_json, **besides) from None
    if as_json:
        show.document({"account": desk.account} | done | losses_json(losses))
        return
    say_losses(losses)
    if at is not None:
        withdraw = f"gateway policy unschedule {done['id']} --account {desk.account}"
        show.say(f"It will be published at {show.moment(done['due_at'])}; to withdraw it: {withdraw}")
    else:
        version = done["version"]
        show.say(f"Version {version} is the policy of {desk.account} now; running processes see it within 2 seconds.")
        say_probation(desk.account, done["probation"])


def _published(desk: AccountDesk, text: str, team: str | None, how: dict[str, Any]) -> tuple[dict[str, Any], Losses]:
    from gateway.commands.publish import publish as make_live
    from gateway.commands.team_rules import publish_team_rules

    if team is None:
        done = make_live(desk.store, desk.account_id, text, **how)
    else:
        done = publish_team_rules(desk.store, desk.account_id, team, text, **how)
    whose = {} if team is None else {"team": team}
    return {"version": done.version, "probation": probation_of(desk, done.version)} | whose, done.losses


def _scheduled(desk: AccountDesk, text: str, at: str, how: dict[str, Any]) -> tuple[dict[str, Any], Losses]:
    from gateway.commands.schedule import moment_of, schedule
    from gateway.store.events import moment
    from gateway.store.listing import account

    due_at = moment_of(at, account(desk.store, desk.account_id)["timezone"])
    done = schedule(desk.store, desk.account_id, text, due_at, **how)
    return {"version": None, "probation": None, "id": done.id, "due_at": moment(due_at)}, done.losses


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
    from gateway.cli.replay_page import replay_lines
    from gateway.commands.publish import check as read
    from gateway.commands.replay import json_of
    from gateway.commands.replay import replay as run
    from gateway.policy.problems import PolicyError

    text = policy_text(file)
    with at_account(ctx, account) as desk, progress() as on_progress:
        try:
            read(desk.store, desk.account_id, text)
        except PolicyError as error:
            raise told(file, error, as_json=as_json) from None
        found = json_of(run(desk.store, desk.account_id, text, since, on_progress))
    if as_json:
        show.document(found)
    else:
        show.page(replay_lines(found))


policy_versions.add_to(app)
policy_later.add_to(app)
policy_starters.add_to(app)


@app.command("test")
def judge(
    ctx: typer.Context,
    file: PolicyFile,
    message: Annotated[
        str, typer.Argument(metavar="MESSAGE", help="A message as it was sent (a file), or the id of a stored one.")
    ],
    account: AccountName = None,
    recipient: Annotated[str | None, typer.Option("--recipient", metavar="ADDRESS", help="Where it arrived.")] = None,
    sender: Annotated[str | None, typer.Option("--sender", metavar="ADDRESS", help="The reverse-path.")] = None,
    client_ip: Annotated[str | None, typer.Option("--client-ip", metavar="IP", help="Who sent it, for SPF.")] = None,
    helo: Annotated[str | None, typer.Option("--helo", metavar="NAME")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a policy would make of a message, with every condition. Sends and stores nothing.

    A stored message is judged by what was found out about it when it came.
    """
    from gateway.cli.judgement_page import judgement_lines
    from gateway.commands.judge import judge_file, judge_stored, stored_id
    from gateway.commands.judgement import json_of
    from gateway.commands.publish import check as read
    from gateway.policy.problems import PolicyError

    text, stored = policy_text(file), None if Path(message).exists() else stored_id(message)
    envelope = {"sender": sender, "recipient": recipient, "client_ip": client_ip, "helo": helo}
    if stored and any(envelope.values()):
        raise typer.BadParameter("a stored message has its own envelope; leave the options about it away")
    content = b"" if stored else read_bytes(Path(message))
    with at_account(ctx, account) as desk:
        try:
            read(desk.store, desk.account_id, text)
        except PolicyError as error:
            raise told(file, error, as_json=as_json) from None
        judgement = judge_stored(desk.store, desk.blobs(), desk.account_id, stored, text) if stored else None

    async def work(line: Line) -> Judgement:
        return await judge_file(line, desk.account, content, policy_text=text, **envelope)

    judged = json_of(judgement or on_the_line(desk.settings, work))
    if as_json:
        show.document(judged)
    else:
        show.page(judgement_lines(judged))
