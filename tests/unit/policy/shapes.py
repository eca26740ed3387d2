"""Facts of a plain, verified, forwarded new mail; each test says what is different."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from textwrap import dedent
from typing import Any

import pytest

from gateway.core.decision import Decision, EnvelopeFacts, Facts
from gateway.core.envelope import Client
from gateway.core.message import Address, ParsedMessage, Part
from gateway.core.place import Candidate, Contact, Context, Evidence, Mailbox, Place
from gateway.core.reports import AuthReport, Level, PartReport, Path, ScanReport, ScanStatus, Sender
from gateway.policy.engine import Policy, compile_policy, decide
from gateway.policy.loader import load
from gateway.policy.problems import PolicyError
from gateway.policy.values import Known

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)

SUPPORT = Mailbox("m1", "support@acme.example", "Acme Support", "support", None, "support", True)
BILLING = Mailbox("m2", "billing@acme.example", "Acme Billing", "billing", None, None, False)
CONTACT = Contact("c1", "carol@customer.example", "Carol", None, "Customer Inc", ("vip", "eu"))

ENVELOPE = EnvelopeFacts(
    trace_id="7F3KQ2MXA5BTW6DR",
    source="smtp",
    received_at=NOW,
    client=Client("192.0.2.1", "mail.customer.example"),
    reverse_path="carol@customer.example",
    recipients=("support@acme.gw.example",),
    smtputf8=False,
    size_bytes=2000,
    sha256="0" * 64,
)
MESSAGE = ParsedMessage(
    message_id="1@customer.example",
    author=Address("Carol@customer.example", "Carol"),
    from_shown="Carol <Carol@customer.example>",
    author_domains=("customer.example",),
    originator=None,
    reply_to=(),
    to=(Address("support@acme.example"),),
    cc=(),
    subject="Broken pump",
    date=NOW,
    references=(),
    automatic="",
    is_list=False,
    is_report=False,
    received_count=2,
    headers=(("Subject", "Broken pump"), ("X-Mailer", "Pine"), ("List-Id", "<news.customer.example>")),
    text="It leaks.\nPlease help.",
    text_new="It leaks.",
    html=None,
    parts=(),
    body_digest="1" * 64,
    defects=(),
)
PLACE = Place(
    account_id="a1",
    account="acme",
    account_domain="acme.gw.example",
    company_name="Acme",
    language="en",
    timezone="UTC",
    mailboxes=(SUPPORT,),
    own_domains=frozenset({"acme.example", "acme.gw.example"}),
    own_addresses=frozenset({"support@acme.example", "billing@acme.example"}),
    agent_addresses=frozenset({"ann@acme.example"}),
    policy_version=1,
)
AUTH = AuthReport((), Sender.VERIFIED, Level.VERIFIED, "dkim:customer.example", Path.DIRECT, None, "", "DKIM proves it")
SCAN = ScanReport(ScanStatus.CLEAN)


def facts(**changes: Any) -> Facts:
    """Facts with fields replaced, whichever of their values the fields belong to; `files` are the scan's parts,
    `scan_reason` its reason.
    """
    scan = replace(SCAN, parts=changes.pop("files", ()), reason=changes.pop("scan_reason", ""))
    made = Facts(ENVELOPE, MESSAGE, PLACE, AUTH, scan, Context(), NOW)
    whole: dict[str, Any] = {}
    for part in ("context", "envelope", "message", "place", "auth", "scan"):
        value = whole.get(part, getattr(made, part))
        own = {k: changes.pop(k) for k in list(changes) if hasattr(value, k)}
        whole[part] = replace(value, **own)
    assert not changes, f"no such fact: {changes}"
    return replace(made, **whole)


def file(
    n: int, name: str, *types: str, detected: str = "", media: str = "other", size: int = 1000, **more: Any
) -> PartReport:
    """A file as the scan reports it; `inline`, `encrypted` and `macros` as further words."""
    inline = more.pop("inline", False)
    return PartReport(n, name, "application/octet-stream", detected, media, types, size, str(n) * 64, inline, **more)


def leaf(n: int, *names: str, is_text: bool = False, inline: bool = False) -> Part:
    """A leaf of the message."""
    kind = "text/plain" if is_text else "application/octet-stream"
    return Part(n, str(n), kind, None, "base64", "attachment", names, None, inline, 0, 10, is_text)


def candidate(evidence: Evidence = Evidence.MESSAGE_ID, *, participant: bool = True, ticket: str = "t1") -> Candidate:
    return Candidate(ticket, 7, "open", "support", None, evidence, participant)


def rules(text: str) -> Policy:
    """A policy of this text."""
    return compile_policy(load(dedent(text)), version=3)


def judged(text: str, /, **changes: Any) -> Decision:
    """The decision of a policy on mail that differs in these facts; `released` as when an admin let it go."""
    released = changes.pop("released", False)
    return decide(facts(**changes), rules(text), released=released)


def problems(text: str, known: Known | None = None) -> str:
    """What the loader says of a document that it must refuse."""
    with pytest.raises(PolicyError) as caught:
        load(dedent(text), known)
    return str(caught.value)
