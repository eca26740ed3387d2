"""Facts and decisions as versioned JSON: what `policy replay`, releases and pages read, years later."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gateway.core.addresses import canonical, without_tag
from gateway.core.decision import Decision, Facts
from gateway.core.reports import ScanStatus

VERSION = 1
TEXT_BYTES = 64 * 1024

_facts: TypeAdapter[Facts] = TypeAdapter(Facts)
_decision: TypeAdapter[Decision] = TypeAdapter(Decision)


class UnreadableFacts(ValueError):
    """Facts written by a later release."""


def dump_facts(facts: Facts) -> str:
    """JSON without content: text capped, HTML left out (the raw message has it), the account's address sets cut down to
    those a decision on this message could ask about, the mailboxes without their forwarders. Candidates and DNS answers
    stand in the trace: no decision reads them, and what a stranger's DNS says need not even be text.
    """
    return f'{{"version":{VERSION},"facts":{_facts.dump_json(_condensed(facts)).decode()}}}'


def load_facts(text: str) -> Facts:
    """Raises UnreadableFacts."""
    document = json.loads(text)
    if document["version"] != VERSION:
        raise UnreadableFacts(f"facts of version {document['version']}, this release reads {VERSION}")
    return _facts.validate_python(document["facts"], strict=False)


def is_infected(text: str | None) -> bool:
    """Whether stored facts, of any version, say that a scan found something."""
    return bool(text) and json.loads(text or "")["facts"]["scan"]["status"] == ScanStatus.INFECTED.value


def dump_decision(decision: Decision) -> str:
    return f'{{"version":{VERSION},"decision":{_decision.dump_json(decision).decode()}}}'


def load_decision(text: str) -> dict[str, Any]:
    """The decision as plain JSON: it is shown, never executed again."""
    document: dict[str, Any] = json.loads(text)["decision"]
    return document


def decision_of(text: str) -> Decision:
    """The decision as a value, to be held against another one; never executed again. Raises UnreadableFacts."""
    document = json.loads(text)
    if document["version"] != VERSION:
        raise UnreadableFacts(f"a decision of version {document['version']}, this release reads {VERSION}")
    try:
        return _decision.validate_python(document["decision"], strict=False)
    except ValidationError as error:
        raise UnreadableFacts(f"a decision this release cannot read: {error.errors()[0]['msg']}") from None


def _condensed(facts: Facts) -> Facts:
    message, place = facts.message, facts.place
    author = canonical(message.author.address) if message.author else ""
    domains = {message.author.domain} if message.author else set(message.author_domains)
    named = {author, *message.others_named()}
    named |= {without_tag(key) for key in named}
    named_domains = {key.rpartition("@")[2] for key in named}
    return replace(
        facts,
        message=replace(message, text=message.text[:TEXT_BYTES], text_new=message.text_new[:TEXT_BYTES], html=None),
        place=replace(
            place,
            own_domains=frozenset(d for d in place.own_domains if d in domains or d == place.account_domain),
            own_addresses=place.own_addresses & named,
            agent_addresses=place.agent_addresses & named,
            receiving_domains=place.receiving_domains & named_domains,
            mailboxes=tuple(replace(m, forwarders=()) for m in place.mailboxes),
            arc_sealers=frozenset(),
            agent_teams=(),
        ),
        auth=replace(facts.auth, candidates=(), dns=()),
    )
