"""What a message costs does not grow with what is kept: no statement on its way reads a whole table or a whole account."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from gateway.core.notice import Delivery, DeliveryResult
from gateway.store import outbox
from gateway.store.engine import Store
from gateway.store.outbox import Settlement
from tests.contract.test_store import Desk, assigning
from tests.servers.inprocess import fresh_ground, make_seed, numbered

GROWING = {"message", "receipt", "twin", "ticket", "participant", "outbox", "transaction_log", "event", "deferral"}
"""Tables that get rows with each message."""

PREFIXES = {"account_id=?", "account_id=? AND kind=?", "account_id=? AND disposition=?", "account_id=? AND state=?"}
"""Ways into an index that lead along everything an account ever had."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    ground = fresh_ground(make_seed(_made(tmp_path / "seed")), tmp_path / "data")
    yield Desk(ground)
    ground.close()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """Every statement the store runs, with the values it ran with."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        seen.append((statement, values[0] if many else values))

    engines = {store._reader, store._writer}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield seen
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def long_ways(store: Store, seen: list[tuple[str, Any]]) -> list[str]:
    """The plans that read more than the rows they were asked for, as SQLite explains them."""
    found = []
    with store.read() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        for statement, values in {s: (s, v) for s, v in seen}.values():
            if not statement.startswith(("SELECT", "UPDATE", "DELETE")):
                continue
            for *_, plan in raw.execute(f"EXPLAIN QUERY PLAN {statement}", values):
                if _is_long(plan):
                    found.append(f"{plan}: {statement}")
    return found


def _is_long(plan: str) -> bool:
    way = re.match(r"(SCAN|SEARCH) (\w+)(?: USING .*?INDEX \w+ \((.*)\))?", plan)
    return way is not None and way[2] in GROWING and (way[1] == "SCAN" or way[3] in PREFIXES)


def test_joining_an_open_ticket_and_taking_part_by_cc_read_no_more_rows_however_many_there_are(desk: Desk) -> None:
    """The newest tickets of the author are asked for, not all that an account ever had."""
    policy = """
    {accept: {join_open_ticket: true}, import_cc: all,
     rules: [{if: {mailbox: support@acme.test, kind: [new, answer]}, then: [{note: seen}, {mailbox: billing@acme.test}]}]}
    """
    joining = "accept: {join_open_ticket: 90m}"
    desk.file(numbered(0), policy=joining)
    answer = f"In-Reply-To: <{desk.our_message_id()}>"
    with statements(desk.store) as seen:
        desk.file(numbered(1, "Cc: dave@customer.test, eve@customer.test"), policy=joining)
        desk.file(numbered(2, "Cc: dave@customer.test"), policy=policy)
        desk.file(numbered(3, answer, "Cc: fred@customer.test"), policy=policy)
    assert sum("FROM participant" in s for s, _ in seen) > 5
    assert long_ways(desk.store, seen) == []


@pytest.mark.parametrize("strategy", ["round-robin", "least-open", "least-today"])
def test_filing_a_message_reads_no_more_rows_however_many_there_are(desk: Desk, strategy: str) -> None:
    policy = assigning(strategy)
    desk.file(numbered(0), policy=policy)
    answer = f"In-Reply-To: <{desk.our_message_id()}>"
    with statements(desk.store) as seen:
        desk.file(numbered(1), policy=policy)
        desk.file(numbered(1), policy=policy)
        desk.file(numbered(2, answer), policy=policy)
        desk.write(desk.filing(numbered(3), policy=policy), desk.filing(numbered(4), account="globex"))
    assert len(seen) > 40
    assert long_ways(desk.store, seen) == []


def test_the_agent_who_served_a_customer_last_is_found_without_reading_all_tickets(desk: Desk) -> None:
    policy = "rules: [{then: [{assign: {team: support, last_agent_first: true}}]}]"
    desk.file(numbered(0), policy=policy)
    with statements(desk.store) as seen:
        desk.file(numbered(1), policy=policy)
    assert any("JOIN ticket" in s and "assignee_id IS NOT NULL" in s for s, _ in seen)
    assert long_ways(desk.store, seen) == []


def test_sending_what_is_owed_reads_no_more_rows_however_many_there_are(desk: Desk) -> None:
    for n in range(3):
        desk.file(numbered(n))
    with statements(desk.store) as seen:
        later = desk.now + timedelta(seconds=1)
        claims = outbox.claim(desk.store, later, 2)
        sent = Delivery(DeliveryResult.DELIVERED, 250, "250 ok", "relay")
        outbox.settle(desk.store, [Settlement(c, sent, "delivered", later) for c in claims], later)
    assert claims
    assert long_ways(desk.store, seen) == []


def test_a_plan_that_reads_a_whole_table_is_noticed(desk: Desk) -> None:
    pairs = "SELECT message_id FROM receipt WHERE (account_id, key) IN (VALUES (?, ?), (?, ?))"
    all_of_an_account = "SELECT count(*) FROM outbox WHERE account_id = ? AND kind = ? AND created_at > ?"
    seen = [(pairs, ("a", "k", "a", "l")), (all_of_an_account, ("a", "k", "2026"))]
    assert len(long_ways(desk.store, seen)) == 2
