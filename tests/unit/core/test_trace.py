"""How much of what a client chose goes on record."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.core.envelope import Envelope
from gateway.core.trace import received, record_of, refused_detail


def _refused(count: int) -> tuple[tuple[str, str], ...]:
    return tuple((f"guess{n}@acme.gw.test", "unknown-recipient") for n in range(count))


def test_few_refused_recipients_are_all_named() -> None:
    named = [{"recipient": r, "reason": why} for r, why in _refused(20)]
    assert refused_detail(_refused(20)) == {"refused_recipients": named}
    assert refused_detail(()) == {}


def test_of_many_the_first_are_named_and_the_others_counted() -> None:
    detail = refused_detail(_refused(500), more=7)

    assert [r["recipient"] for r in detail["refused_recipients"]] == [r for r, _ in _refused(20)]
    assert detail["more_refused_recipients"] == 487


def test_an_envelope_s_record_and_first_step_name_as_many() -> None:
    envelope = Envelope(
        trace_id="T", account="acme", source="smtp", received_at=datetime(2026, 11, 21, tzinfo=UTC), client=None,
        reverse_path=None, recipients=("support@acme.gw.test",), smtputf8=False, content=b"", sha256="",
        refused=_refused(100),
    )  # fmt: skip

    assert len(record_of(envelope, outcome="accepted", reason="accepted", reply="250").recipients) == 21
    assert received(envelope).detail["more_refused_recipients"] == 80
