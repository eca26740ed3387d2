"""What would be said of a message's author, and why: nothing is sent, nothing is stored, and no rule is asked."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.commands.judge import author_of, envelope_of, given_address
from gateway.commands.receive import client_of, normalised
from gateway.core.addresses import canonical
from gateway.core.envelope import Envelope
from gateway.core.errors import InvalidInput, TooComplex, UnknownThing
from gateway.core.message import ParsedMessage
from gateway.core.place import Place
from gateway.core.reports import AuthReport
from gateway.offload import Offload
from gateway.parse import parse
from gateway.resolver import DnsResolver
from gateway.settings import Settings
from gateway.store import listing
from gateway.store.directory import AccountEntry, Directory
from gateway.store.engine import Store
from gateway.store.locate import locate
from gateway.store.named import SYSTEM
from gateway.verify.verifier import Verifier


@dataclass(frozen=True, slots=True)
class Asked:
    """A message and what is said of how it came. Without `client_ip` it came by no SMTP client, as by a pipe."""

    content: bytes
    client_ip: str | None = None
    helo: str | None = None
    sender: str | None = None
    recipient: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """The message read and placed. `is_assumed`: nobody named the reverse-path, so the author stands in for it."""

    envelope: Envelope
    message: ParsedMessage
    place: Place
    is_assumed: bool


def arrival_of(store: Store, settings: Settings, asked: Asked) -> Arrival:
    """Blocking: the account is asked of the database. Raises InvalidInput, UnknownThing."""
    content = normalised(asked.content)
    if not content.strip():
        raise InvalidInput("the file is empty; save the whole message as its source, with every header field")
    try:
        message = parse(content)
    except TooComplex as error:
        raise InvalidInput(f"a message like this is parked unread: {error}") from None
    if not message.headers:
        raise InvalidInput("the file begins with no header field; save the whole message as its source")
    entry = _account(Directory(store, settings.domain, settings.hostname), store, asked)
    sender = asked.sender if asked.sender is not None else author_of(content)
    envelope = envelope_of(entry, content, sender, asked.recipient, client_of(asked.client_ip, asked.helo))
    place = locate(entry, envelope.recipients, message)
    return Arrival(envelope, message, place, is_assumed=asked.sender is None)


async def judge(settings: Settings, arrival: Arrival) -> AuthReport:
    """As for live mail: the same checks, the same budget, DNS as it is now."""
    dns = settings.dns
    resolver = DnsResolver(dns.nameservers or None, dns.port, dns.timeout_seconds, dns.zone_file)
    cpu = Offload("cpu", 1)
    try:
        verifier = Verifier(resolver, settings.auth.budget_seconds, cpu, settings.auth.trusted_arc_sealers)
        return await verifier.verify(arrival.envelope, arrival.message, arrival.place)
    finally:
        cpu.close()


def _account(directory: Directory, store: Store, asked: Asked) -> AccountEntry:
    """The one the recipient belongs to, else the one that is named, else the only one there is."""
    names = [a["name"] for a in listing.accounts(store)]
    named = _entry(directory, names, asked.account.strip().lower()) if asked.account else None
    if asked.recipient:
        owner = _of_recipient(directory, names, asked.recipient)
        if named and named.id != owner.id:
            raise InvalidInput(f"--recipient {asked.recipient} belongs to account {owner.name}, not to {named.name}")
        return owner
    if named:
        return named
    companies = [name for name in names if name != SYSTEM]
    if len(companies) != 1:
        there = ", ".join(companies) or "none yet; add one with `gateway account add NAME`"
        raise InvalidInput(f"say where it arrived: --recipient ADDRESS, or --account NAME. Accounts: {there}")
    return _entry(directory, names, companies[0])


def _entry(directory: Directory, names: list[str], name: str) -> AccountEntry:
    entry = directory.account(name) if name in names else None
    if entry is None:
        raise UnknownThing(f"there is no account {name!r}; accounts: {', '.join(names) or 'none yet'}")
    return entry


def _of_recipient(directory: Directory, names: list[str], text: str) -> AccountEntry:
    """By our address, or by the mailbox's public one."""
    address = given_address(text, "--recipient")
    if entry := directory.look_up(address.rpartition("@")[2]):
        return entry
    for name in names:
        entry = directory.account(name)
        if entry and canonical(address) in entry.by_address:
            return entry
    raise InvalidInput(
        f"--recipient {text}: no account receives mail there, and no mailbox has this address; see `gateway mailbox list`"
    )
