"""One line for each transaction: what stands in it, and what never does (T62, T63)."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest

from gateway import log
from gateway.core.outcome import Accepted, Reason
from gateway.core.trace import Step, TransactionRecord

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOSTILE = 'a\r\nb\x1b[31m\x9b1m\u2028\u2029\u202e\x00\udc80 "\\ end'


def record(**more: Any) -> TransactionRecord:
    values: dict[str, Any] = {
        "trace_id": "ABCDEFGHIJKLMNOP", "account": "acme", "at": AT, "outcome": "accepted", "reason": "accepted",
        "client_ip": "192.0.2.1", "helo": "mx.customer.test", "tls": "TLSv1.3",
        "reverse_path": "carol@customer.test", "recipients": ("support@acme.gw.test", "nobody@acme.gw.test"),
        "reply": "250 2.0.0 ABCDEFGHIJKLMNOP accepted", "message_id": "0" * 32,
    }  # fmt: skip
    return TransactionRecord(**values | more)


def received(**more: Any) -> Step:
    detail = {"source": "smtp", "size_bytes": 812, "sha256": "f" * 64}
    return Step(AT, "receive", "done", "", detail | more)


STEPS = (
    received(refused_recipients=[{"recipient": "nobody@acme.gw.test", "reason": "unknown-recipient"}]),
    Step(AT, "parse", "done", "", {"parts": 1, "milliseconds": 0.4}),
    Step(AT, "verify", "verified", "signed by customer.test", {"path": "direct", "milliseconds": 12.5}),
    Step(AT, "scan", "clean", "", {"milliseconds": 3.0}),
    Step(AT, "decide", "accept", "accepted", {"policy_version": 4, "rules": ["urgent", "vip"], "milliseconds": 0.1}),
)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    yield Lines(monkeypatch)
    log.set_up("console")


class Lines:
    """What comes out on stderr."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._out = StringIO()

    def set_up(self, form: str, least: int = logging.INFO) -> None:
        """Within the test: pytest puts a stderr of its own in place before it."""
        self._monkeypatch.setattr(sys, "stderr", self._out)
        log.set_up(form, least=least)

    def text(self) -> str:
        log.close(20)
        return self._out.getvalue()

    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().split("\n")[:-1]]


def told(lines: Lines, ended: TransactionRecord, steps: Sequence[Step] = (), **more: Any) -> dict[str, Any]:
    lines.set_up("json")
    log.transaction(ended, steps, **more)
    (line,) = lines.json()
    return line


def test_a_kept_message_is_told_with_everything_that_is_counted(lines: Lines) -> None:
    outcome = Accepted("ABCDEFGHIJKLMNOP", "0" * 32, ticket=7)

    line = told(lines, record(), STEPS, outcome=outcome, seconds=0.01234, kept_as="ticketed")

    del line["timestamp"]
    assert line.pop("reverse_path").endswith("@customer.test")
    assert line == {
        "event": "transaction", "level": "info", "room": "transactions", "trace": "ABCDEFGHIJKLMNOP",
        "account": "acme", "source": "smtp", "outcome": "accepted", "reason": "accepted", "kept_as": "ticketed",
        "message": "0" * 32, "ticket": 7, "code": 250, "enhanced_code": "2.0.0",
        "client": "192.0.2.1", "helo": "mx.customer.test", "tls": "TLSv1.3",
        "recipients": 2, "recipient_domains": ["acme.gw.test"], "refused_recipients": 1,
        "size_bytes": 812, "sha256": "f" * 16, "sender": "verified", "path": "direct", "scan": "clean",
        "policy": 4, "rules_hit": 2, "rules": ["urgent", "vip"], "seconds": 0.012,
        "milliseconds": {"parse": 0.4, "verify": 12.5, "scan": 3.0, "decide": 0.1},
    }  # fmt: skip


def test_no_local_part_of_any_address_stands_in_the_line(lines: Lines) -> None:
    recipients = (
        "hidden-one@acme.gw.test",
        "TO:<hidden-two@acme.gw.test> X=hidden-three",
        "hidden-four",
        "hidden@five@six",
    )
    text = json.dumps(told(lines, record(reverse_path='"hidden@six"@customer.test', recipients=recipients), STEPS))

    assert "hidden" not in text
    assert "nobody" not in text


def test_one_sender_has_one_hash_however_it_is_written_and_under_one_key_only(lines: Lines) -> None:
    lines.set_up("json")
    for key, path in ((b"a", "carol@customer.test"), (b"a", "Carol@CUSTOMER.test"), (b"a", "dave@customer.test"),
                      (b"b", "carol@customer.test")):  # fmt: skip
        log.key_hashes(key)
        log.transaction(record(reverse_path=path), ())

    same, written, other, rekeyed = (x["reverse_path"] for x in lines.json())
    assert same == written
    assert len({same, other, rekeyed}) == 3


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_hostile_client_gets_no_control_character_into_a_line_and_no_second_line(lines: Lines, form: str) -> None:
    lines.set_up(form)
    log.transaction(record(helo=HOSTILE, reverse_path=f"{HOSTILE}@{HOSTILE}", recipients=(HOSTILE,)), ())
    log.get("test").warning("failed", error=HOSTILE, seen=[HOSTILE, {HOSTILE: HOSTILE}])

    text = lines.text()

    assert text.count("\n") == 2
    assert all(c == "\n" or c.isprintable() for c in text)
    assert "\\x1b" in text


