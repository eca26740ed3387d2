"""`verify`: what would be said of a message's author, and why. Of what came, `trace` says the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.auth_page import explanation_lines
from gateway.cli.desk import at_desk
from gateway.cli.message_page import person
from gateway.cli.options import AccountName, AsJson, read_bytes

if TYPE_CHECKING:
    from gateway.commands.verify_file import Arrival
    from gateway.core.reports import AuthReport

_SAID = {
    "verified": "{author} wrote this",
    "unverified": "nothing proves that {author} wrote this",
    "indeterminate": "DNS would not say whether {author} wrote this",
    "forged": "the domain of {author} disowns this",
}
_WORTH = "a server that passed it on vouches for the author: enough to take part, never to act as an agent"


def verify(
    ctx: typer.Context,
    message: Annotated[Path, typer.Argument(metavar="MESSAGE.eml", help="A message as it was sent, with its header.")],
    client_ip: Annotated[
        str | None, typer.Option("--client-ip", metavar="IP", help="Who brought it. Without it SPF is none.")
    ] = None,
    helo: Annotated[str | None, typer.Option("--helo", metavar="NAME", help="How the client called itself.")] = None,
    sender: Annotated[
        str | None, typer.Option("--sender", metavar="ADDRESS", help="The reverse-path; <> for none. Else the author.")
    ] = None,
    recipient: Annotated[
        str | None,
        typer.Option("--recipient", metavar="ADDRESS", help="Where it arrived: our address, or the mailbox's own."),
    ] = None,
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Say who wrote a message, by which proof, and why. Nothing is sent or stored.

    Shows every check, every candidate for a proof with its fate, the path, and the DNS answers used.
    """
    import asyncio

    from gateway.commands import verify_file

    asked = verify_file.Asked(read_bytes(message), client_ip, helo, sender, recipient, account)
    with at_desk(ctx) as desk:
        arrival = verify_file.arrival_of(desk.store, desk.settings, asked)
    found = _found(arrival, asyncio.run(verify_file.judge(desk.settings, arrival)))
    if as_json:
        show.document(found)
    else:
        show.page(_lines(found, is_assumed=arrival.is_assumed))


def _found(arrival: Arrival, report: AuthReport) -> dict[str, Any]:
    from gateway.verify.telling import auth_object

    envelope, message, client = arrival.envelope, arrival.message, arrival.envelope.client
    author = message.author
    return {
        "author": {"name": author.name, "address": author.address} if author else None,
        "subject": message.subject,
        "message_id": message.message_id,
        "client": {"ip": client.ip, "helo": client.helo} if client else None,
        "reverse_path": envelope.reverse_path,
        "recipient": envelope.recipients[0],
        "account": arrival.place.account,
        "mailbox": arrival.place.mailbox.address,
        "forwarders": [f.name for f in arrival.place.mailbox.forwarders],
        "auth": auth_object(report),
    }


def _lines(found: dict[str, Any], *, is_assumed: bool) -> Iterator[show.Line]:
    auth = dict(found["auth"])
    said = _SAID[auth["sender"]].format(author=found["author"]["address"] if found["author"] else "any one author")
    verdict = show.state(auth.pop("sender"))
    yield show.Line(body=(verdict, show.Words(": "), show.Words(said, "bold")))
    by, level = auth.pop("by"), auth.pop("level")
    if by:
        yield show.field("proof", show.Words(by, "green"))
    yield show.field("why", auth.pop("reason"))
    if level == "via-forwarder":
        yield show.field("worth", f"{level}: {_WORTH}")
    yield show.field("author", person(found["author"]) or "(none)")
    yield show.field("subject", found["subject"] or "(none)")
    yield show.field("client", *_client(found["client"]))
    assumed = "  the author, for want of --sender" if is_assumed else ""
    yield show.field("from", f"<{found['reverse_path'] or ''}>", show.Words(assumed, "dim"))
    yield show.field("to", f"<{found['recipient']}>")
    yield show.field("mailbox", found["mailbox"], show.Words(f"  {_forwarders(found['forwarders'])}", "dim"))
    yield show.blank()
    yield from explanation_lines(auth, indent=2)


def _client(client: dict[str, str] | None) -> tuple[show.Words | str, ...]:
    if client is None:
        return "none", show.Words("  name it with --client-ip: without it SPF is none and nothing is forged", "dim")
    return client["ip"], show.Words(f"  {client['helo'] or 'no HELO'}", "dim")


def _forwarders(names: list[str]) -> str:
    return (
        f"learnt to come through {', '.join(names)}" if names else "no forwarder learnt: `gateway mailbox check` does"
    )
