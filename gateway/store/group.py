"""The state of one group commit: what was read under the lock, what has been decided on it, and the rows to write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select

from gateway.core.addresses import canonical
from gateway.core.clock import new_id
from gateway.core.decision import Facts
from gateway.core.message import Address
from gateway.core.outcome import Reason
from gateway.core.ports import Strategy
from gateway.core.reports import ScanStatus
from gateway.core.trace import Step, TransactionRecord, record_of
from gateway.store.assignment import (
    Staff,
    load_served,
    load_staff,
    start_of_day,
    strategies_of,
    wants_last_agent,
)
from gateway.store.events import event_row
from gateway.store.facts import is_infected
from gateway.store.filing import Filing, Kept
from gateway.store.group_state import AccountState, Joined, TwinState, closed_since
from gateway.store.keys import RECEIPT_AGE, receipt_key, twin_key
from gateway.store.message_row import message_row
from gateway.store.named import SYSTEM
from gateway.store.notices import (
    NOTICES_PER_HOUR,
    Budget,
    Told,
    load_budget,
    told_lately,
    wants_acknowledgement,
    without_former,
)
from gateway.store.releases import with_releases
from gateway.store.roster import Rosters
from gateway.store.tables import (
    Account,
    Change,
    Deferral,
    MessageRow,
    Outbox,
    Receipt,
    Ticket,
    Twin,
)
from gateway.store.tables.columns import columns

_a, _r, _w, _t = columns(Account), columns(Receipt), columns(Twin), columns(Ticket)
_o, _d, _m = columns(Outbox), columns(Deferral), columns(MessageRow)

Row = dict[str, Any]
Key = tuple[str, str]
"""An account's id and a key within the account."""

# Built once: to build a statement anew costs more than to run it (127 instead of 30 us). By two lists rather than by
# pairs, which SQLite looks for by reading the whole table; what the lists name beyond the pairs is left out by `_named`.
_ACCOUNTS = select(
    _a.id, _a.name, _a.timezone, _a.listen_only, _a.next_number, _a.turn, _a.acknowledged_hour, _a.acknowledged,
    select(columns(Change).number).limit(1).scalar_subquery().label("change"),
).where(_a.id.in_(bindparam("accounts", expanding=True)))  # fmt: skip
_RECEIPTS = select(_r.account_id, _r.key, _r.message_id, _r.trace_id, _r.at).where(
    _r.account_id.in_(bindparam("accounts", expanding=True)), _r.key.in_(bindparam("keys", expanding=True))
)
_TWINS = select(_w.account_id, _w.key, _w.message_id, _w.ticket_id, _w.rank, _w.at).where(
    _w.account_id.in_(bindparam("accounts", expanding=True)), _w.key.in_(bindparam("keys", expanding=True))
)
_SETTLED = select(_m.account_id, _m.id).where(
    _m.account_id.in_(bindparam("accounts", expanding=True)),
    _m.id.in_(bindparam("keys", expanding=True)),
    _m.disposition.in_((Kept.TICKETED.value, "erased", "expired")),
)
_FACTS = select(_m.account_id, _m.id, _m.facts).where(
    _m.account_id.in_(bindparam("accounts", expanding=True)), _m.id.in_(bindparam("keys", expanding=True))
)
_TICKETS = select(*_t).where(
    _t.account_id.in_(bindparam("accounts", expanding=True)), _t.id.in_(bindparam("keys", expanding=True))
)

