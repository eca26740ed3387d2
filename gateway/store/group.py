"""The state of one group commit: what was read under the lock, what has been decided on it, and the rows to write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, tuple_

from gateway.core.addresses import canonical
from gateway.core.clock import new_id
from gateway.core.decision import Facts
from gateway.core.message import Address
from gateway.core.outcome import Reason
from gateway.core.trace import Step, TransactionRecord, record_of
from gateway.store.assignment import Staff, load_staff, needs_counts
from gateway.store.directory import SYSTEM
from gateway.store.facts import dump_decision, dump_facts
from gateway.store.filing import Filing, Kept
from gateway.store.keys import RECEIPT_AGE, receipt_key, twin_key
from gateway.store.notices import NOTICES_PER_HOUR, Budget, Told, load_budget, told_lately
from gateway.store.tables import Account, Deferral, MailboxRow, MessageRow, Outbox, Receipt, Ticket, Twin
from gateway.store.tables.columns import columns

_a, _r, _w, _t = columns(Account), columns(Receipt), columns(Twin), columns(Ticket)
_o, _b, _d, _m = columns(Outbox), columns(MailboxRow), columns(Deferral), columns(MessageRow)

Row = dict[str, Any]

_SETTLED_WHEN_IT_CAME = frozenset(
    {"account_id", "id", "trace_id", "source", "direction", "reverse_path", "recipients", "received_at", "size_bytes"}
    | {"sha256", "content"}
)
"""Columns of a message row that a re-run leaves alone."""


@dataclass(slots=True)
class AccountState:
    """An account row as this transaction moves it."""

    id: str
    name: str
    timezone: str
    listen_only: bool
    next_number: int
    turn: int
    default_team: str | None = None

    def take_number(self) -> int:
        number = self.next_number
        self.next_number += 1
        return number


@dataclass(slots=True)
class Joined:
    """A ticket that exists, or is made in this group."""

    id: str
    number: int
    state: str
    team_id: str | None
    assignee_id: str | None
    created_at: datetime
    tags: list[str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    is_untouched: bool = True


@dataclass(slots=True)
class TwinState:
    message_id: str
    ticket_id: str
    rank: int
    at: datetime


@dataclass(slots=True)
class Group:
    """Read by `load`, moved by the commit, written by its end."""

    connection: Connection
    now: datetime
    accounts: dict[str, AccountState] = field(default_factory=dict)
    receipts: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    twins: dict[tuple[str, str], TwinState] = field(default_factory=dict)
    tickets: dict[tuple[str, str], Joined] = field(default_factory=dict)
    settled: set[tuple[str, str]] = field(default_factory=set)
    staff: dict[str, Staff] = field(default_factory=dict)
    budgets: dict[str, Budget] = field(default_factory=dict)
    unused_blobs: list[Filing] = field(default_factory=list)
    inserts: dict[str, list[Row]] = field(default_factory=dict)
    ticket_changes: dict[tuple[str, str], Row] = field(default_factory=dict)
    message_changes: list[Row] = field(default_factory=list)
    twin_changes: dict[tuple[str, str], Row] = field(default_factory=dict)

    @classmethod
    def load(cls, connection: Connection, filings: Sequence[Filing], now: datetime) -> Group:
        group = cls(connection, now)
        group._load_accounts(filings)
        group._load_receipts(filings)
        group._load_twins(filings)
        group._load_settled(filings)
        ticketed = [f for f in filings if f.kept is Kept.TICKETED and f.facts]
        group._load_tickets(ticketed)
        for account_id in dict.fromkeys(f.account_id for f in ticketed):
            account = group.accounts[account_id]
            counted = any(needs_counts(f.decision.effects) for f in ticketed if f.decision)
            group.staff[account_id] = load_staff(connection, account_id, now, account.timezone, counted=counted)
            authors = [
                canonical(f.facts.message.author.address) for f in ticketed if f.facts and f.facts.message.author
            ]
            group.budgets[account_id] = load_budget(connection, account_id, authors, now)
        return group

    def _load_accounts(self, filings: Sequence[Filing]) -> None:
        ids = sorted({f.account_id for f in filings})
        rows = self.connection.execute(
            select(_a.id, _a.name, _a.timezone, _a.listen_only, _a.next_number, _a.turn).where(_a.id.in_(ids))
        )
        self.accounts = {row.id: AccountState(*row) for row in rows}

    def account_id_of(self, name: str) -> str:
        """The id of a named account, the operator's where there is none such."""
        found = self.connection.execute(select(_a.id).where(_a.name.in_((name, SYSTEM)))).scalars().all()
        if len(found) < 2:
            return str(found[0]) if found else SYSTEM
        return str(self.connection.execute(select(_a.id).where(_a.name == name)).scalar())

    def _load_receipts(self, filings: Sequence[Filing]) -> None:
        keys = [(f.account_id, receipt_key(f.envelope.recipients, f.envelope.sha256)) for f in filings if not f.again]
        if not keys:
            return
        query = select(_r.account_id, _r.key, _r.message_id, _r.trace_id, _r.at)
        for row in self.connection.execute(query.where(tuple_(_r.account_id, _r.key).in_(keys))).all():
            if row.at > self.now - RECEIPT_AGE:
                self.receipts[row.account_id, row.key] = (row.message_id, row.trace_id)
            else:
                self.connection.execute(delete(Receipt).where(_r.account_id == row.account_id, _r.key == row.key))

    def _load_twins(self, filings: Sequence[Filing]) -> None:
        keys = [(f.account_id, twin_key(f.facts.message)) for f in filings if f.facts and not f.again]
        wanted = [k for k in keys if k[1]]
        if not wanted:
            return
        query = select(_w.account_id, _w.key, _w.message_id, _w.ticket_id, _w.rank, _w.at)
        for row in self.connection.execute(query.where(tuple_(_w.account_id, _w.key).in_(wanted))):
            self.twins[row.account_id, row.key] = TwinState(row.message_id, row.ticket_id, row.rank, row.at)

    def _load_settled(self, filings: Sequence[Filing]) -> None:
        """Messages that are to be filed again, and that somebody else gave a ticket or erased meanwhile."""
        again = [(f.account_id, f.message_id) for f in filings if f.again]
        if again:
            over = _m.disposition.in_((Kept.TICKETED.value, "erased", "expired"))
            query = select(_m.account_id, _m.id).where(tuple_(_m.account_id, _m.id).in_(again), over)
            self.settled = {(row.account_id, row.id) for row in self.connection.execute(query)}

    def _load_tickets(self, filings: Sequence[Filing]) -> None:
        wanted = {(f.account_id, f.decision.join) for f in filings if f.decision and f.decision.join}
        wanted |= {(account, twin.ticket_id) for (account, _), twin in self.twins.items()}
        if not wanted:
            return
        query = select(*_t).where(tuple_(_t.account_id, _t.id).in_(sorted(wanted)))
        for row in self.connection.execute(query):
            untouched = row.updated_at == row.created_at
            self.tickets[row.account_id, row.id] = Joined(
                row.id, row.number, row.state, row.team_id, row.assignee_id, row.created_at, row.tags, row.fields,
                is_untouched=untouched,
            )  # fmt: skip

    def default_team(self, account_id: str) -> str | None:
        """The team of the account's default mailbox: mail of a mailbox without a team is somebody's business too."""
        account = self.accounts[account_id]
        if account.default_team is None:
            query = select(_b.team_id).where(
                _b.account_id == account_id, _b.team_id.is_not(None), _b.removed_at.is_(None)
            )
            first = self.connection.execute(query.order_by(_b.is_default.desc(), _b.created_at)).scalars().first()
            account.default_team = first or next(iter(self.staff[account_id].team_ids.values()), "")
        return account.default_team or None

    def told_of(self, account_id: str, ticket_id: str) -> set[str]:
        """Who was already told of a ticket, in this group or before."""
        query = select(_o.recipient_key).where(_o.account_id == account_id, _o.ticket_id == ticket_id)
        told = set(self.connection.execute(query).scalars())
        return told | {r["recipient_key"] for r in self.inserts.get("outbox", ()) if r["ticket_id"] == ticket_id}

    # --- what the commit adds ---

    def _insert(self, table: str, row: Row) -> None:
        self.inserts.setdefault(table, []).append(row)

    def new_receipt(self, filing: Filing, key: str) -> None:
        self.receipts[filing.account_id, key] = (filing.message_id, filing.envelope.trace_id)
        trace = filing.envelope.trace_id
        row = {"account_id": filing.account_id, "key": key, "message_id": filing.message_id, "trace_id": trace}
        self._insert("receipt", row | {"at": self.now})

    def set_twin(self, filing: Filing, key: str, twin: TwinState) -> None:
        """A key older than a day is taken over by the new message."""
        known = (filing.account_id, key) in self.twins
        self.twins[filing.account_id, key] = twin
        row = {"message_id": twin.message_id, "ticket_id": twin.ticket_id, "rank": twin.rank, "at": twin.at}
        if known:
            self.twin_changes[filing.account_id, key] = row
        else:
            self._insert("twin", {"account_id": filing.account_id, "key": key} | row)

    def move_twin(self, account_id: str, twin: TwinState, rank: int) -> None:
        twin.rank = rank
        key = next(k for k, t in self.twins.items() if t is twin and k[0] == account_id)
        fresh = [r for r in self.inserts.get("twin", ()) if (r["account_id"], r["key"]) == key]
        for row in fresh:
            row["rank"] = rank
        if not fresh:
            self.twin_changes[key] = {
                "message_id": twin.message_id, "ticket_id": twin.ticket_id, "rank": rank, "at": twin.at,
            }  # fmt: skip

    def add_ticket(self, filing: Filing, facts: Facts, ticket: Joined, **values: Any) -> None:
        self.tickets[filing.account_id, ticket.id] = ticket
        ticket.tags, ticket.fields = values.pop("tags", []), values.pop("fields", {})
        ticket.state = values.pop("state", ticket.state)
        row = {
            "account_id": filing.account_id,
            "id": ticket.id,
            "number": ticket.number,
            "mailbox_id": facts.place.mailbox.id,
            "subject": facts.message.subject,
            "state": ticket.state,
            "priority": "normal",
            "language": None,
            "team_id": ticket.team_id,
            "assignee_id": ticket.assignee_id,
            "assigned_at": self.now if ticket.assignee_id else None,
            "tags": ticket.tags,
            "fields": ticket.fields,
            "created_at": self.now,
            "updated_at": self.now,
        }
        self._insert("ticket", row | values)

    def touch(self, account_id: str, ticket: Joined, **values: Any) -> None:
        """Note changes of a ticket; `tags` and `fields` add to what is there."""
        ticket.tags = list(dict.fromkeys([*ticket.tags, *values.pop("tags", [])]))
        ticket.fields = {**ticket.fields, **values.pop("fields", {})}
        ticket.state = values.pop("state", ticket.state)
        row = {
            "state": ticket.state,
            "team_id": ticket.team_id,
            "assignee_id": ticket.assignee_id,
            "tags": ticket.tags,
            "fields": ticket.fields,
            "updated_at": self.now,
        } | values
        self.ticket_changes[account_id, ticket.id] = self.ticket_changes.get((account_id, ticket.id), {}) | row

    def add_participant(self, account_id: str, ticket_id: str, author: Address) -> None:
        key = canonical(author.address)
        row = {"account_id": account_id, "ticket_id": ticket_id, "address_key": key, "address": author.address}
        self._insert("participant", row | {"name": author.name, "role": "customer"})

    def tell(self, filing: Filing, facts: Facts, ticket_id: str, told: Sequence[Told]) -> list[Step]:
        """Owe notices; those that automatic mail or an agent's own causes are held to a budget, and the trace says so."""
        author = canonical(facts.message.author.address) if facts.message.author else ""
        by_machine = facts.message.automatic or facts.envelope.reverse_path is None
        if not by_machine and author not in facts.place.agent_addresses:
            self.owe(filing, ticket_id, told)
            return []
        keys = [canonical(t.address) for t in told]
        lately = Counter(told_lately(self.connection, filing.account_id, keys, self.now))
        lately.update(r["recipient_key"] for r in self.inserts.get("outbox", ()))
        allowed = [t for t, key in zip(told, keys, strict=True) if lately[key] < NOTICES_PER_HOUR]
        self.owe(filing, ticket_id, allowed)
        spent = [t.address for t in told if t not in allowed]
        why = f"budget: {NOTICES_PER_HOUR} notices an hour of automatic or agents' mail"
        return [Step(self.now, "notify", "none", why, {"recipients": spent})] if spent else []

    def owe(self, filing: Filing, ticket_id: str, told: Iterable[Told]) -> None:
        """Outbox rows; a listen-only account's are withheld until it goes live."""
        state = "withheld" if self.accounts[filing.account_id].listen_only else "pending"
        for one in told:
            self._insert(
                "outbox",
                {
                    "account_id": filing.account_id,
                    "id": new_id(),
                    "trace_id": filing.envelope.trace_id,
                    "ticket_id": ticket_id,
                    "message_id": filing.message_id,
                    "kind": one.kind.value,
                    "recipient": one.address,
                    "recipient_key": canonical(one.address),
                    "recipient_name": one.name,
                    "agent_id": one.agent_id,
                    "state": state,
                    "attempts": 0,
                    "created_at": self.now,
                    "next_at": self.now,
                    "message_id_header": "",
                    "template": "",
                    "last_reply": "",
                },
            )

    def add_message(self, filing: Filing, ticket_id: str | None, *, internal: bool) -> None:
        row = _message_row(filing) | {"ticket_id": ticket_id, "internal": internal}
        if filing.again:
            keep = [k for k in row if k not in _SETTLED_WHEN_IT_CAME]
            changed = {f"new_{k}": row[k] for k in keep}
            self.message_changes.append({"of_account": filing.account_id, "of_id": filing.message_id} | changed)
        else:
            self._insert("message", row)

    def log_filing(
        self, filing: Filing, outcome: str, reason: Reason, reply: str, message_id: str, steps: Sequence[Step]
    ) -> None:
        envelope = filing.envelope
        if filing.again:
            self._events(envelope.trace_id, filing.account_id, (*filing.steps, *steps))
            return
        record = record_of(envelope, outcome=outcome, reason=reason.value, reply=reply, message_id=message_id)
        self.log(record, filing.account_id, (*filing.steps, *steps))

    def log(self, record: TransactionRecord, account_id: str, steps: Sequence[Step]) -> None:
        row = {name: getattr(record, name) for name in TransactionRecord.__slots__ if name != "account"}
        self._insert("transaction_log", row | {"account_id": account_id, "recipients": list(record.recipients)})
        self._events(record.trace_id, account_id, steps)

    def note_deferral(self, account_id: str, key: str, at: datetime) -> None:
        """Only the first try is remembered."""
        known = select(_d.key).where(_d.account_id == account_id, _d.key == key)
        fresh = [r for r in self.inserts.get("deferral", ()) if (r["account_id"], r["key"]) == (account_id, key)]
        if not fresh and self.connection.execute(known).scalar() is None:
            self._insert("deferral", {"account_id": account_id, "key": key, "first_at": at})

    def _events(self, trace_id: str, account_id: str, steps: Sequence[Step]) -> None:
        for number, step in enumerate(steps):
            self._insert("event", event_row(trace_id, account_id, step, number))


