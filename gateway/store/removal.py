"""What leaves. Accounts only while they are empty; mailboxes and agents at any time: their rows stay for the tickets that
name them, their addresses are free again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from gateway.core.addresses import canonical
from gateway.core.clock import now
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.store import named
from gateway.store.changes import changing
from gateway.store.default_team import settle_default_team
from gateway.store.engine import Store, row_lock
from gateway.store.forwarders import forget_mailbox
from gateway.store.named import SYSTEM
from gateway.store.tables import (
    Account,
    Agent,
    ApiKey,
    ChallengeRow,
    Confirmation,
    ContactRow,
    Deferral,
    Domain,
    Event,
    ForwarderRow,
    MailboxRow,
    Membership,
    MessageRow,
    Outbox,
    Participant,
    PolicyCandidate,
    PolicyVersion,
    Receipt,
    Team,
    Ticket,
    Transaction,
    Twin,
)
from gateway.store.tables.columns import columns
from gateway.store.ticket_changes import find_assignee, hand_over

_b, _g, _o, _s, _t = columns(MailboxRow), columns(Agent), columns(Outbox), columns(Membership), columns(Ticket)

Json = dict[str, Any]


OF_AN_ACCOUNT = (
    Domain, MailboxRow, Team, Agent, Membership, ContactRow, PolicyVersion, PolicyCandidate, ApiKey, ForwarderRow,
    ChallengeRow, Confirmation, Outbox, Deferral,
)  # fmt: skip
OF_ITS_MAIL = (MessageRow, Ticket, Receipt, Twin, Participant)
"""What was accepted is kept: an account that has any of it stays."""
OF_THE_LOG = (Transaction, Event)
"""The operator's record of what came and was refused outlasts the account it was for."""


def remove_account(store: Store, account_id: str, name: str) -> None:
    """An account that never kept mail, with all that was set up in it. What was answered 250 is kept: an account that
    holds messages or tickets stays. Raises InvalidInput.
    """
    if name == SYSTEM:
        raise InvalidInput("the account `system` is the operator's own: postmaster and abuse arrive there; it stays")
    with changing(store) as connection:
        row_lock(connection, [account_id])
        for table, things in ((MessageRow, "messages"), (Ticket, "tickets")):
            mine = columns(table).account_id == account_id
            count = connection.execute(select(func.count()).select_from(table).where(mine)).scalar()
            if count:
                cure = "remove its mailboxes and agents, and let its domain's mail go elsewhere"
                raise InvalidInput(f"account {name} holds {count} {things}, and what was accepted is kept; {cure}")
        for owned in OF_AN_ACCOUNT:
            connection.execute(delete(owned).where(columns(owned).account_id == account_id))
        connection.execute(delete(Account).where(columns(Account).id == account_id))


def remove_mailbox(store: Store, account_id: str, address: str) -> None:
    """From now on the default mailbox takes what it took; its tickets keep it. Raises UnknownThing, InvalidInput."""
    with changing(store) as connection:
        row_lock(connection, [account_id])
        mine = (_b.account_id == account_id, _b.address_key == canonical(address), _b.removed_at.is_(None))
        row = connection.execute(select(_b.id, _b.is_default).where(*mine)).first()
        if row is None:
            raise UnknownThing(f"there is no mailbox {address} in this account; `gateway mailbox list` shows all")
        if row.is_default:
            cure = "make another the default first: gateway mailbox edit OTHER --default"
            raise InvalidInput(f"{address} is the default mailbox, which takes what no other claims; {cure}")
        settle_default_team(connection, account_id)
        connection.execute(update(MailboxRow).where(*mine).values(removed_at=now()))
        forget_mailbox(connection, account_id, row.id)


def remove_agent(store: Store, account_id: str, address: str, *, agent: str | None, team: str | None, by: str) -> Json:
    """Open tickets go to `agent` or, unassigned, to `team`; what was still to be sent to the leaving agent is not sent.
    Answers to mail sent before open nothing any more. Raises UnknownThing, InvalidInput.
    """
    with changing(store) as connection:
        row_lock(connection, [account_id])
        plan, leaving, tickets = _plan(connection, account_id, address, agent, team)
        for ticket in tickets:
            to = find_assignee(connection, account_id, agent, team, ticket.team_id)
            hand_over(connection, account_id, ticket, to, by=by)
        mine = (_g.account_id == account_id, _g.id == leaving)
        connection.execute(update(Agent).where(*mine).values(removed_at=now(), status="offline"))
        connection.execute(delete(Membership).where(_s.account_id == account_id, _s.agent_id == leaving))
        _cancel_notices(connection, account_id, leaving)
    return plan


def plan_removal(store: Store, account_id: str, address: str, *, agent: str | None, team: str | None) -> Json:
    """What `remove_agent` would do. Raises UnknownThing, InvalidInput."""
    with store.read() as connection:
        return _plan(connection, account_id, address, agent, team)[0]


def _plan(
    connection: Connection, account_id: str, address: str, agent: str | None, team: str | None
) -> tuple[Json, str, list[Any]]:
    leaving = named.agent(connection, account_id, address)
    to = find_assignee(connection, account_id, agent, team, None)
    if to.id == leaving.id:
        raise InvalidInput(f"--give-to: {address} is the agent that leaves; name another, or a team")
    mine = (_t.account_id == account_id, _t.assignee_id == leaving.id, _t.state != "closed")
    tickets = connection.execute(select(*_t).where(*mine).order_by(_t.number)).all()
    waiting = _waiting(account_id, leaving.id)
    unsent = len(connection.execute(select(_o.id).where(*waiting)).all())
    plan = {"agent": leaving.address, "given_to": to.address or to.team, "unsent_notices": unsent}
    return plan | {"tickets": [{"number": t.number, "subject": t.subject} for t in tickets]}, leaving.id, list(tickets)


def _waiting(account_id: str, agent_id: str) -> tuple[Any, ...]:
    return _o.account_id == account_id, _o.agent_id == agent_id, _o.state.in_(("pending", "withheld"))


def _cancel_notices(connection: Connection, account_id: str, agent_id: str) -> None:
    values: Json = {"state": "cancelled", "settled_at": now(), "last_reply": "cancelled: the agent was removed"}
    connection.execute(update(Outbox).where(*_waiting(account_id, agent_id)).values(**values))
