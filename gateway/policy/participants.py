"""`import_cc`: who of To and Cc takes part in the ticket, beside the author."""

from __future__ import annotations

from itertools import islice

from gateway.core.addresses import canonical, without_tag
from gateway.core.decision import Facts, Kind
from gateway.core.message import Address
from gateway.core.place import Place
from gateway.core.reports import Sender
from gateway.policy.belonging import Belonging
from gateway.policy.freemail import is_freemail

MOST = 50
"""Participants one message may bring: a header has room for thousands."""


def participants(facts: Facts, belonging: Belonging, import_cc: str, *, opens: bool) -> tuple[Address, ...]:
    """Those of To and Cc, in their order, who take part from now on; none unless the author is proven (T29): who forges
    From would write himself into the ticket. `opens`: the message opens a ticket, else its author must take part in it.
    """
    author = facts.message.author
    if import_cc == "none" or author is None or facts.auth.sender is not Sender.VERIFIED:
        return ()
    if belonging.from_agent or belonging.kind not in (Kind.NEW, Kind.ANSWER):
        return ()
    if not opens and not (belonging.candidate and belonging.candidate.is_participant):
        return ()
    wanted = (a for key, a in facts.message.others_named().items() if _is_wanted(key, author, facts, import_cc))
    return tuple(islice(wanted, MOST))


def _is_wanted(key: str, author: Address, facts: Facts, import_cc: str) -> bool:
    if _is_ours(key, facts.place):
        return False
    if import_cc == "all" or key in facts.context.listed:
        return True
    domain = _domain(canonical(author.address))
    return import_cc == "company" and _domain(key) == domain and not is_freemail(domain)


def _is_ours(key: str, place: Place) -> bool:
    """An agent, a mailbox, with or without a `+tag`, or any address whose mail comes to the gateway."""
    forms = {key, without_tag(key)}
    if forms & place.own_addresses or forms & place.agent_addresses:
        return True
    _, _, gateway = place.account_domain.partition(".")
    domain = _domain(key)
    at_gateway = any(domain == d or domain.endswith(f".{d}") for d in (place.account_domain, gateway) if d)
    return at_gateway or domain in place.receiving_domains


def _domain(key: str) -> str:
    return key.rpartition("@")[2]