def event_row(trace_id: str, account_id: str, step: Step, number: int = 0) -> Row:
    """A step as a row; ids of one call sort in its order even within a millisecond."""
    made = new_id()
    return {
        "id": f"{made[:12]}{number:04x}{made[16:]}",
        "account_id": account_id,
        "trace_id": trace_id,
        "at": step.at,
        "stage": step.stage,
        "outcome": step.outcome,
        "reason": step.reason,
        "detail": dict(step.detail),
    }


def _message_row(filing: Filing) -> Row:
    envelope, facts, decision = filing.envelope, filing.facts, filing.decision
    message = facts.message if facts else None
    author = message.author if message else None
    return {
        "account_id": filing.account_id,
        "id": filing.message_id,
        "trace_id": envelope.trace_id,
        "source": envelope.source,
        "direction": "inbound",
        "mailbox_id": facts.place.mailbox.id if facts else None,
        "disposition": filing.kept.value,
        "reason": filing.reason.value,
        "reverse_path": envelope.reverse_path,
        "recipients": list(envelope.recipients),
        "author_name": author.name if author else "",
        "author_address": author.address if author else "",
        "subject": message.subject if message else "",
        "message_id": (message.message_id or "") if message else "",
        "received_at": envelope.received_at,
        "size_bytes": len(envelope.content),
        "sha256": envelope.sha256,
        "content": None if filing.blob else envelope.content,
        "results_header": filing.results_header,
        "facts": dump_facts(facts) if facts else None,
        "decision": dump_decision(decision) if decision else None,
        "policy_version": decision.policy_version if decision else 0,
    }
