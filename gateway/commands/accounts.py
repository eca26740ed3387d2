"""Setting up accounts, mailboxes, teams, agents and contacts: what people type is checked here, with the cure named."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email

from gateway.core.addresses import BadAddress, base_local, canonical, normal_domain, parse_addr_spec, without_controls
from gateway.core.clock import new_id
from gateway.core.errors import InvalidInput
from gateway.notify.sign import new_key
from gateway.settings import Settings
from gateway.store import changes, team_changes
from gateway.store.changes import NewAccount, NewMailbox
from gateway.store.contacts import NewContact, add_contacts
from gateway.store.directory import SYSTEM
from gateway.store.engine import Store
from gateway.store.secret import Secret
from gateway.store.team_changes import NewAgent

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_TEAM = re.compile(r"[\w][\w .-]{0,62}")
_PREFIX = re.compile(r"[\w#/.-]{0,16}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_SERVICE_LOCALS = frozenset({"answer", "bounce", "challenge", "notice", "postmaster", "abuse"})
STATUSES = ("available", "in-email", "in-call", "in-chat", "away", "offline")
DKIM_SELECTOR = "gw1"
MOST_SEALERS = 20
MOST_ADMINS = 20
MOST_QUARANTINE_DAYS = 3650
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
    domains = tuple(own_domain(d, settings) for d in new.domains)
    check_language(new.language)
    check_timezone(new.timezone)
    check_number_prefix(new.number_prefix)
    if new.company_name:
        check_company_name(new.company_name)
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


def own_domain(text: str, settings: Settings) -> str:
    """A domain that an account may receive for. Raises InvalidInput."""
    try:
        domain = normal_domain(text)
    except BadAddress as error:
        raise InvalidInput(f"--domain {text!r}: {error}; write for example mail.acme.example") from None
    if "." not in domain or domain.startswith("["):
        raise InvalidInput(f"--domain {text!r}: a whole domain name is needed, for example mail.acme.example")
    if domain == settings.domain or domain.endswith(f".{settings.domain}") or domain == settings.hostname:
        raise InvalidInput(f"--domain {domain}: names at or below {settings.domain} are the gateway's own")
    return domain


def check_language(language: str | None) -> None:
    if language and not _LANGUAGE.fullmatch(language):
        raise InvalidInput(f"{language!r} is no language tag; write for example en, de or pt-BR")


def check_timezone(timezone: str) -> None:
    if timezone not in available_timezones():
        raise InvalidInput(f"{timezone!r} is no time zone; write for example Europe/Berlin or UTC")


def arc_sealers(text: str) -> list[str]:
    """The domains of a list with commas, in A-labels; empty for none. Raises InvalidInput."""
    names = list(dict.fromkeys(_sealer(name) for name in re.split(r"[,\s]+", text.strip(", \t")) if name))
    if len(names) > MOST_SEALERS:
        raise InvalidInput(
            f"--arc-sealers: {len(names)} domains; at most {MOST_SEALERS}: each of them is trusted blindly"
        )
    return names


def _sealer(text: str) -> str:
    cure = "write the d= of the ARC-Seal, for example google.com"
    try:
        name = normal_domain(text)
    except BadAddress as error:
        raise InvalidInput(f"--arc-sealers {text!r}: {error}; {cure}") from None
    if "." not in name or name.startswith("["):
        raise InvalidInput(f"--arc-sealers {text!r}: a whole domain name is needed; {cure}")
    return name


def admins(text: str, settings: Settings) -> list[str]:
    """The addresses of a list with commas; empty for none. Raises InvalidInput."""
    found = {canonical(a): a for a in map(typed_address, filter(None, map(str.strip, text.split(","))))}
    if len(found) > MOST_ADMINS:
        raise InvalidInput(f"--admins: {len(found)} addresses; at most {MOST_ADMINS}: make a list of them elsewhere")
    for address in found.values():
        domain = parse_addr_spec(address).domain
        if domain == settings.domain or domain.endswith(f".{settings.domain}"):
            # a digest to it would open a ticket here
            raise InvalidInput(
                f"--admins {address}: admins read their mail elsewhere; addresses at {domain} are the gateway's own"
            )
    return list(found.values())


def check_quarantine_days(days: int) -> None:
    if not 1 <= days <= MOST_QUARANTINE_DAYS:
        raise InvalidInput(f"--quarantine-days {days}: 1 to {MOST_QUARANTINE_DAYS} days")


def check_number_prefix(prefix: str) -> None:
    """It stands in subjects and is read over the telephone."""
    if not _PREFIX.fullmatch(prefix):
        raise InvalidInput(f"--number-prefix {prefix!r}: at most 16 letters, digits and # - / . _, for example ACME-")


def check_name(name: str, option: str = "--name") -> None:
    """It stands in From and in the text of mails."""
    if not name.strip():
        raise InvalidInput(f'{option}: a name is needed; write for example {option} "Acme Support"')
    if not name.isprintable() or len(name) > 120:
        raise InvalidInput(f"{option}: a name on one line, at most 120 characters")


def check_company_name(name: str) -> None:
    check_name(name, "--company-name")


def typed_address(text: str) -> str:
    """An address as an admin typed it: syntax by email-validator where it can judge, else by our own grammar.

    email-validator refuses special-use domains (.test, .local) and deliverability is nobody's question here.
    Raises InvalidInput.
    """
    try:
        spec = parse_addr_spec(text.strip())
    except BadAddress as error:
        raise InvalidInput(f"{text!r} is no mail address: {error}; write for example support@acme.example") from None
    if spec.domain.startswith("[") or "." not in spec.domain:
        raise InvalidInput(f"{text!r}: a mail address needs a whole domain, for example support@acme.example")
    try:
        validate_email(str(spec), check_deliverability=False, test_environment=True, allow_quoted_local=True)
    except EmailNotValidError as error:
        if "special-use" not in str(error):
            raise InvalidInput(f"{text!r} is no mail address: {error}") from None
    return str(spec)


def add_mailbox(store: Store, settings: Settings, account_id: str, account: str, new: NewMailbox) -> None:
    """Raises InvalidInput, UnknownThing."""
    address = typed_address(new.address)
    spec = parse_addr_spec(address)
    check_name(new.name)
    check_language(new.language)
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
    changes.add_mailbox(
        store, account_id, NewMailbox(address, new.name.strip(), inbound, new.language, new.team, new.default)
    )


def add_team(store: Store, account_id: str, name: str) -> None:
    if not _TEAM.fullmatch(name):
        raise InvalidInput(f"{name!r} cannot be a team's name: letters, digits, blanks, dots and hyphens, at most 63")
    team_changes.add_team(store, account_id, name)


def add_agent(store: Store, settings: Settings, account_id: str, new: NewAgent) -> None:
    """Raises InvalidInput, UnknownThing."""
    check_name(new.name)
    check_language(new.language)
    if not new.teams:
        raise InvalidInput("--team: an agent belongs to at least one team")
    address = typed_address(new.address)
    domain = parse_addr_spec(address).domain
    if domain == settings.domain or domain.endswith(f".{settings.domain}"):
        # a notice to it would come straight back to us
        raise InvalidInput(f"{address}: agents read their mail elsewhere; addresses at {domain} are the gateway's own")
    team_changes.add_agent(store, account_id, NewAgent(address, new.name.strip(), new.teams, new.language))


def edit_agent(
    store: Store,
    account_id: str,
    address: str,
    *,
    name: str | None = None,
    language: str | None = None,
    teams: Collection[str] = (),
) -> None:
    """`teams`: all that he belongs to from now on. Raises InvalidInput, UnknownThing."""
    check_language(language)
    if name is not None and not without_controls(name).strip():
        raise InvalidInput("--name: an agent needs a name that customers can read")
    given = {"name": without_controls(name).strip() if name else None, "language": language}
    values = {k: v for k, v in given.items() if v is not None}
    team_changes.edit_agent(store, account_id, address, values, teams=teams)


def set_agent_status(store: Store, account_id: str, address: str, status: str) -> None:
    if status not in STATUSES:
        raise InvalidInput(f"{status!r} is no status; write one of {', '.join(STATUSES)}")
    team_changes.set_agent_status(store, account_id, address, status)


def add_contact(store: Store, account_id: str, new: NewContact) -> None:
    """Of one that is known only what is said changes. Raises InvalidInput."""
    check_language(new.language)
    name = None if new.name is None else new.name.strip()
    add_contacts(store, account_id, [replace(new, address=typed_address(new.address), name=name)])
