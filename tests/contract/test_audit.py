"""`audit` sees what is gone beside the messages themselves, and says nothing of what is well."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.commands.audit import audit
from gateway.core.clock import now
from gateway.core.reports import Sender
from gateway.ground import open_ground
from tests.contract.test_store import Desk
from tests.servers.inprocess import fresh_ground, make_seed, numbered, settings_for

FORWARDING = "rules: [{name: on, if: {sender: {wildcard: '*'}}, then: [{forward: [partner@bigcorp.test]}]}]"

LETS_IN = "accept: {forged: accept}"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A confirmed ticket, one whose mail was sent on, and one of a forged author, for whom nobody takes part."""
    folder = tmp_path_factory.mktemp("kept")
    desk = Desk(fresh_ground(make_seed(tmp_path_factory.mktemp("seed")), folder))
    desk.now = now()
    desk.file(numbered(1))
    desk.file(numbered(2), policy=FORWARDING)
    desk.file(numbered(3), sender=Sender.FORGED, policy=LETS_IN)
    desk.ground.close()
    with sqlite3.connect(folder / "gateway.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    connection.close()
    return folder


@pytest.fixture
def desk(kept: Path, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(fresh_ground(kept, tmp_path))
    yield desk
    desk.ground.close()


def problems(desk: Desk, *damage: str) -> list[str]:
    with desk.store.write() as connection:
        for statement in damage:
            assert connection.exec_driver_sql(statement).rowcount, statement
    return audit(desk.store, desk.blobs).problems


def test_what_is_well_is_told_as_well(desk: Desk) -> None:
    assert desk.told("acknowledgement")
    assert desk.told("forward") == ["partner@bigcorp.test"]
    assert problems(desk) == []


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("DELETE FROM outbox WHERE kind = 'acknowledgement'", "owes a confirmation, but the outbox has none"),
        ("DELETE FROM outbox WHERE kind = 'forward'", "owes a copy to partner@bigcorp.test, but the outbox has none"),
        ("DELETE FROM receipt", "no receipt fits its recipients and content"),
        ("DELETE FROM event WHERE stage = 'commit'", "its trace does not say that it was kept"),
        ("DELETE FROM participant", "its customer does not take part"),
        ("UPDATE message SET recipients = '[]'", "its recipients are lost"),
        ("UPDATE message SET recipients = '[\"else@acme.gw.test\"]'", "no receipt fits its recipients and content"),
    ],
)
def test_rows_that_were_lost_beside_a_message_are_seen(desk: Desk, damage: str, told: str) -> None:
    found = problems(desk, damage)
    assert found
    assert all(told in problem for problem in found)


def test_only_the_ticket_that_had_a_customer_is_told_to_have_lost_him(desk: Desk) -> None:
    """The third ticket's author is forged: he never took part."""
    found = problems(desk, "DELETE FROM participant")
    assert [p.partition(":")[0] for p in found] == ["ticket 1", "ticket 2"]


def test_a_retry_taken_for_new_after_its_receipt_s_age_is_no_loss(desk: Desk) -> None:
    found = problems(desk, "DELETE FROM receipt", "UPDATE message SET received_at = '2026-01-01 00:00:00.000000'")
    assert found == []


def test_a_notification_that_was_tried_has_its_row(desk: Desk) -> None:
    tried = """INSERT INTO event (id, account_id, trace_id, at, stage, outcome, reason, detail)
        SELECT 'x', account_id, trace_id, created_at, 'deliver', 'deferred', '', json_object('outbox', id)
        FROM outbox WHERE kind = 'forward'"""
    assert problems(desk, tried) == []
    (found, _owed) = problems(desk, "DELETE FROM outbox WHERE kind = 'forward'")
    assert "a notification was tried that is not in the outbox" in found


def test_a_damaged_index_of_the_file_is_seen(kept: Path, tmp_path: Path) -> None:
    """Each row reads well by its table; only by this index one is not found any more."""
    ground = fresh_ground(kept, tmp_path)
    with ground.store.read() as connection:
        root = "SELECT rootpage FROM sqlite_schema WHERE name = 'event_by_account'"
        page = connection.exec_driver_sql(root).scalar_one()
        size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    ground.close()
    with (tmp_path / "gateway.db").open("r+b") as file:
        file.seek(page * size - 1)
        file.write(b"\0")

    desk = Desk(open_ground(settings_for(tmp_path)))
    found = problems(desk)
    desk.ground.close()
    assert any("the database file is damaged" in problem for problem in found)


def test_a_stray_file_among_the_blobs_is_passed_over(desk: Desk, tmp_path: Path) -> None:
    """A file manager's `.directory` ended the audit with a traceback."""
    (tmp_path / "blobs").mkdir(exist_ok=True)
    (tmp_path / "blobs" / ".directory").write_text("[Desktop Entry]\n")
    assert problems(desk) == []
