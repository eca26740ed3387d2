"""What the gateway would make of a message: nothing is sent, nothing is stored."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from gateway.commands.line import OpenLine
from gateway.commands.receive import client_of, normalised
from gateway.commands.replay import as_asked
from gateway.core.addresses import BadAddress, parse_addr_spec
from gateway.core.clock import now
from gateway.core.decision import Decision, Facts
from gateway.core.envelope import Client, Envelope
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.core.tokens import new_trace_id
from gateway.parse import parse
from gateway.policy.engine import Policy, compile_policy, decide
from gateway.policy.explain import RuleTrace, explain
from gateway.policy.loader import load, load_published
from gateway.store.blobs import FileBlobs
from gateway.store.directory import AccountEntry
from gateway.store.engine import Store
from gateway.store.policies import policy_text as stored_policy
from gateway.store.stored_message import stored_message

_STORED = re.compile(r"[0-9a-f]{32}")


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

    `sender` defaults to the author, `recipient` to the account's default mailbox. Raises UnknownThing, PolicyError,
    InvalidInput for options that are no address.
    """
    entry = await line.store_pool(line.directory.account, account)
    if entry is None:
        raise UnknownThing(f"there is no account {account!r}")
    version = entry.policy_version if policy_text is None else 0
    text = await line.store_pool(stored_policy, line.store, entry.id, version) if policy_text is None else policy_text
    policy = ready(text, version)
    author = author_of(normalised(content)) if sender is None else sender
    return await judge_with(
        line, entry, policy, content, sender=author, recipient=recipient, client_ip=client_ip, helo=helo
    )


async def judge_with(
    line: OpenLine,
    entry: AccountEntry,
    policy: Policy,
    content: bytes,
    *,
    sender: str,
    recipient: str | None = None,
    client_ip: str | None = None,
    helo: str | None = None,
) -> Judgement:
    """Under a policy that is compiled already. Raises InvalidInput for an envelope that none can have."""
    content = normalised(content)
    envelope = envelope_of(entry, content, sender, recipient, client_of(client_ip, helo))
    facts = await line.intake.facts_of(envelope, policy)
    return Judgement(facts, decide(facts, policy), tuple(explain(facts, policy)))


def judge_stored(
    store: Store, blobs: FileBlobs, account_id: str, message_id: str, policy_text: str, version: int = 0
) -> Judgement:
    """What a policy makes of a kept message, by the facts as they were found when it came: no check is made anew, and whose
    mail it is stays as it was told then. Raises UnknownThing, PolicyError, UnreadableFacts, BlobUnavailable, and
    InvalidInput for a message that was kept unread.
    """
    facts = stored_message(store, blobs, account_id, message_id).facts
    if facts is None:
        raise InvalidInput(f"message {message_id} was kept unread: nothing is known of it that a policy could judge")
    policy = ready(policy_text, version)
    facts = as_asked(facts, policy)
    return Judgement(facts, decide(facts, policy), tuple(explain(facts, policy)))


def ready(text: str, version: int) -> Policy:
    """Compiled; version 0 is a draft. Raises PolicyError."""
    return compile_policy(load_published(text) if version else load(text), version)


def stored_id(text: str) -> str | None:
    """The id of a stored message where this is one."""
    return text if _STORED.fullmatch(text) else None


def envelope_of(
    entry: AccountEntry, content: bytes, sender: str, recipient: str | None, client: Client | None
) -> Envelope:
    """The envelope of a message that never came. Raises InvalidInput."""
    return Envelope(
        trace_id=new_trace_id(),
        account=entry.name,
        source="test",
        received_at=now(),
        client=client,
        reverse_path=given_address(sender, "--sender") if sender not in ("", "<>") else None,
        recipients=(given_address(recipient, "--recipient") if recipient else f"{_inbound(entry)}@{entry.domain}",),
        smtputf8=False,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def author_of(content: bytes) -> str:
    """Who writes is who sends, unless it is said otherwise; mail without a clear author has the null reverse-path."""
    author = parse(content).author
    return author.address if author else ""


def _inbound(entry: AccountEntry) -> str:
    return entry.default_mailbox.inbound or "support"


def given_address(text: str | None, option: str) -> str:
    """An address as it was given to an option. Raises InvalidInput."""
    try:
        return str(parse_addr_spec(str(text), lenient=True))
    except BadAddress as error:
        raise InvalidInput(f"{option} {text!r}: {error}; write for example carol@customer.example") from None
