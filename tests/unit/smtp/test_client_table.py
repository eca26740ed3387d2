"""The memory that workers share: races, deaths at any instruction, floods."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest

from gateway.smtp import client_table
from gateway.smtp.client_table import ACCOUNTS, NETWORKS, WAYS, ClientTable, SharedClientTable
from gateway.smtp.clients import Clients
from tests.unit.smtp.table_member import LIMITS, Member, members

HERE, THERE = "192.0.2.1", "198.51.100.1"


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedClientTable]:
    made = SharedClientTable(3, tmp_path)
    yield made
    made.close()


def own(shared: SharedClientTable) -> ClientTable:
    """The test's own place in it: the last."""
    return ClientTable.handed(shared.file, 2)


# --- processes ---


def test_a_connection_of_one_worker_counts_for_the_others(shared: SharedClientTable) -> None:
    with members(shared, 2, max_connections=3, max_connections_per_client=2) as (one, two):
        assert [one.does(f"enter {HERE}"), two.does(f"enter {HERE}")] == [True, True]
        assert [one.does(f"enter {HERE}"), two.does(f"enter {HERE}")] == [False, False]
        assert two.does(f"enter {THERE}")
        assert not one.does("enter 203.0.113.9")
        two.does(f"leave {HERE}")
        assert one.does(f"enter {HERE}")
        assert own(shared).all_open_connections() == 3


def test_what_one_worker_learns_the_others_know(shared: SharedClientTable) -> None:
    with members(shared, 2) as (one, two):
        assert one.does(f"bad_recipient {HERE}") == 1
        assert two.does(f"bad_recipient {HERE}") == 2
        assert one.does(f"bad_recipients {HERE}") == 2
        one.does(f"saw_forwarder {HERE}")
        assert two.does(f"is_forwarder {HERE}")
        assert not two.does(f"is_forwarder {THERE}")


@pytest.mark.parametrize("asked", [f"takes_from {HERE}", "takes_for acme"])
def test_two_workers_at_once_are_given_exactly_what_a_rate_allows(shared: SharedClientTable, asked: str) -> None:
    with members(shared, 2, rate_per_client="3000/d", rate_per_account="3000/d") as both:
        for member in both:
            member.begin(f"often 4000 {asked}")
        taken = [member.answer() for member in both]
        assert sum(taken) == 3000
        assert not any(member.does(asked) for member in both)


def test_two_workers_at_once_let_exactly_as_many_connections_in_as_there_may_be(shared: SharedClientTable) -> None:
    with members(shared, 2, max_connections_per_client=700) as both:
        for member in both:
            member.begin(f"often 1000 enter {HERE}")
        assert sum(member.answer() for member in both) == 700
        assert own(shared).all_open_connections() == 700


def test_the_connections_of_a_killed_worker_are_given_back_and_no_others(shared: SharedClientTable) -> None:
    with members(shared, 2, max_connections=2) as (one, two):
        assert one.does(f"enter {HERE}")
        assert two.does(f"enter {HERE}")
        assert not one.does(f"enter {HERE}")
        two.kill()
        shared.worker_gone(1)
        assert one.does(f"enter {HERE}")
        assert not one.does(f"enter {HERE}")
        one.does(f"leave {HERE}")
        one.does(f"leave {HERE}")
        table = own(shared)
        row = table.known_network_row(HERE)
        assert row is not None
        assert (table.open_connections(row), table.all_open_connections()) == (0, 0)


def test_after_kills_at_any_moment_every_count_is_right_again(shared: SharedClientTable) -> None:
    for n in range(6):
        with members(shared, 2, max_connections=10**6, max_connections_per_client=10**6) as both:
            for member in both:
                member.begin("storm")
                assert member.answer() == "begun"
            table = own(shared)
            before = table.all_open_connections()
            while table.all_open_connections() < before + 200 + 61 * n:
                os.sched_yield()
        for slot in (0, 1):
            shared.worker_gone(slot)
        assert table.all_open_connections() == 0
        assert not any(table._open)
        with table.lock:
            assert table.lock.held


