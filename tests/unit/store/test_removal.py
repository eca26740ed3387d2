"""What leaves with an account."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlalchemy import func, insert, select
from sqlmodel import SQLModel

from gateway.core.clock import new_id, now
from gateway.store import changes, migrations, removal
from gateway.store.changes import NewAccount
from gateway.store.engine import Store
from gateway.store.tables import PolicyCandidate


def test_of_every_table_with_an_account_it_is_said_what_becomes_of_it() -> None:
    named = (*removal.OF_AN_ACCOUNT, *removal.OF_ITS_MAIL, *removal.OF_THE_LOG)

    known = {table.name for table in SQLModel.metadata.tables.values() if "account_id" in table.columns}
    assert sorted(str(table.__tablename__) for table in named) == sorted(known)


def test_the_policies_to_be_published_later_outlived_their_account(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'gateway.db'}", tmp_path)) as store:
        migrations.upgrade(store)
        account_id = new_id()
        changes.add_account(store, NewAccount(account_id, "acme", "Acme", "gw1", b"", "support@acme.gw.test"))
        with store.write() as connection:
            for purpose in ("later", "shadow"):
                row = {"account_id": account_id, "id": new_id(), "purpose": purpose, "text": "rules: []", "result": ""}
                row |= {"note": "", "author": "ann", "created_at": now(), "due_at": now()}
                connection.execute(insert(PolicyCandidate).values(**row))

        removal.remove_account(store, account_id, "acme")

        with store.read() as connection:
            assert connection.execute(select(func.count()).select_from(PolicyCandidate)).scalar() == 0
