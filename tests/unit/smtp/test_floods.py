"""Refusals before the content: the first few of a minute one by one, the rest as one line (T27)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.core.trace import Step, TransactionRecord, refused_detail
from gateway.smtp.floods import Floods
from gateway.store.filing import LogEntry

BEGAN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Log:
    """Floods with a clock of its own; `lines` is what came out."""

    def __init__(self, **more: Any) -> None:
        self.now = 0.0
        self.lines: list[LogEntry] = []
        self.floods = Floods(self.lines.append, lambda: self.now, **{"one_by_one": 3} | more)
        self._made = 0

    def refuse(self, times: int = 1, *, more: int = 0, **values: Any) -> None:
        for _ in range(times):
            self._made += 1
            n = self._made
            at = BEGAN + timedelta(seconds=self.now)
            recipient = values.get("recipients", (f"guess{n}@acme.gw.test",))
            record = TransactionRecord(
                trace_id=f"TRACE{n}", account="acme", at=at, outcome="refused", reason="unknown-recipient",
                client_ip="192.0.2.1", helo="bot.test", tls=None, reverse_path="spam@bot.test", recipients=recipient,
                reply="550 5.1.1 no such recipient here",
            )  # fmt: skip
            record = replace(record, **values)
            step = Step(
                at, "receive", record.outcome, record.reason, refused_detail([(r, "x") for r in recipient], more)
            )
            self.floods.record(LogEntry(record, (step,)))

    def sums(self) -> list[LogEntry]:
        return [x for x in self.lines if "aggregated" in x.steps[-1].detail]


def test_the_first_few_are_themselves_and_the_rest_one_line_when_the_minute_is_over() -> None:
    log = Log()
    log.refuse(3)
    log.now = 20
    log.refuse(50)
    assert [x.record.trace_id for x in log.lines] == ["TRACE1", "TRACE2", "TRACE3"]

    log.now = 59.9
    log.floods.flush()
    assert len(log.lines) == 3
    log.now = 60
    log.floods.flush()

    (flood,) = log.lines[3:]
    record, (step,) = flood.record, flood.steps
    assert len(record.trace_id) == 16
    assert (record.account, record.outcome, record.reason) == ("acme", "refused", "unknown-recipient")
    assert (record.client_ip, record.helo, record.reverse_path) == ("192.0.2.1", "bot.test", "spam@bot.test")
    assert record.recipients == tuple(f"guess{n}@acme.gw.test" for n in range(4, 24))
    assert record.reply == "550 5.1.1 no such recipient here (50 transactions)"
    assert record.at == BEGAN + timedelta(seconds=20)
    assert json.loads(json.dumps(step.detail)) == {
        "aggregated": 50,
        "network": "192.0.2.1",
        "reasons": {"unknown-recipient": 50},
        "first_at": "2026-11-21T12:00:20+00:00",
        "last_at": "2026-11-21T12:00:20+00:00",
        "recipients_in_all": 50,
        "reverse_paths": ["<spam@bot.test>"],
    }


def test_each_minute_begins_anew() -> None:
    log = Log()
    log.refuse(5)
    log.now = 60
    log.refuse(5)  # no flush in between: the next of the network ends the window as well

    assert [x.record.trace_id for x in log.lines if x not in log.sums()] == [
        "TRACE1", "TRACE2", "TRACE3", "TRACE6", "TRACE7", "TRACE8",
    ]  # fmt: skip
    assert [x.steps[0].detail["aggregated"] for x in log.sums()] == [2]


def test_a_flood_that_goes_on_costs_one_line_a_minute_and_the_first_few() -> None:
    log = Log()
    for second in range(600):
        log.now = second
        log.floods.flush()
        log.refuse(10)
    log.floods.flush(all=True)

    assert len(log.lines) == 10 * (3 + 1)
    assert sum(x.steps[0].detail["aggregated"] for x in log.sums()) == 6000 - 30


def test_at_a_stop_every_sum_is_told_and_none_twice() -> None:
    log = Log()
    log.refuse(5)

    log.floods.flush(all=True)
    log.floods.flush(all=True)

    assert [x.steps[0].detail["aggregated"] for x in log.sums()] == [2]


def test_one_that_is_left_over_is_told_as_itself() -> None:
    log = Log()
    log.refuse(4)

    log.floods.flush(all=True)

    assert [x.record.trace_id for x in log.lines] == ["TRACE1", "TRACE2", "TRACE3", "TRACE4"]
    assert log.sums() == []


def test_every_network_has_its_own_few_and_an_ipv6_client_all_of_its_64() -> None:
    log = Log()
    for n in range(10):
        log.refuse(client_ip=f"192.0.2.{n}", helo=f"h{n}.test")
    for n in range(10):
        log.refuse(client_ip=f"2001:db8:0:1::{n}", helo=f"h{n}.test")
    log.floods.flush(all=True)

    (flood,) = log.sums()
    assert (flood.record.client_ip, flood.record.helo) == ("2001:db8:0:1::/64", None)
    assert (len(log.lines), flood.steps[0].detail["aggregated"]) == (10 + 3 + 1, 7)


def test_an_account_never_sees_what_was_tried_on_another() -> None:
    log = Log()
    log.refuse(3)
    for account in ("acme", "globex"):
        log.refuse(5, account=account, recipients=(f"x@{account}.gw.test",))

    log.floods.flush(all=True)

    assert [(x.record.account, x.record.recipients) for x in log.sums()] == [
        ("acme", ("x@acme.gw.test",)),
        ("globex", ("x@globex.gw.test",)),
    ]


def test_of_several_senders_none_is_named_as_the_one() -> None:
    log = Log(one_by_one=0)
    log.refuse(reverse_path=None)
    log.refuse(reverse_path="a@bot.test")

    log.floods.flush(all=True)

    (flood,) = log.lines
    assert flood.record.reverse_path == ""
    assert flood.steps[0].detail["reverse_paths"] == ["<>", "<a@bot.test>"]


@pytest.mark.parametrize(
    ("refused", "outcome", "reason"), [(0, "deferred", "over-client-rate"), (1, "refused", "unknown-recipient")]
)
def test_a_sum_is_deferred_only_where_all_of_it_was(refused: int, outcome: str, reason: str) -> None:
    log = Log(one_by_one=0)
    log.refuse(5, outcome="deferred", reason="over-client-rate", reply="451 4.7.1 later")
    log.refuse(2, outcome="deferred", reason="second-account", reply="452 4.5.3 one account")
    log.refuse(refused)

    log.floods.flush(all=True)

    (flood,) = log.lines
    assert (flood.record.outcome, flood.record.reason) == (outcome, reason)
    assert flood.record.reply.startswith("451 4.7.1 later (7" if not refused else "550 5.1.1 no such recipient here (8")
    assert flood.steps[0].detail["reasons"]["over-client-rate"] == 5


def test_no_trace_of_one_transaction_stands_in_the_reply_of_all() -> None:
    log = Log(one_by_one=0)
    log.refuse(reply="552 5.3.4 TRACE1 too large")
    log.refuse(reply="552 5.3.4 TRACE2 too large")

    log.floods.flush(all=True)

    assert log.lines[0].record.reply == "552 5.3.4 too large (2 transactions)"


def test_recipients_that_their_own_records_only_counted_are_counted() -> None:
    log = Log(one_by_one=0)
    log.refuse(2, recipients=tuple(f"r{n}@acme.gw.test" for n in range(20)), more=80)

    log.floods.flush(all=True)

    assert log.lines[0].steps[0].detail["recipients_in_all"] == 200
    assert len(log.lines[0].record.recipients) == 20


def test_only_so_many_networks_are_watched_and_the_quietest_is_told_when_it_is_forgotten() -> None:
    log = Log(networks=2)
    log.refuse(5, client_ip="192.0.2.1")
    log.refuse(5, client_ip="192.0.2.2")
    log.refuse(1, client_ip="192.0.2.1")
    log.refuse(1, client_ip="192.0.2.3")

    assert [(x.record.client_ip, x.steps[0].detail["aggregated"]) for x in log.sums()] == [("192.0.2.2", 2)]
    assert len(log.floods._windows) == 2


def test_what_has_no_client_address_or_is_looked_for_later_is_never_summed() -> None:
    log = Log(one_by_one=0)
    log.refuse(3, client_ip=None)
    entry = replace(log.lines[0], record=replace(log.lines[0].record, client_ip="192.0.2.1"), deferral="key")
    log.floods.record(entry)

    assert len(log.lines) == 4
    log.floods.flush(all=True)
    assert len(log.lines) == 4


def test_a_client_whose_address_is_no_address_is_a_network_of_its_own() -> None:
    log = Log(one_by_one=0)
    log.refuse(2, client_ip="not an address")

    log.floods.flush(all=True)

    assert log.lines[0].steps[0].detail["network"] == "not an address"
