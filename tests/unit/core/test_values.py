"""The small judgements that values make of themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from gateway.core.envelope import Client, Envelope
from gateway.core.message import Address, Part
from gateway.core.notice import NoticeKind
from gateway.core.reports import AuthReport, AuthResult, Level, Path, Sender
from gateway.core.trace import record_of
from tests.unit.policy.shapes import MESSAGE, PLACE

ENVELOPE = Envelope(
    "T" * 16, "acme", "smtp", datetime(2026, 5, 4, tzinfo=UTC), Client("192.0.2.1", "x.test", "TLSv1.3"), None,
    ("a@b.test",), smtputf8=False, content=b"", sha256="0", refused=(("c@d.test", "relaying-denied"),),
)  # fmt: skip


def test_domains_are_lower_case_and_behind_the_last_at() -> None:
    assert Address('"a@b"@C.Test').domain == "c.test"
    assert PLACE.mailbox is PLACE.mailboxes[0]
    assert PLACE.mailbox.domain == "acme.example"


def test_a_leaf_is_an_attachment_unless_it_is_the_text() -> None:
    part = Part(1, "1", "text/plain", None, "7bit", "", (), None, inline=False, start=0, end=1, is_text=True)
    assert not part.is_attachment
    assert replace(part, is_text=False).is_attachment


def test_header_values_are_found_in_any_case_topmost_first() -> None:
    message = replace(MESSAGE, headers=(("Received", "b"), ("X", "1"), ("RECEIVED", "a")))
    assert message.header_values("received") == ("b", "a")


def test_the_best_result_of_a_method_counts() -> None:
    results = (AuthResult("dkim", "fail"), AuthResult("dkim", "pass"), AuthResult("spf", "softfail"))
    report = AuthReport(results, Sender.VERIFIED, Level.VERIFIED, "", Path.DIRECT, None, "", "")
    assert [report.result_of(m) for m in ("dkim", "spf", "arc")] == ["pass", "softfail", "none"]


def test_only_the_acknowledgement_goes_to_customers() -> None:
    assert [k for k in NoticeKind if k.to_customer] == [NoticeKind.ACKNOWLEDGEMENT]


def test_the_record_of_a_transaction_names_refused_recipients_too() -> None:
    record = record_of(ENVELOPE, outcome="accepted", reason="accepted", reply="250", message_id="m")
    assert (record.recipients, record.client_ip, record.tls) == (("a@b.test", "c@d.test"), "192.0.2.1", "TLSv1.3")
    without = record_of(replace(ENVELOPE, client=None), outcome="refused", reason="virus", reply="550")
    assert (without.client_ip, without.helo, without.tls, without.message_id) == (None, None, None, None)
