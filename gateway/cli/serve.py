"""`serve` and `demo`: the processes that stay."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.cli import early, show, streams
from gateway.cli.desk import Invocation, settings_of

if TYPE_CHECKING:
    from gateway.settings import Settings

DEFAULT_ROLES = ("smtp", "outbox", "web", "jobs")
NOT_YET = ("pull",)


def _roles(text: str) -> tuple[str, ...]:
    from gateway.supervisor import ROLES

    wanted = tuple(dict.fromkeys(r.strip().lower() for r in text.split(",") if r.strip()))
    unknown = [r for r in wanted if r not in ROLES]
    if unknown or not wanted:
        named = f"there is no role {', '.join(unknown)}; " if unknown else ""
        raise typer.BadParameter(f"{named}name some of {', '.join(DEFAULT_ROLES)}")
    if missing := [r for r in wanted if r in NOT_YET]:
        raise typer.BadParameter(f"{', '.join(missing)}: not available in this version; leave it out")
    return wanted


def serve(
    ctx: typer.Context,
    role: Annotated[
        str, typer.Option("--role", metavar="ROLES", help="The parts to run here, with commas between.")
    ] = ",".join(DEFAULT_ROLES),
) -> None:
    """Receive mail, send notifications and answer HTTP, until told to stop.

    SIGTERM and SIGINT finish what has begun and end it; SIGHUP checks the configuration again and, where it is good,
    replaces the workers one by one. Listening sockets may come from systemd.
    """
    with early.signals_kept():
        _serve(ctx, role)


def _serve(ctx: typer.Context, role: str) -> NoReturn:
    from gateway.supervisor import ServiceManager, Supervisor

    manager = ServiceManager(os.environ)  # before anything else may open files or start processes
    roles = _roles(role)
    settings = settings_of(ctx)
    from gateway.ground import prepare_to_serve

    announcement = list(announce(settings, roles))  # also finds a certificate, relay or scanner that cannot be meant
    supervisor = Supervisor(
        data_dir=settings.data_dir,
        roles=roles,
        smtp=settings.smtp.listen,
        http=[settings.http.listen],
        worker_command=[sys.executable, "-P", "-m", "gateway.worker"],
        check_command=_check_command(ctx, roles),
        configuration=settings.model_dump_json().encode(),
        manager=manager,
        smtp_workers=settings.smtp.workers,
        together=settings.is_sqlite,
    )
    supervisor.claim()  # before the schema is touched: another `serve` may be at work on it
    prepare_to_serve(settings)
    with streams.unheeded():  # mail is taken, whatever becomes of the words
        for line in announcement:
            show.say(line)
    # what is blocked outlives the exec, and a handler does not
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    supervisor.hand_over()


def _check_command(ctx: typer.Context, roles: tuple[str, ...]) -> list[str]:
    """Looks again at the file that was read at the start: ./gateway.toml, too, may be away while it is being written, and
    the defaults in its place would refuse all mail.
    """
    from gateway.configuration import file_read, says_something

    invocation = ctx.find_object(Invocation)
    file = file_read(invocation.config if invocation else None)
    config = ["--config", str(file)] if file else []
    filled = ["--filled"] if file and says_something(file) else []
    check = ["check-config", "--for-serve", ",".join(roles), "--running", *filled]
    return [sys.executable, "-P", "-m", "gateway", *config, *check]


def announce(settings: Settings, roles: tuple[str, ...]) -> Iterator[str]:
    """A line per listener, and loudly what is missing. Raises InvalidInput for a certificate, relay, scanner or zone
    file that is wrong in itself: what stops a worker is told before there is one.
    """
    yield f"gateway {settings.hostname}, process {os.getpid()}, data in {settings.data_dir}"
    if "smtp" in roles:
        yield from (f"SMTP on {address}, for *@<account>.{settings.domain}" for address in settings.smtp.listen)
        yield from tls_lines(settings)
    if "web" in roles:
        yield f"HTTP on {settings.http.listen}, known as {settings.public_url}"
    if settings.dns.zone_file:
        from gateway.resolver import ZoneFile

        ZoneFile(settings.dns.zone_file)
        yield f"DNS: the names in {settings.dns.zone_file} are answered from it, without asking a name server"
    yield from scanner_lines(settings)
    yield from relay_lines(settings)


def scanner_lines(settings: Settings) -> Iterator[str]:
    """What scans mail, loudly where nothing does. Raises InvalidInput for YARA rules that cannot be used."""
    from gateway.scan.clamd_address import describe

    beside = "YARA rules" if settings.yara.rules else ""
    yield describe(settings.clamav.address, settings.data_dir / "clamd.seen", beside=beside)
    if settings.yara.rules:
        from gateway.scan.yara_rules import compiled

        yield f"YARA: {compiled(settings.yara.rules).told}."
    if settings.rspamd.url:
        yield f"Spam filter: rspamd at {settings.rspamd.url}."


def tls_lines(settings: Settings) -> Iterator[str]:
    """The certificate of STARTTLS, loudly when its dates matter. Raises InvalidInput for one that cannot serve."""
    if settings.smtp.tls_cert is None or settings.smtp.tls_key is None:
        return
    from gateway.certificates import Validity, read_pair
    from gateway.core.clock import now

    pair, moment = read_pair(settings.smtp.tls_cert, settings.smtp.tls_key), now()
    start = "STARTTLS with" if pair.validity(moment) is Validity.GOOD else "CERTIFICATE:"
    yield f"{start} {settings.smtp.tls_cert}, {pair.dates(moment)}"


def relay_lines(settings: Settings) -> Iterator[str]:
    """Where notifications go, without passwords. Raises InvalidInput."""
    if not settings.relay.url:
        yield "NO RELAY: relay.url is not set, so notifications are held in the outbox until it is."
        return
    from gateway.notify.courier import parse_relay

    for url in settings.relay.url:
        parse_relay(url, hostname=settings.hostname)
        yield f"Relay: {without_password(url)}"


def without_password(url: str) -> str:
    """A relay's URL as it may be shown."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}://***@{rest.rpartition('@')[2]}" if separator and "@" in rest else url


def demo(
    ctx: typer.Context,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew: forget the demo's data.")] = False,
    smtp: Annotated[int | None, typer.Option("--smtp", metavar="PORT", min=1, max=65535, help="Else 2525.")] = None,
    http: Annotated[int | None, typer.Option("--http", metavar="PORT", min=1, max=65535, help="Else 8080.")] = None,
) -> None:
    """Show the gateway at work: an example account, real messages over SMTP, every trace; then keep serving."""
    settings = settings_of(ctx)
    from gateway.demo import run

    raise typer.Exit(run(settings, fresh=fresh, smtp=smtp, http=http))