def test_a_worker_killed_while_it_has_the_lock_frees_it(shared: SharedClientTable) -> None:
    with members(shared, 2) as (one, two):
        assert one.does("grasp")
        one.kill()
        assert two.does("grasp")


def test_a_worker_stopped_while_it_has_the_lock_stops_nobody(shared: SharedClientTable) -> None:
    table = own(shared)
    clients = Clients(table, **LIMITS, rate_per_client="1/d")
    assert clients.enter(HERE)
    assert clients.takes_from(HERE)
    with members(shared, 1) as (stopped,):
        assert stopped.does("grasp")
        stopped.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        assert clients.enter(HERE)
        assert time.monotonic() - began >= client_table.PATIENCE_SECONDS
        assert clients.enter(THERE)
        assert not table.lock.held
        # what is known is still used; what is new is let through, and leaves nothing behind
        assert not clients.takes_from(HERE)
        assert clients.takes_from(THERE)
        assert table.known_network_row(THERE) is None
        assert table.all_open_connections() == 3
        for ip in (HERE, HERE, THERE):
            clients.leave(ip)
        assert not any(table._open)
        began = time.monotonic()
        for _ in range(50):
            clients.bad_recipients(HERE)
        assert time.monotonic() - began < 50 * client_table.PATIENCE_SECONDS, "it is patient once, not at each call"
        stopped.process.send_signal(signal.SIGCONT)
        stopped.does("let-go")
        with table.lock:
            assert table.lock.held


def test_without_memfd_an_unnamed_file_serves_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_table, "_new_file", client_table._unnamed_file)
    shared = SharedClientTable(2, tmp_path)
    assert list(tmp_path.iterdir()) == []
    blocks = os.fstat(shared.file).st_blocks
    assert blocks * 512 >= client_table.octets_for(2), "it has holes"
    with members(shared, 2, max_connections_per_client=1) as (one, two):
        assert one.does(f"enter {HERE}")
        assert not two.does(f"enter {HERE}")
        assert one.does("grasp")
        one.kill()
        assert two.does("grasp")
    shared.close()


def test_memory_that_cannot_be_had_is_an_error_at_the_start_and_leaves_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int, _octets: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(client_table, "_write", full)
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(OSError, match="No space"):
        SharedClientTable(2, tmp_path)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_worker_below_a_supervisor_of_another_layout_counts_alone(shared: SharedClientTable) -> None:
    os.pwrite(shared.file, b"clients0", 0)
    table = own(shared)
    table.connected(None)
    os.pwrite(shared.file, client_table._MAGIC, 0)
    assert own(shared).all_open_connections() == 0
    assert table.all_open_connections() == 1


def test_a_slot_that_the_table_has_not_counts_alone(shared: SharedClientTable) -> None:
    table = ClientTable.handed(shared.file, 3)
    table.connected(None)
    assert own(shared).all_open_connections() == 0


def test_the_supervisor_needs_the_standard_library_only() -> None:
    script = "import sys, gateway.smtp.client_table; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    heavy = {"aiosmtpd", "asyncio", "pydantic", "sqlalchemy", "structlog"}
    assert heavy.isdisjoint(name.partition(".")[0] for name in loaded)
    assert {n for n in loaded if n.startswith("gateway.")} == {"gateway.smtp", "gateway.smtp.client_table"}


def test_a_new_member_finds_what_its_predecessor_learnt(shared: SharedClientTable) -> None:
    with members(shared, 1) as (one,):
        one.does(f"bad_recipient {HERE}")
    shared.worker_gone(0)
    again = Member(shared, 0)
    try:
        assert again.does(f"bad_recipients {HERE}") == 1
    finally:
        again.kill()


# --- sets and newcomers ---


def in_one_set(table: ClientTable) -> Iterator[str]:
    """Networks whose rows lie in the same set: nobody outside can find such."""
    sets = len(NETWORKS) // WAYS
    wanted = table._key_of("first") % sets
    return (name for name in map(str, count()) if table._key_of(name) % sets == wanted)


