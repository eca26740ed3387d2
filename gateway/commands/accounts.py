"""Setting up accounts, mailboxes, teams, agents and contacts: what people type is checked here, with the cure named."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from gateway.commands import typed
from gateway.commands.typed import language_or_none, typed_address
from gateway.core.addresses import BadAddress, base_local, parse_addr_spec
from gateway.core.clock import new_id
from gateway.core.errors import InvalidInput
from gateway.notify.sign import new_key
from gateway.settings import Settings
from gateway.store import changes, team_changes
from gateway.store.changes import NewAccount, NewMailbox
from gateway.store.contacts import NewContact, add_contacts
from gateway.store.engine import Store
from gateway.store.named import SYSTEM
from gateway.store.secret import Secret
from gateway.store.team_changes import NewAgent

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_TEAM = re.compile(r"[\w][\w .-]{0,62}")
_SERVICE_LOCALS = frozenset({"answer", "bounce", "challenge", "notice", "postmaster", "abuse"})
STATUSES = ("available", "in-email", "in-call", "in-chat", "away", "offline")
DKIM_SELECTOR = "gw1"
MOST_FIRST_NUMBER = 1_000_000_000
"""As many tickets again fit behind it: numbers are 32 bits wide in the database."""


@dataclass(frozen=True, slots=True)
class DkimRecord:
    """What the operator publishes so that an account's own domain signs: a TXT record."""

    name: str
    value: str


def reserved_names(settings: Settings) -> set[str]:
    """Names that are ours: labels of our hostname below the domain, and what we use ourselves."""
    return {SYSTEM, "www", "bounce"} | set(settings.hostname.split("."))


def add_account(store: Store, secret: Secret, settings: Settings, new: NewAccount) -> DkimRecord:
    """Check, make the DKIM key of the account's own domain, and store. `id`, `dkim_*` and `default_address` are filled
    in here. Raises InvalidInput.
    """
    name = new.name.strip().lower()
    if not _LABEL.fullmatch(name):
        raise InvalidInput(f"{new.name!r} cannot be an account's name: it is a DNS label (letters, digits, hyphens)")
    if name in reserved_names(settings):
        raise InvalidInput(f"{name!r} is reserved: it is part of the gateway's own names; choose another")
    return _make_account(store, secret, settings, new, name)


def ensure_system_account(store: Store, secret: Secret, settings: Settings) -> None:
    """The operator's own account, where postmaster and abuse of the gateway's names arrive; made once."""
    if changes.has_account(store, SYSTEM):
        return
    new = NewAccount("", SYSTEM, "Mail gateway", "", b"", "")
    try:
        _make_account(store, secret, settings, new, SYSTEM, default_local="postmaster")
    except InvalidInput:
        if not changes.has_account(store, SYSTEM):  # else another process made it meanwhile
            raise


def _make_account(
    store: Store, secret: Secret, settings: Settings, new: NewAccount, name: str, default_local: str = "support"
) -> DkimRecord:
    domain = f"{name}.{settings.domain}"
    domains = tuple(typed.own_domains(new.domains, settings))
    typed.check_language(new.language)
    typed.check_timezone(new.timezone)
    typed.check_number_prefix(new.number_prefix)
    if new.company_name:
        typed.check_company_name(new.company_name)
    if not 1 <= new.first_number <= MOST_FIRST_NUMBER:
        raise InvalidInput(f"--first-number: ticket numbers begin at 1 to {MOST_FIRST_NUMBER:,}")
    account_id = new_id()
    private_pem, record = new_key()
    changes.add_account(
        store,
        NewAccount(
            id=account_id,
            name=name,
            company_name=new.company_name or name.capitalize(),
            dkim_selector=DKIM_SELECTOR,
            dkim_key=secret.encrypt(private_pem, f"dkim:{account_id}"),
            default_address=f"{default_local}@{domain}",
            domains=domains,
            listen_only=new.listen_only,
            first_number=new.first_number,
            number_prefix=new.number_prefix,
            language=new.language,
            timezone=new.timezone,
        ),
    )
    return DkimRecord(f"{DKIM_SELECTOR}._domainkey.{domain}", record)


