"""Whose business mail of a mailbox without a team is: one answer for the mail that comes and for the desk."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select, update

from gateway.store.engine import Store
from gateway.store.tables import MailboxRow, Team
from gateway.store.tables.columns import columns

_b, _t = columns(MailboxRow), columns(Team)

_OF_MAILBOXES = (
    select(_b.team_id)
    .where(_b.account_id == bindparam("account"), _b.team_id.is_not(None), _b.removed_at.is_(None))
    .order_by(_b.is_default.desc(), _b.created_at, _b.id)
    .limit(1)
)
# ids sort by when they were made: the one the account began with
_FIRST = select(_t.id).where(_t.account_id == bindparam("account")).order_by(_t.id).limit(1)


def default_team(connection: Connection, account_id: str) -> str | None:
    """The id of the default mailbox's team; where it has none (as it could be before that was seen to), that of the oldest mailbox
    that has one, else the account's first.
    """
    account = {"account": account_id}
    found = connection.execute(_OF_MAILBOXES, account).scalar() or connection.execute(_FIRST, account).scalar()
    return None if found is None else str(found)


def default_team_name(store: Store, account_id: str) -> str | None:
    with store.read() as connection:
        mine = (_t.account_id == account_id, _t.id == default_team(connection, account_id))
        found: str | None = connection.execute(select(_t.name).where(*mine)).scalar()
    return found


def settle_default_team(connection: Connection, account_id: str) -> None:
    """Before a mailbox leaves that may have lent it its team: the default mailbox has the team it stood for so far."""
    bare = (_b.account_id == account_id, _b.is_default.is_(True), _b.team_id.is_(None), _b.removed_at.is_(None))
    connection.execute(update(MailboxRow).where(*bare).values(team_id=default_team(connection, account_id)))
