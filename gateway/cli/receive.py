"""`receive`: the pipe transport, for `.forward` or a Postfix pipe. Its exit codes are sysexits.h's, not this program's.

A mail server bounces a message on any exit code but 0 and 75. So whatever goes wrong on our side is 75, bugs included.
"""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.desk import on_the_line, settings_of
from gateway.cli.options import AsJson
from gateway.cli.results import in_words, json_of
from gateway.core.errors import GatewayError, InvalidInput
from gateway.core.outcome import Accepted, Outcome, Parked, Refused

REFUSED = 65
"""EX_DATAERR: the mail server returns the message to its sender."""
TRY_AGAIN = 75
"""EX_TEMPFAIL: the mail server keeps the message and comes again."""


def receive(
    ctx: typer.Context,
    sender: Annotated[str, typer.Option("--sender", metavar="ADDRESS", help="The reverse-path; <> for none.")],
    recipient: Annotated[list[str], typer.Option("--recipient", metavar="ADDRESS", help="May be given again.")],
    client_ip: Annotated[str | None, typer.Option("--client-ip", metavar="IP", help="Who sent it, for SPF.")] = None,
    helo: Annotated[str | None, typer.Option("--helo", metavar="NAME")] = None,
    as_json: AsJson = False,
) -> None:
    """Take one message from standard input as if it had come by SMTP.

    Exit 0: it is kept. 75: try again later. 65: refused.
    """
    try:
        outcome = _outcome(ctx, sender, recipient, client_ip, helo)
    except GatewayError as error:
        show.complain(str(error))
        raise typer.Exit(TRY_AGAIN) from None
    except Exception:  # noqa: BLE001  any other exit code makes the mail server bounce what it could keep
        traceback.print_exc()
        raise typer.Exit(TRY_AGAIN) from None
    if as_json:
        show.document(json_of(outcome))
    raise typer.Exit(_exit_code(outcome, quiet=as_json))


def _outcome(
    ctx: typer.Context, sender: str, recipients: list[str], client_ip: str | None, helo: str | None
) -> Outcome:
    from gateway.commands.receive import receive as take
    from gateway.core.outcome import Reason
    from gateway.line import Line

    content = sys.stdin.buffer.read()

    async def work(line: Line) -> Outcome:
        try:
            return await take(line, content, sender=sender, recipients=recipients, client_ip=client_ip, helo=helo)
        except InvalidInput as error:  # an address that is none, or not ours: no later attempt can do better
            return Refused(Reason.BAD_RECIPIENT, str(error))

    return on_the_line(settings_of(ctx), work)


def _exit_code(outcome: Outcome, *, quiet: bool) -> int:
    if isinstance(outcome, Accepted | Parked):
        if not quiet:
            show.say(in_words(outcome))
        return 0
    show.complain(in_words(outcome))
    return REFUSED if isinstance(outcome, Refused) else TRY_AGAIN
