"""`receive`: the pipe transport, for `.forward` or a Postfix pipe. Its exit codes are sysexits.h's, not this program's.

A mail server bounces a message on any exit code but 0 and 75. So whatever goes wrong on our side is 75, bugs included:
`main` sees to it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from gateway.cli import show, streams
from gateway.cli.desk import on_the_line, settings_of
from gateway.cli.exits import REFUSED, TRY_AGAIN
from gateway.cli.options import AsJson
from gateway.cli.results import in_words, json_of
from gateway.core.errors import InvalidInput
from gateway.core.outcome import Accepted, Outcome, Parked, Refused

if TYPE_CHECKING:
    from gateway.line import Line


class FromAMailServer(typer.core.TyperCommand):
    """A mistake in the mail server's configuration is told in one line: it stands in that server's log."""

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        try:
            return super().make_context(*arguments, **named)
        except typer.TyperException as error:
            said = getattr(error, "format_message", error.__str__)()  # a usage error names the option only there
            show.complain(f"{said.rstrip('.')}; see `gateway receive --help`")
            raise typer.Exit(TRY_AGAIN) from None


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
    outcome = _outcome(ctx, sender, recipient, client_ip, helo)
    with streams.unheeded():  # the mail server hears the exit code, whatever it made of our streams
        _tell(outcome, as_json=as_json)
    raise typer.Exit(_exit_code(outcome))


def _outcome(
    ctx: typer.Context, sender: str, recipients: list[str], client_ip: str | None, helo: str | None
) -> Outcome:
    from gateway.commands.receive import WrongCall
    from gateway.commands.receive import receive as take
    from gateway.core.outcome import Reason

    settings = settings_of(ctx)
    most = settings.smtp.max_message_bytes
    content = _content(most + 1)
    if len(content) > most:
        return Refused(Reason.TOO_BIG, f"at most {most} octets are taken")

    async def work(line: Line) -> Outcome:
        try:
            return await take(line, content, sender=sender, recipients=recipients, client_ip=client_ip, helo=helo)
        except WrongCall:
            raise
        except InvalidInput as error:  # an address that is none, or not ours: no later attempt can do better
            return Refused(Reason.BAD_RECIPIENT, str(error))

    return on_the_line(settings, work)


def _content(most: int) -> bytes:
    """No more octets than `most`: who writes more has nobody to read it. Raises InvalidInput when standard input cannot be read."""
    try:
        return sys.stdin.buffer.read(most)
    except OSError as error:
        raise InvalidInput(f"standard input cannot be read: {error.strerror}") from None


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        show.document(json_of(outcome))
    if not isinstance(outcome, Accepted | Parked):
        show.complain(in_words(outcome))
    elif not as_json:
        show.say(in_words(outcome))


def _exit_code(outcome: Outcome) -> int:
    if isinstance(outcome, Accepted | Parked):
        return 0
    return REFUSED if isinstance(outcome, Refused) else TRY_AGAIN
