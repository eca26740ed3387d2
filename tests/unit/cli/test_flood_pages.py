"""A line that stands for many transactions says so wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.cli.log import _followed, _row
from gateway.cli.show import Line
from gateway.cli.trace_page import trace_lines

AT = "2026-11-21T12:00:59+00:00"
FLOOD: dict[str, Any] = {
    "aggregated": 134, "network": "2001:db8::/64", "reasons": {"unknown-recipient": 130, "second-account": 4},
    "first_at": "2026-11-21T12:00:03+00:00", "last_at": AT, "recipients_in_all": 512, "reverse_paths": ["<>", "<a@b.test>"],
}  # fmt: skip
REPLY = "550 5.1.1 no such recipient here (134 transactions)"


def _trace(detail: dict[str, Any], **more: Any) -> dict[str, Any]:
    event = {"at": AT, "stage": "receive", "outcome": "refused", "reason": "unknown-recipient", "detail": detail}
    trace = {
        "id": "T", "account": "acme", "at": AT, "client": {"ip": "2001:db8::/64", "helo": None, "tls": None},
        "reverse_path": "", "recipients": ["x@acme.gw.test"], "outcome": "refused", "reason": "unknown-recipient",
        "reply": REPLY, "message": None, "events": [event], "rules": [], "attachments": [], "notifications": [],
    }  # fmt: skip
    return trace | more


def _text(lines: Iterable[Line]) -> str:
    return "\n".join("".join(w.text for w in (*line.head, *line.body)) for line in lines)


def test_the_trace_of_a_flood_counts_and_names_no_single_sender() -> None:
    text = _text(trace_lines(_trace(FLOOD)))

    assert "134 transactions from 2001:db8::/64, 12:00:03.000 to 12:00:59.000" in text
    assert "2001:db8::/64 (several HELO names, no TLS)" in text
    assert "unknown-recipient 130, second-account 4" in text
    assert "512" in text
    assert "<>, <a@b.test>" in text
    assert next(line for line in text.splitlines() if line.startswith("from")).endswith("several")


def test_more_refused_recipients_than_are_named_are_counted() -> None:
    detail = {
        "refused_recipients": [{"recipient": "x@y.test", "reason": "unknown-recipient"}],
        "more_refused_recipients": 12,
    }
    text = _text(trace_lines(_trace(detail, reverse_path=None)))

    assert "x@y.test: unknown-recipient" in text
    assert "and 12 more" in text
    assert "no HELO" in text
    assert next(line for line in text.splitlines() if line.startswith("from")).endswith("<>")


def test_the_log_tells_several_senders_from_the_null_reverse_path() -> None:
    line = {"at": AT, "trace": "T", "account": "acme", "outcome": "refused", "reason": "unknown-recipient",
            "client": "2001:db8::/64", "reverse_path": "", "recipients": ["x@acme.gw.test"], "reply": REPLY}  # fmt: skip

    assert "several" in _row(line)
    assert "<>" in _row(line | {"reverse_path": None})
    assert "several to x@acme.gw.test" in _text([_followed(line)])
    assert "134 transactions" in _text([_followed(line)])
