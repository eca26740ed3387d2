"""`gateway`: the commands put together, and the one place where errors become words and exit codes.

Exit 0 done, 1 refused or failed (the reason on stderr), 2 wrong usage, 130 interrupted. What is not a `GatewayError` is
a bug and shows its traceback. Nothing heavy is imported up here: every command imports what it needs.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer
import typer.core

from gateway.cli import (
    account,
    agent,
    attachment,
    audit,
    components,
    configuration,
    contact,
    db,
    doctor,
    key,
    log,
    mailbox,
    message,
    outbox,
    parked,
    policy,
    quarantine,
    receive,
    reprocess,
    rescan,
    serve,
    show,
    streams,
    team,
    ticket,
    trace,
    verify,
    where,
)
from gateway.cli.desk import Invocation
from gateway.core.errors import GatewayError

RUN, SET_UP, MAIL, OPERATE = "Run", "Set up", "Mail", "Operate"


class _InOrder(typer.core.TyperGroup):
    """Help shows the panels in the order a newcomer needs them; typer's own puts all groups behind all commands."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer's own context
        panels = [RUN, SET_UP, MAIL, OPERATE]
        named = super().list_commands(ctx)
        return sorted(named, key=lambda name: panels.index(getattr(self.commands[name], "rich_help_panel", RUN)))


app = typer.Typer(
    name="gateway",
    cls=_InOrder,
    help="The mail gateway for support teams: forwarded mail in, proven, scanned, routed and kept as tickets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from gateway import __version__

        typer.echo(f"gateway {__version__}")
        raise typer.Exit


@app.callback()
def gateway(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="The configuration, one TOML file. Else GATEWAY_CONFIG, else ./gateway.toml, else the defaults.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version  # its callback has printed it
    ctx.obj = Invocation(config)


app.command(rich_help_panel=RUN)(serve.serve)
app.command(rich_help_panel=RUN)(serve.demo)
app.command("check-config", rich_help_panel=RUN)(configuration.check_config)
app.command(rich_help_panel=RUN)(doctor.doctor)
app.add_typer(db.app, name="db", rich_help_panel=RUN)
app.add_typer(account.app, name="account", rich_help_panel=SET_UP)
app.add_typer(mailbox.app, name="mailbox", rich_help_panel=SET_UP)
app.add_typer(team.app, name="team", rich_help_panel=SET_UP)
app.add_typer(agent.app, name="agent", rich_help_panel=SET_UP)
app.add_typer(contact.app, name="contact", rich_help_panel=SET_UP)
app.add_typer(policy.app, name="policy", rich_help_panel=SET_UP)
app.add_typer(key.app, name="key", rich_help_panel=SET_UP)
app.add_typer(ticket.app, name="ticket", rich_help_panel=MAIL)
app.add_typer(message.app, name="message", rich_help_panel=MAIL)
app.add_typer(attachment.app, name="attachment", rich_help_panel=MAIL)
app.add_typer(quarantine.app, name="quarantine", rich_help_panel=MAIL)
app.add_typer(parked.app, name="parked", rich_help_panel=MAIL)
app.add_typer(outbox.app, name="outbox", rich_help_panel=MAIL)
app.command(cls=receive.FromAMailServer, rich_help_panel=MAIL)(receive.receive)
app.command(rich_help_panel=MAIL)(reprocess.reprocess)
app.command(rich_help_panel=MAIL)(rescan.rescan)
app.command(rich_help_panel=OPERATE)(where.where)
app.command(rich_help_panel=OPERATE)(log.log)
app.command(rich_help_panel=OPERATE)(trace.trace)
app.command(rich_help_panel=OPERATE)(verify.verify)
app.command(rich_help_panel=OPERATE)(audit.audit)
app.command(rich_help_panel=OPERATE)(components.components)


_SURROGATE = re.compile("[\ud800-\udfff]")


def run(arguments: list[str]) -> int:
    """One command; its exit code. What it printed is out, or it has been said that it is not."""
    _speak_utf8()
    return _flushed(_run(arguments))


def _run(arguments: list[str]) -> int:
    try:
        app(arguments, prog_name="gateway")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except GatewayError as error:
        show.complain(str(error))
        return 1
    except UnicodeEncodeError:
        # octets that are no UTF-8 arrive as lone surrogates: files may be called so, nothing in the database is
        wrong = next((a for a in arguments if _SURROGATE.search(a)), None)
        if wrong is None:
            raise
        show.complain(f"{wrong!a} is not UTF-8: nothing here is called that")
        return 1
    except OSError:
        if not streams.is_broken(sys.stdout) and not streams.is_broken(sys.stderr):
            raise
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _flushed(code: int) -> int:
    """A reader that went away (`gateway log | head`) is no reason for words."""
    try:
        streams.flush()
    except BrokenPipeError:
        code = code or 1
    except streams.NotPrinted as error:
        show.complain(str(error))
        code = code or 1
    if streams.is_broken(sys.stderr):
        streams.give_up(sys.stderr)
    return code


def _speak_utf8() -> None:
    """Documents are UTF-8 whatever the locale says; what has no UTF-8 (lone surrogates) must not end a command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
