"""Which of an account's mailboxes a transaction is for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.core.addresses import BadAddress, base_local, canonical, parse_addr_spec
from gateway.core.message import ParsedMessage
from gateway.core.place import Mailbox, Place
from gateway.store.directory import AccountEntry

_FORWARDING_HEADERS = ("X-Forwarded-For", "X-Original-To", "Delivered-To", "Resent-To")
_EXEMPT = frozenset({"postmaster", "abuse"})


def locate(account: AccountEntry, recipients: Iterable[str], message: ParsedMessage) -> Place:
    """The place of a message: each recipient names a mailbox by its inbound local part, else the headers do, else the default.

    Of several mailboxes the one that stands first in To, then Cc, owns the ticket.
    """
    recipients = tuple(recipients)
    named = list(dict.fromkeys(_mailbox_of(account, r) for r in recipients))
    found: list[Mailbox] = [m for m in named if m is not None]
    if None in named:
        other = next(_named_in_headers(account, message), account.default_mailbox)
        if other not in found:
            found.append(other)
    written_to = [a.address for a in (*message.to, *message.cc)]
    shown = {canonical(a): position for position, a in reversed(list(enumerate(written_to)))}
    found.sort(key=lambda m: shown.get(m.address, len(shown) + 1))
    return _place(account, tuple(found), exempt=all(_is_exempt(r) for r in recipients))


def _place(account: AccountEntry, mailboxes: tuple[Mailbox, ...], *, exempt: bool) -> Place:
    return Place(
        account_id=account.id,
        account=account.name,
        account_domain=account.domain,
        company_name=account.company_name,
        language=account.language,
        timezone=account.timezone,
        mailboxes=mailboxes,
        own_domains=account.own_domains,
        own_addresses=account.own_addresses,
        agent_addresses=account.agent_addresses,
        policy_version=account.policy_version,
        exempt=exempt,
        arc_sealers=account.arc_sealers,
        receiving_domains=account.own_receiving | {account.domain},
        default_team=account.default_team,
        other_teams=_other_teams(account, mailboxes),
        agent_teams=account.agent_teams,
    )


def _other_teams(account: AccountEntry, here: tuple[Mailbox, ...]) -> tuple[tuple[str, str], ...]:
    others = (m for m in account.mailboxes if m not in here)
    return tuple((m.address, m.team) for m in others if m.team and m.team != account.default_team)


def _is_exempt(recipient: str) -> bool:
    return recipient.partition("@")[0].lower() in _EXEMPT


def _mailbox_of(account: AccountEntry, recipient: str) -> Mailbox | None:
    """The mailbox with that inbound local part, or with that very address at a domain of the account's own.

    What does not parse (bare postmaster) belongs to the default; recipients were judged at RCPT.
    """
    if _is_exempt(recipient):
        return account.default_mailbox
    try:
        spec = parse_addr_spec(recipient, lenient=True)
    except BadAddress:
        return account.default_mailbox
    local = base_local(spec.local)
    if spec.domain == account.domain:
        # not by address: the mailbox every account begins with has one here, and claims no local part
        return account.by_inbound.get(local)
    return account.by_address.get(f"{local}@{spec.domain}") or account.by_inbound.get(local)


def _named_in_headers(account: AccountEntry, message: ParsedMessage) -> Iterator[Mailbox]:
    for name in _FORWARDING_HEADERS:
        for value in message.header_values(name):
            for word in value.replace(",", " ").replace("<", " ").replace(">", " ").split():
                if mailbox := account.by_address.get(canonical(word)):
                    yield mailbox
    for address in (*message.to, *message.cc):
        if mailbox := account.by_address.get(canonical(address.address)):
            yield mailbox
