"""`mailbox check`: does this mailbox really forward here, through whom, and what becomes of the mail on the way?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import forwarding_page, show
from gateway.cli.desk import AccountDesk, at_account
from gateway.cli.options import AccountName, AsJson
from gateway.cli.progress import waiting

if TYPE_CHECKING:
    from gateway.commands.check_mailbox import MailboxChecks

POLL_SECONDS = 0.5
WAIT_SECONDS = 120

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The company's address, as customers write to it.")]


def check(
    ctx: typer.Context,
    address: Address,
    account: AccountName = None,
    wait: Annotated[
        int, typer.Option("--wait", min=0, max=3600, metavar="SECONDS", help="How long to wait.")
    ] = WAIT_SECONDS,
    anew: Annotated[bool, typer.Option("--anew", help="Send another challenge though one is under way.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send a test message to the mailbox's public address, wait until it comes back, and say what that shows.

    What is learnt of the forwarder counts from then on. Run again, it goes on waiting for a challenge sent lately. Exit 0
    when the forwarder is known afterwards, else 1.
    """
    import asyncio

    with at_account(ctx, account) as desk:
        checks = _checks(desk)
        found = checks.begin(desk.account_id, address, anew=anew)
        dns = asyncio.run(_dns(desk, found["mailbox"]))
        found = _waited(checks, desk.account_id, found, wait) | {"dns": dns}
    if as_json:
        show.document(found)
    else:
        _print(found)
    if not found["check"]["learnt"]:
        raise typer.Exit(1)


def _checks(desk: AccountDesk) -> MailboxChecks:
    from gateway.commands.check_mailbox import MailboxChecks
    from gateway.notify.folder import templates_folder
    from gateway.notify.render import Templates
    from gateway.store import secret

    tokens = secret.read(desk.settings.secret_key_path).tokens()
    return MailboxChecks(desk.store, tokens, Templates(templates_folder()), desk.settings)


async def _dns(desk: AccountDesk, mailbox: str) -> list[dict[str, Any]]:
    import asyncio

    from gateway.commands import mailbox_records
    from gateway.resolver import DnsResolver
    from gateway.store import secret

    dns = desk.settings.dns
    resolver = DnsResolver(dns.nameservers or None, dns.port, dns.timeout_seconds, dns.zone_file)
    keys = secret.read(desk.settings.secret_key_path)
    domain = f"{desk.account}.{desk.settings.domain}"
    names = await asyncio.to_thread(mailbox_records.names_of, desk.store, keys, desk.account_id, domain)
    found = await mailbox_records.examine(resolver, names, mailbox)
    return [{"check": f.check, "status": f.status.value, "detail": f.detail} for f in found]


def _waited(checks: MailboxChecks, account_id: str, found: dict[str, Any], seconds: int) -> dict[str, Any]:
    """The state when nothing more is to be expected, or the time is over."""
    from gateway.commands.check_mailbox import is_over

    end = time.monotonic() + seconds
    with waiting() as say:
        while not is_over(found["check"]) and time.monotonic() < end:
            say(_doing(found, int(end - time.monotonic())))
            time.sleep(min(POLL_SECONDS, max(0.0, end - time.monotonic())))
            found = checks.state(account_id, found["mailbox"])
    return found


def _doing(found: dict[str, Any], left: int) -> str:
    delivery = found["check"]["delivery"]
    if delivery["state"] == "delivered":
        return f"sent to {found['mailbox']}; waiting for it to come back ({left} s)"
    if delivery["attempts"]:
        return f"the relay has not taken it yet: {delivery['last_reply']} ({left} s)"
    return f"waiting for `gateway serve` to send the challenge to {found['mailbox']} ({left} s)"


def _print(found: dict[str, Any]) -> None:
    lines = [forwarding_page.verdict(found)]
    lines += forwarding_page.remarks(found["check"]["remarks"])
    lines += forwarding_page.findings(found["dns"])
    check = found["check"]
    if check["trace"]:
        lines.append(show.field("trace", show.Words(f"gateway trace {check['trace']}", "cyan")))
    if not check["learnt"] and check["state"] == "open":
        until = f"It is recognised until {show.moment(check['expires_at'])}; run the command again to go on waiting."
        lines.append(show.Line(body=(show.Words(until, "dim"),)))
    show.page(lines)
