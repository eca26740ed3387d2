"""What the gateway would make of a message: nothing is sent, nothing is stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gateway.commands.line import OpenLine
from gateway.commands.receive import normalised
from gateway.core.addresses import BadAddress, parse_addr_spec
from gateway.core.clock import now
from gateway.core.decision import Decision, Facts
from gateway.core.envelope import Client, Envelope
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.core.tokens import new_trace_id
from gateway.parse import parse
from gateway.policy.engine import compile_policy, decide
from gateway.policy.explain import RuleTrace, explain
from gateway.policy.loader import load
from gateway.store.directory import AccountEntry
from gateway.store.policies import policy_text as stored_policy


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found, what was decided, and each rule with every condition and the value it saw."""

    facts: Facts
    decision: Decision
    rules: tuple[RuleTrace, ...]


async def judge_file(
    line: OpenLine,
    account: str,
    content: bytes,
    *,
    policy_text: str | None = None,
    sender: str | None = None,
    recipient: str | None = None,
    client_ip: str | None = None,
    helo: str | None = None,
) -> Judgement:
    """Take a message through every stage but the commit. Without `policy_text` the live policy judges.

    `sender` defaults to the author, `recipient` to the account's default mailbox. Raises UnknownThing, PolicyError.
    """
    entry = await line.store_pool(line.directory.account, account)
    if entry is None:
        raise UnknownThing(f"there is no account {account!r}")
    version = entry.policy_version if policy_text is None else 0
    text = await line.store_pool(stored_policy, line.store, entry.id, version) if policy_text is None else policy_text
    policy = compile_policy(load(text), version)
    content = normalised(content)
    client = Client(client_ip, helo or "") if client_ip else None
    envelope = _envelope(entry, content, sender if sender is not None else _author(content), recipient, client)
    facts = await line.intake.facts_of(envelope)
    return Judgement(facts, decide(facts, policy), tuple(explain(facts, policy)))


def _envelope(
    entry: AccountEntry, content: bytes, sender: str, recipient: str | None, client: Client | None
) -> Envelope:
    return Envelope(
        trace_id=new_trace_id(),
        account=entry.name,
        source="test",
        received_at=now(),
        client=client,
        reverse_path=_address(sender, "--sender") if sender not in ("", "<>") else None,
        recipients=(_address(recipient, "--recipient") if recipient else f"{_inbound(entry)}@{entry.domain}",),
        smtputf8=False,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _author(content: bytes) -> str:
    """Who writes is who sends, unless it is said otherwise; mail without a clear author has the null reverse-path."""
    author = parse(content).author
    return author.address if author else ""


def _inbound(entry: AccountEntry) -> str:
    return entry.default_mailbox.inbound or "support"


def _address(text: str | None, option: str) -> str:
    try:
        return str(parse_addr_spec(str(text), lenient=True))
    except BadAddress as error:
        raise InvalidInput(f"{option} {text!r}: {error}; write for example carol@customer.example") from None