_SETTLED_WHEN_IT_CAME = frozenset(
    {"account_id", "id", "trace_id", "source", "direction", "reverse_path", "recipients", "received_at", "size_bytes"}
    | {"sha256", "content"}
)
"""Columns of a message row that a re-run leaves alone."""


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
    def load(
        cls,
        connection: Connection,
        filings: Sequence[Filing],
        now: datetime,
        rosters: Rosters,
        strategies: Mapping[str, Strategy],
    ) -> Group:
        """Read what these filings need. Nobody else changes it until the caller's transaction ends."""
        group = cls(connection, now)
        group._load_accounts(filings)
        group._load_receipts(filings)
        group._load_twins(filings)
        group._load_settled(filings)
        ticketed = [f for f in filings if f.kept is Kept.TICKETED and f.facts]
        group._load_tickets(ticketed)
        for account_id in dict.fromkeys(f.account_id for f in ticketed):
            group._load_staff([f for f in ticketed if f.account_id == account_id], rosters, strategies)
            group._load_budget([f for f in ticketed if f.account_id == account_id])
        return group

    def _rows(self, query: Select[Any], wanted: Sequence[Key]) -> list[Any]:
        """The rows of these keys; the first two columns are the key."""
        if not wanted:
            return []
        accounts, keys = sorted({account for account, _ in wanted}), sorted({key for _, key in wanted})
        rows = self.connection.execute(query, {"accounts": accounts, "keys": keys})
        named = set(wanted)
        return [row for row in rows if tuple(row[:2]) in named]

    def _load_accounts(self, filings: Sequence[Filing]) -> None:
        if ids := sorted({f.account_id for f in filings}):
            self.accounts = {
                row.id: AccountState(*row) for row in self.connection.execute(_ACCOUNTS, {"accounts": ids})
            }

    def _load_staff(self, filings: Sequence[Filing], rosters: Rosters, strategies: Mapping[str, Strategy]) -> None:
        """Of one account."""
        account = self.accounts[filings[0].account_id]
        roster = rosters.of(self.connection, account.id, account.change)
        asked = [s for f in filings if f.decision for s in strategies_of(f.decision.effects, strategies)]
        day = start_of_day(self.now, account.timezone)
        staff = load_staff(self.connection, account.id, roster, day, asked)
        customers = {f.customer for f in filings if f.decision and wants_last_agent(f.decision.effects)}
        staff.served = load_served(self.connection, account.id, sorted(customers - {""}))
        self.staff[account.id] = staff

    def _load_budget(self, filings: Sequence[Filing]) -> None:
        """Of one account."""
        account = self.accounts[filings[0].account_id]
        wanting = [
            f.facts.message.author for f in filings if f.facts and f.decision and wants_acknowledgement(f.decision)
        ]
        this_hour = account.acknowledged if account.acknowledged_hour == _hour(self.now) else 0
        authors = [canonical(author.address) for author in wanting if author]
        self.budgets[account.id] = load_budget(self.connection, account.id, authors, self.now, this_hour)

    def account_id_of(self, name: str) -> str:
        """The id of a named account, the operator's where there is none such."""
        found = self.connection.execute(select(_a.id).where(_a.name.in_((name, SYSTEM)))).scalars().all()
        if len(found) < 2:
            return str(found[0]) if found else SYSTEM
        return str(self.connection.execute(select(_a.id).where(_a.name == name)).scalar())

    def _load_receipts(self, filings: Sequence[Filing]) -> None:
        keys = [(f.account_id, receipt_key(f.envelope.recipients, f.envelope.sha256)) for f in filings if not f.again]
        for row in self._rows(_RECEIPTS, keys):
            if row.at > self.now - RECEIPT_AGE:
                self.receipts[row.account_id, row.key] = (row.message_id, row.trace_id)
            else:
                self.connection.execute(delete(Receipt).where(_r.account_id == row.account_id, _r.key == row.key))

    def _load_twins(self, filings: Sequence[Filing]) -> None:
        keys = [(f.account_id, twin_key(f.facts.message)) for f in filings if f.facts and not f.again]
        for row in self._rows(_TWINS, [(account, key) for account, key in keys if key]):
            self.twins[row.account_id, row.key] = TwinState(row.message_id, row.ticket_id, row.rank, row.at)

    def _load_settled(self, filings: Sequence[Filing]) -> None:
        """Messages that are to be filed again, and that somebody else gave a ticket or erased meanwhile, or that a scan found
        infected meanwhile: what was decided knows nothing of that.
        """
        again = [(f.account_id, f.message_id) for f in filings if f.again]
        self.settled = {(row.account_id, row.id) for row in self._rows(_SETTLED, again)}
        unaware = [f for f in filings if f.again and f.facts and f.facts.scan.status is not ScanStatus.INFECTED]
        rows = self._rows(_FACTS, [(f.account_id, f.message_id) for f in unaware])
        self.settled |= {(row.account_id, row.id) for row in rows if is_infected(row.facts)}

    def _load_tickets(self, filings: Sequence[Filing]) -> None:
        wanted = {(f.account_id, f.decision.join) for f in filings if f.decision and f.decision.join}
        wanted |= {(account, twin.ticket_id) for (account, _), twin in self.twins.items()}
        for row in self._rows(_TICKETS, sorted(wanted)):
            untouched = row.updated_at == row.created_at
            self.tickets[row.account_id, row.id] = Joined(
                row.id, row.number, row.state, row.team_id, row.assignee_id, row.created_at, row.tags, row.fields,
                is_untouched=untouched, closed_at=closed_since(row),
            )  # fmt: skip

    def acknowledged(self, account_id: str) -> Row:
        """The account's columns that count its acknowledgements of this hour; none where none was asked for."""
        budget = self.budgets.get(account_id)
        return {"acknowledged_hour": _hour(self.now), "acknowledged": budget.account_hour} if budget else {}

    def told_of(self, account_id: str, ticket_id: str, *, kind: str = "") -> set[str]:
        """Who was already told of a ticket, in this group or before; with `kind` in this way."""
        query = select(_o.recipient_key, _o.kind).where(_o.account_id == account_id, _o.ticket_id == ticket_id)
        told = [(r.recipient_key, r.kind) for r in self.connection.execute(query)]
        fresh = (r for r in self.inserts.get("outbox", ()) if r["ticket_id"] == ticket_id)
        told += [(r["recipient_key"], r["kind"]) for r in fresh]
        return {key for key, how in told if kind in ("", how)}

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
            "closed_at": self.now if ticket.state == "closed" else None,
        }
        self._insert("ticket", row | values)

    def touch(self, account_id: str, ticket: Joined, **values: Any) -> None:
        """Note changes of a ticket; `tags` and `fields` add to what is there."""
        ticket.tags = list(dict.fromkeys([*ticket.tags, *values.pop("tags", [])]))
        ticket.fields = {**ticket.fields, **values.pop("fields", {})}
        ticket.state = values.pop("state", ticket.state)
        ticket.closed_at = (ticket.closed_at or self.now) if ticket.state == "closed" else None
        row = {
            "state": ticket.state,
            "closed_at": ticket.closed_at,
            "team_id": ticket.team_id,
            "assignee_id": ticket.assignee_id,
            "tags": ticket.tags,
            "fields": ticket.fields,
            "updated_at": self.now,
        } | values
        self.ticket_changes[account_id, ticket.id] = self.ticket_changes.get((account_id, ticket.id), {}) | row

    def add_participant(self, account_id: str, ticket_id: str, someone: Address, role: str = "customer") -> None:
        key = canonical(someone.address)
        row = {"account_id": account_id, "ticket_id": ticket_id, "address_key": key, "address": someone.address}
        self._insert("participant", row | {"name": someone.name, "role": role})

    def tell(self, filing: Filing, facts: Facts, ticket_id: str, told: Sequence[Told]) -> list[Step]:
        """Owe notices, none to former agents; those that automatic mail or an agent's own causes are held to a budget. The trace
        says who was left out.
        """
        told, gone = without_former(told, self.staff[filing.account_id].roster.former)
        why = "no agent any more: take the address out of the policy, or add the agent again"
        left_out = [Step(self.now, "notify", "none", why, {"recipients": gone})] if gone else []
        return left_out + self._tell(filing, facts, ticket_id, told)

    def _tell(self, filing: Filing, facts: Facts, ticket_id: str, told: Sequence[Told]) -> list[Step]:
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
                    "kind": str(one.kind),
                    "recipient": one.address,
                    "recipient_key": canonical(one.address),
                    "recipient_name": one.name,
                    "agent_id": one.agent_id,
                    "state": state,
                    "attempts": 0,
                    "created_at": self.now,
                    "next_at": self.now,
                    "message_id_header": "",
                    "template": one.template,
                    "last_reply": "",
                },
            )

    def add_message(self, filing: Filing, ticket_id: str | None, *, internal: bool) -> None:
        row = message_row(filing) | {"ticket_id": ticket_id, "internal": internal}
        if filing.again:
            if row["decision"] and filing.facts:
                of = (filing.account_id, filing.envelope.trace_id, filing.facts)
                row["decision"] = with_releases(self.connection, *of, row["decision"])
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
            self._events(envelope.trace_id, filing.account_id, filing.steps, steps)
            return
        record = record_of(envelope, outcome=outcome, reason=reason.value, reply=reply, message_id=message_id)
        self.log(record, filing.account_id, filing.steps, steps)

    def log(
        self, record: TransactionRecord, account_id: str, earlier: Sequence[Step], steps: Sequence[Step] = ()
    ) -> None:
        """A line of the delivery log with its trace; `steps` are the commit's own."""
        row = {name: getattr(record, name) for name in TransactionRecord.__slots__ if name != "account"}
        self._insert("transaction_log", row | {"account_id": account_id, "recipients": list(record.recipients)})
        self._events(record.trace_id, account_id, earlier, steps)

    def note_deferral(self, account_id: str, key: str, at: datetime) -> None:
        """Only the first try is remembered."""
        known = select(_d.key).where(_d.account_id == account_id, _d.key == key)
        fresh = [r for r in self.inserts.get("deferral", ()) if (r["account_id"], r["key"]) == (account_id, key)]
        if not fresh and self.connection.execute(known).scalar() is None:
            self._insert("deferral", {"account_id": account_id, "key": key, "first_at": at})

    def _events(self, trace_id: str, account_id: str, earlier: Sequence[Step], steps: Sequence[Step]) -> None:
        """The line's steps lie with the first of the commit's, or with their own last where it has none."""
        if not steps:
            earlier, steps = earlier[:-1], earlier[-1:]
        for place, step in enumerate(steps):
            led_to_it = earlier if place == 0 else ()
            self._insert("event", event_row(trace_id, account_id, step, len(earlier) + place, led_to_it))


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
