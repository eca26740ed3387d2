"""A store that a bench fills without SMTP is a store that mail has filled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select
from sqlmodel import SQLModel

from bench.filling import Filler, genuine
from bench.peers.ours import Ours
from gateway.store import pages
from gateway.store.tables import Event, MessageRow, Outbox, Participant, Receipt, Ticket, Transaction, Twin
from gateway.store.tables.columns import columns
from tests.contract.test_growth import long_ways, statements

ONE_EACH = (MessageRow, Receipt, Twin, Ticket, Participant, Transaction)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Ours]:
    made = Ours(tmp_path / "ours")
    made.prepare(None)
    made.gateway.add_agent("acme", "ann@acme.test")
    yield made
    made.stop()


def count(connection: Connection, table: type[SQLModel]) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def known(row: Any) -> dict[str, bool]:
    """Which columns hold something."""
    return {name: bool(value) for name, value in row._mapping.items()}


def test_a_filled_store_has_every_row_that_mail_makes_and_owes_nothing(peer: Ours) -> None:
    filler = Filler(peer, genuine(peer), planned=300)
    filler.fill(300)
    m, o = columns(MessageRow), columns(Outbox)
    with peer.gateway.ground.store.read() as connection:
        assert {t.__tablename__: count(connection, t) for t in ONE_EACH} == {t.__tablename__: 301 for t in ONE_EACH}
        assert count(connection, Outbox) == 2 * 301  # the customer's confirmation, and the agent's notice
        own, *filled = connection.execute(select(*m).order_by(m.received_at.desc())).all()
        assert [known(row) for row in filled] == [known(own)] * 300
        assert len({row.author_address for row in filled}) == len({row.message_id for row in filled}) == 300
        assert set(connection.execute(select(o.state)).scalars()) == {"delivered"}
        delivered = select(func.count()).select_from(Event).where(columns(Event).stage == "deliver")
        assert connection.execute(delivered).scalar_one() == 2 * 301


def test_ids_and_moments_of_a_filled_store_advance_together(peer: Ours) -> None:
    filler = Filler(peer, genuine(peer), planned=600)
    filler.fill(200)
    filler.fill(400)
    m, t = columns(MessageRow), columns(Ticket)
    with peer.gateway.ground.store.read() as connection:
        moments = connection.execute(select(m.received_at).order_by(m.id)).scalars().all()
        numbers = connection.execute(select(t.number).order_by(t.created_at, t.number)).scalars().all()
    assert len(moments) == 401
    assert moments == sorted(moments)
    assert numbers == [*range(2, 402), 1]  # the genuine message came first, and now


def test_a_page_of_tickets_reads_no_other_tickets_messages_and_participants(peer: Ours) -> None:
    """Asked for them in order, SQLite went through all that the account has: 1.3 s with 600,000 tickets."""
    Filler(peer, genuine(peer), planned=300).fill(100)
    home = peer.gateway
    with statements(home.ground.store) as seen:
        pages.tickets(home.ground.store, home.named["acme"], pages.Wanted())
    ways = long_ways(home.ground.store, seen)
    # the page itself goes along its own index, and ends with its limit
    assert [w for w in ways if not w.startswith("SEARCH ticket USING INDEX")] == []