def add_mailbox(store: Store, settings: Settings, account_id: str, account: str, new: NewMailbox) -> None:
    """Raises InvalidInput, UnknownThing."""
    address = typed_address(new.address)
    spec = parse_addr_spec(address)
    name, language = typed.checked_name(new.name), language_or_none(new.language)
    if spec.domain in (settings.domain, settings.hostname):
        raise InvalidInput(
            f"{address}: addresses at {spec.domain} are the gateway's own; a mailbox is at the company's domain, "
            f"or at {account}.{settings.domain}"
        )
    if spec.domain.endswith(f".{settings.domain}") and spec.domain != f"{account}.{settings.domain}":
        raise InvalidInput(f"{address}: that is an address of another account at this gateway")
    inbound = base_local(new.inbound if new.inbound is not None else spec.local)
    try:
        parse_addr_spec(f"{inbound}@{account}.{settings.domain}")
    except BadAddress as error:
        raise InvalidInput(f"--inbound {inbound!r}: {error}; write for example support") from None
    if inbound in _SERVICE_LOCALS:
        raise InvalidInput(
            f"{inbound}@{account}.{settings.domain} is used by the gateway itself; name another with --inbound"
        )
    changes.add_mailbox(store, account_id, NewMailbox(address, name, inbound, language, new.team, new.default))


def edit_mailbox(
    store: Store,
    account_id: str,
    address: str,
    *,
    name: str | None = None,
    language: str | None = None,
    team: str | None = None,
    default: bool = False,
) -> None:
    """What is None stays; without a language it has the account's. Raises InvalidInput, UnknownThing."""
    values: dict[str, Any] = {"is_default": True} if default else {}
    if name is not None:
        values["name"] = typed.checked_name(name)
    if language is not None:
        values["language"] = language_or_none(language)
    changes.edit_mailbox(store, account_id, address, values, team=team)


def add_team(store: Store, account_id: str, name: str) -> str:
    """Returns its name as it is kept: two that differ in blanks look alike. Raises InvalidInput."""
    name = " ".join(filter(None, name.split(" ")))
    if not _TEAM.fullmatch(name):
        raise InvalidInput(f"{name!r} cannot be a team's name: letters, digits, blanks, dots and hyphens, at most 63")
    team_changes.add_team(store, account_id, name)
    return name


def add_agent(store: Store, settings: Settings, account_id: str, new: NewAgent) -> None:
    """Raises InvalidInput, UnknownThing."""
    name, language = typed.checked_name(new.name), language_or_none(new.language)
    if not new.teams:
        raise InvalidInput("--team: an agent belongs to at least one team")
    address = typed_address(new.address)
    domain = parse_addr_spec(address).domain
    if domain == settings.domain or domain.endswith(f".{settings.domain}"):
        # a notice to it would come straight back to us
        raise InvalidInput(f"{address}: agents read their mail elsewhere; addresses at {domain} are the gateway's own")
    team_changes.add_agent(store, account_id, NewAgent(address, name, new.teams, language))


def edit_agent(
    store: Store,
    account_id: str,
    address: str,
    *,
    name: str | None = None,
    language: str | None = None,
    teams: Collection[str] = (),
) -> None:
    """`teams`: all that he belongs to from now on. What is None stays; an empty language is none. Raises InvalidInput,
    UnknownThing.
    """
    values: dict[str, Any] = {}
    if name is not None:
        values["name"] = typed.checked_name(name)
    if language is not None:
        values["language"] = language_or_none(language)
    team_changes.edit_agent(store, account_id, address, values, teams=teams)


def set_agent_status(store: Store, account_id: str, address: str, status: str) -> str:
    """Returns the agent's address as it is kept. Raises InvalidInput, UnknownThing."""
    if status not in STATUSES:
        raise InvalidInput(f"{status!r} is no status; write one of {', '.join(STATUSES)}")
    return team_changes.set_agent_status(store, account_id, address, status)


def add_contact(store: Store, account_id: str, new: NewContact) -> None:
    """Of one that is known only what is said changes. Raises InvalidInput."""
    language_or_none(new.language)
    name, company = _line_if_said(new.name, "--name"), _line_if_said(new.company, "--company")
    address, tags = typed_address(new.address), typed.checked_tags(new.tags)
    add_contacts(store, account_id, [replace(new, address=address, name=name, company=company, tags=tags)])


def _line_if_said(text: str | None, option: str) -> str | None:
    if text is None:
        return None
    typed.check_line(text.strip(), option, typed.MOST_NAME)
    return text.strip()