def test_a_newcomer_takes_the_least_recently_used_row_and_finds_it_clean() -> None:
    table = ClientTable.alone()
    *names, newcomer = islice(in_one_set(table), WAYS + 1)
    with table.lock:
        rows = [table.network_row(name, now) for now, name in enumerate(names, 1)]
        assert len(set(rows)) == WAYS
        for row in rows:
            assert row is not None
            for field in (table.rate, table.bad):
                field[row] = 77
        assert table.network_row(names[0], 100) == rows[0]
        taken = table.network_row(newcomer, 101)
        assert taken == rows[1]
        assert [field[taken] for field in (table.rate, table.bad, table.forwarder)] == [0] * 3
        assert table.known_network_row(names[1]) is None
        assert [table.known_network_row(name) for name in names[2:]] == rows[2:]


def test_rows_with_open_connections_and_forwarders_outlive_a_flood() -> None:
    table = ClientTable.alone()
    connected, forwarder, *flood = islice(in_one_set(table), 40)
    with table.lock:
        row = table.network_row(connected, 1)
        table.connected(row)
        known = table.network_row(forwarder, 2)
        assert known is not None
        table.forwarder[known] = 10_000
        for now, name in enumerate(flood, 3):
            assert table.network_row(name, now) not in {None, row, known}
        assert table.known_network_row(connected) == row
        assert table.known_network_row(forwarder) == known
        table.disconnected(connected)
        table.network_row("".join(islice(in_one_set(table), 41, 42)), 5000)
        assert table.known_network_row(connected) is None, "once left, it is as old as its last use"


def test_where_every_row_of_a_set_has_connections_a_newcomer_is_let_in_uncounted() -> None:
    table = ClientTable.alone()
    clients = Clients(table, max_connections=100, max_connections_per_client=1)
    wanted = None
    ips: list[str] = []
    sets = len(NETWORKS) // WAYS
    for n in count():
        ip = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
        where = table._key_of(ip) % sets
        wanted = where if wanted is None else wanted
        if where == wanted:
            ips.append(ip)
        if len(ips) > WAYS:
            break
    assert all(clients.enter(ip) for ip in ips)
    assert not clients.enter(ips[0])
    assert clients.enter(ips[-1])  # over its limit, which nobody can know
    assert clients.bad_recipient(ips[-1]) == 1
    clients.saw_forwarder(ips[-1])
    assert not clients.is_forwarder(ips[-1])
    assert table.all_open_connections() == WAYS + 2
    clients.leave(ips[0])
    assert clients.enter(ips[-1])  # now it has a row
    for ip in (*ips[1:], ips[-1], ips[-1]):
        clients.leave(ip)
    assert not any(table._open)


def test_a_flood_of_networks_neither_grows_the_table_nor_blocks_it_nor_forgets_an_account() -> None:
    table = ClientTable.alone()
    clients = Clients(table, max_connections=10, max_connections_per_client=1, rate_per_account="1/d")
    assert clients.takes_for("acme")
    assert clients.enter(HERE)
    with table.lock:
        for n in range(100_000):
            assert table.network_row(str(n), n) is not None
    assert not clients.enter(HERE)
    assert not clients.takes_for("acme")
    assert clients.enter(THERE)
    used = sum(1 for key in table._key if key)
    assert used <= len(NETWORKS) + len(ACCOUNTS)
    assert used > 0.9 * len(NETWORKS), "the rows are used evenly"


def test_each_table_scatters_networks_by_a_key_of_its_own() -> None:
    one, two = ClientTable.alone(), ClientTable.alone()
    assert one._key_of(HERE) != two._key_of(HERE)
    assert one._key_of(HERE) == one._key_of(HERE)


def test_networks_and_accounts_of_one_name_have_rows_of_their_own() -> None:
    table = ClientTable.alone()
    with table.lock:
        assert table.network_row(HERE, 1) in NETWORKS
        assert table.account_row(HERE, 1) in ACCOUNTS