def test_tracebacks_on_a_console_do_nothing_to_it(lines: Lines) -> None:
    lines.set_up("console")
    try:
        raise ValueError(HOSTILE)  # noqa: TRY301
    except ValueError as error:
        log.get("test").error("broke", exc_info=error)

    text = lines.text()

    assert "Traceback" in text
    assert all(c == "\n" or c.isprintable() for c in text)


def test_no_line_is_longer_than_a_pipe_takes_at_once(lines: Lines) -> None:
    long = '\U0010ffff"\\\x1b' * 500
    names = tuple(f"x@{'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 40}{n}.test" for n in range(1000))
    rules = [f'"{n}"' + '\\"' * 200 for n in range(1000)]
    steps = (received(source=long, network=long), *(replace(s, outcome=long, reason=long) for s in STEPS[1:4]),
             Step(AT, "decide", "accept", "", {"policy_version": 10**9, "rules": rules, "milliseconds": 1234567.89}),
             *(Step(AT, name, "done", "", {"milliseconds": 1234567.89}) for name in ("locate", "recall", "commit")))  # fmt: skip
    worst = record(account=long, outcome=long, reason=long, client_ip=long, helo=long, tls=long,
                   reverse_path=f"{long}@{long}", recipients=names, message_id=long)  # fmt: skip
    lines.set_up("json")
    log.transaction(worst, steps, kept_as=long, seconds=1e9)

    assert len(lines.text().encode()) < 4096


def test_a_retry_names_the_transaction_that_kept_it(lines: Lines) -> None:
    outcome = Accepted("FIRSTFIRSTFIRSTF", "1" * 32, duplicate=True, reason=Reason.DUPLICATE)

    line = told(lines, record(reason="duplicate"), STEPS, outcome=outcome, kept_as="ticketed")

    assert (line["first_trace"], line["reason"]) == ("FIRSTFIRSTFIRSTF", "duplicate")
    assert "kept_as" not in line


def test_what_is_refused_before_its_content_is_a_line_too(lines: Lines) -> None:
    refused = record(outcome="refused", reason="unknown-recipient", reply="550 5.1.1 no such recipient here",
                     reverse_path=None, message_id=None, recipients=("x@acme.gw.test",) * 20)  # fmt: skip
    detail = {"refused_recipients": [{}] * 20, "more_refused_recipients": 5}

    line = told(lines, refused, [Step(AT, "receive", "refused", "unknown-recipient", detail)])

    assert (line["code"], line["enhanced_code"], line["reverse_path"]) == (550, "5.1.1", "<>")
    assert (line["recipients"], line["refused_recipients"], line["source"]) == (25, 25, "smtp")
    assert not {"seconds", "kept_as", "ticket", "rules", "again"} & set(line)


@pytest.mark.parametrize("outcome", ["refused", "deferred"])
def test_a_pipe_whose_output_becomes_a_bounce_tells_the_sender_no_rules(lines: Lines, outcome: str) -> None:
    line = told(
        lines,
        record(outcome=outcome, reason="virus", reply="550 5.7.1 T virus"),
        [received(source="receive"), *STEPS[1:]],
    )

    del line["timestamp"]
    assert set(line) == {
        "event", "level", "room", "trace", "source", "outcome", "reason", "code", "enhanced_code",
    }  # fmt: skip


def test_a_line_keeps_its_own_trace_where_another_transaction_is_at_work(lines: Lines) -> None:
    token = log.trace_id.set("OTHER")
    try:
        assert told(lines, record())["trace"] == "ABCDEFGHIJKLMNOP"
    finally:
        log.trace_id.reset(token)


def test_libraries_warn_in_the_same_form(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    lines.set_up("json")
    record = logging.LogRecord("asyncio", logging.ERROR, "", 1, "Task %s was lost", ("x\n",), None)
    unfit = logging.LogRecord("asyncio", logging.ERROR, "", 1, "only %d", ("words",), None)
    assert logging.lastResort

    logging.lastResort.handle(record)
    logging.lastResort.handle(unfit)

    first, second = lines.json()
    assert (first["event"], first["room"], first["level"]) == ("Task x\\n was lost", "asyncio", "error")
    assert second["event"] == "only %d"


def test_a_person_at_a_terminal_sees_warnings_only(lines: Lines) -> None:
    lines.set_up("json", least=logging.WARNING)
    log.transaction(record(), STEPS)
    log.get("test").warning("look here")

    assert [x["event"] for x in lines.json()] == ["look here"]


def test_who_sets_nothing_up_sees_warnings_on_stderr_and_nothing_on_stdout() -> None:
    script = "from gateway import log; log.get('x').info('small talk'); log.get('x').warning('look here')"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)

    assert done.stdout == ""
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["look here"]
