"""A judgement as it is shown and answered: the message as the policy saw it, the decision, and every rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gateway.commands.judge import Judgement
from gateway.core.addresses import without_tag
from gateway.core.decision import Decision, Facts, NewTicket, ToMailbox
from gateway.verify.telling import auth_object

Json = dict[str, Any]

_ACTIONS: Mapping[type, str] = {NewTicket: "new_ticket", ToMailbox: "mailbox"}
"""Effects whose class is not called as their action is."""


def json_of(judgement: Judgement) -> Json:
    """In the words of the message object (interfaces), as far as there is one without a message."""
    facts, decision = judgement.facts, judgement.decision
    return {
        "disposition": decision.disposition.value,
        "reason": decision.reason.value,
        "text": decision.text,
        "kind": decision.kind.value,
        "ticket": decision.ticket.value,
        "joins": next((c.number for c in facts.context.candidates if c.ticket_id == decision.join), None),
        "participants": [asdict(p) for p in decision.participants],
        "mailbox": facts.place.mailbox.address,
        "recipients_of_no_mailbox": recipients_of_no_mailbox(facts),
        "author": _author(facts),
        "subject": facts.message.subject,
        "auth": auth_object(facts.auth),
        "scan": _scan(facts),
        "attachments": _attachments(facts, decision),
        "effects": [{"effect": _ACTIONS.get(type(e), type(e).__name__.lower()), **asdict(e)} for e in decision.effects],
        "rules": [asdict(r) for r in judgement.rules],
        "acknowledgement": decision.silence or "is sent",
    }


def recipients_of_no_mailbox(facts: Facts) -> list[str]:
    """Of a message that never came: who it is said to be for, and is no address of the account. RCPT would have refused him; here
    the headers chose the mailbox, or it is the default one.
    """
    place = facts.place
    if facts.envelope.source != "test" or place.exempt:
        return []
    ours = place.own_addresses | {f"support@{place.account_domain}"}  # what a mailbox without a local part is tested by

    def is_known(recipient: str) -> bool:
        plain = without_tag(recipient)
        local, _, domain = plain.rpartition("@")
        return plain in ours or (domain in place.receiving_domains and f"{local}@{place.account_domain}" in ours)

    return [r for r in facts.envelope.recipients if not is_known(r)]


def _author(facts: Facts) -> Json | None:
    author, told = facts.message.author, facts.told
    if author is None:
        return None
    about = {"told_by": told.field if told else None, "from_address": told.written.address if told else None}
    return {"name": author.name, "address": author.address, **about}


def _scan(facts: Facts) -> Json:
    findings = [asdict(f) for f in facts.scan.findings]
    return {"status": facts.scan.status.value, "reason": facts.scan.reason, "findings": findings}


def _attachments(facts: Facts, decision: Decision) -> list[Json]:
    judged = {p.n: p for p in decision.parts}
    shown = []
    for part in facts.scan.parts:
        fate = judged.get(part.n)
        what = {"n": part.n, "name": part.name, "declared_type": part.declared_type}
        what |= {"detected_type": part.detected_type, "size_bytes": part.size_bytes, "inline": part.inline}
        became = {"disposition": fate.disposition.value if fate else "kept", "reason": fate.reason if fate else ""}
        shown.append(what | became)
    return shown
