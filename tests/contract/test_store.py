"""What every database must do for us. `database` has one parameter a database; nothing here knows which it is."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from gateway.commands.audit import audit
from gateway.core.clock import new_id
from gateway.core.decision import EnvelopeFacts, Facts
from gateway.core.envelope import Client, Envelope
from gateway.core.errors import InvalidInput, StoreUnavailable, UnknownThing
from gateway.core.notice import Delivery, DeliveryResult, Rendered
from gateway.core.outcome import Accepted, Deferred, Outcome, Parked, Reason
from gateway.core.ports import Strategy
from gateway.core.reports import AuthReport, Level, ScanReport, ScanStatus, Sender
from gateway.core.reports import Path as MailPath
from gateway.core.tokens import new_trace_id
from gateway.core.trace import Step, record_of
from gateway.ground import Ground
from gateway.parse import parse
from gateway.policy import strategies as strategy_package
from gateway.policy.engine import compile_policy, decide
from gateway.policy.loader import load
from gateway.registry import plugins_of
from gateway.smtp.replies import final_reply
from gateway.store import (
    changes,
    engine,
    log_reading,
    message_reading,
    named,
    outbox,
    outbox_changes,
    policies,
    removal,
    stored_message,
    team_changes,
    ticket_changes,
    ticket_reading,
)
from gateway.store import committer as committing
from gateway.store.changes import NewAccount, NewMailbox, changing
from gateway.store.commit import Commit
from gateway.store.committer import Committer
from gateway.store.contacts import NewContact, add_contacts
from gateway.store.directory import Directory
from gateway.store.engine import Store
from gateway.store.filing import Filing, LogEntry
from gateway.store.keys import receipt_key
from gateway.store.locate import locate
from gateway.store.notice_reading import Notices
from gateway.store.outbox import Settlement
from gateway.store.recall import Recall, Wanted
from gateway.store.tables import (
    Account,
    Agent,
    Change,
    Event,
    MailboxRow,
    MessageRow,
    Outbox,
    Participant,
    Receipt,
    Ticket,
    Transaction,
    Twin,
)  # fmt: skip
from gateway.store.tables.columns import columns
from gateway.store.team_changes import NewAgent
from tests.servers.inprocess import fresh_ground, make_seed, numbered

AT = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
ROUND_ROBIN = (
    "rules: [{name: turns, if: {mailbox: '*@acme.test'}, then: [{assign: {team: support, strategy: round-robin}}]}]"
)
PROOF = {
    Sender.VERIFIED: AuthReport((), Sender.VERIFIED, Level.VERIFIED, "dkim:x", MailPath.DIRECT, None, "none", "proven"),
    Sender.UNVERIFIED: AuthReport((), Sender.UNVERIFIED, Level.NONE, "", MailPath.UNKNOWN, None, "", "not proven"),
    Sender.FORGED: AuthReport((), Sender.FORGED, Level.NONE, "", MailPath.DIRECT, None, "none", "disowned"),
}


def assigning(strategy: str) -> str:
    return f"rules: [{{name: all, if: {{sender: {{wildcard: '*'}}}}, then: [{{assign: {{team: support, strategy: {strategy}}}}}]}}]"


@dataclass
class Desk:
    """Files messages as the line does, with the time, the proof and the policy in the test's hands."""

    ground: Ground

    def __post_init__(self) -> None:
        self.store, self.blobs = self.ground.store, self.ground.blobs
        self.directory = Directory(self.store, "gw.test", "mx.gw.test")
        found = plugins_of(strategy_package, "STRATEGY", Strategy)  # type: ignore[type-abstract]
        self.commit = Commit(found, lambda outcome, trace: str(final_reply(outcome, trace)))
        self.acme = named.account_id(self.store, "acme")
        self.now = AT

    def filing(
        self, content: bytes, *recipients: str, sender: Sender = Sender.VERIFIED, policy: str = "",
        reverse_path: str | None = "carol@customer.test", account: str = "acme",
    ) -> Filing:  # fmt: skip
        """Judged against what is committed now, not yet filed."""
        recipients = recipients or (f"support@{account}.gw.test",)
        envelope = Envelope(
            new_trace_id(), account, "smtp", self.now, Client("127.0.0.1", "client.test"), reverse_path, recipients,
            smtputf8=False, content=content, sha256=hashlib.sha256(content).hexdigest(),
        )  # fmt: skip
        entry = self.directory.account(account)
        assert entry
        message = parse(content)
        place = locate(entry, recipients, message)
        compiled = compile_policy(load(policy), 0)
        wanted = Wanted(compiled.asks_for_open_ticket(place), compiled.asks_for_listed(place))
        if sender is not Sender.VERIFIED:
            wanted = Wanted()
        context = Recall(self.store, self.ground.tokens)(envelope, message, place, wanted)
        known = EnvelopeFacts(
            envelope.trace_id, "smtp", self.now, envelope.client, reverse_path, recipients, smtputf8=False,
            size_bytes=len(content), sha256=envelope.sha256,
        )  # fmt: skip
        facts = Facts(known, message, place, PROOF[sender], ScanReport(ScanStatus.CLEAN), context, self.now)
        decision = decide(facts, compiled)
        steps = (Step(self.now, "receive", "done"),)
        return Filing(new_id(), entry.id, envelope, facts, decision, None, "", blob=False, steps=steps)

    def write(self, *items: Filing | LogEntry, store: Store | None = None) -> list[Outcome | None]:
        """One transaction."""
        with (store or self.store).write() as connection:
            return self.commit(connection, items, self.now)

    def file(self, content: bytes, *recipients: str, **options: Any) -> Accepted:
        (outcome,) = self.write(self.filing(content, *recipients, **options))
        assert isinstance(outcome, Accepted)
        return outcome

    def rows(self, table: Any) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(select(*columns(table)).order_by(*table.__table__.primary_key)))

    def ticket(self, number: int) -> dict[str, Any]:
        return ticket_reading.ticket(self.store, self.acme, number)

    def told(self, kind: str | None = None) -> list[str]:
        return sorted(r.recipient for r in self.rows(Outbox) if kind in (None, r.kind))

    def our_message_id(self, kind: str = "acknowledgement") -> str:
        """A Message-ID of the newest notification of that kind, as the outbox would make it."""
        row = [r for r in self.rows(Outbox) if r.kind == kind][-1]
        number = next(t.number for t in self.rows(Ticket) if t.id == row.ticket_id)
        return self.ground.tokens.message_id(self.acme, number, row.id, "acme.gw.test")

    def listen_only(self, on: bool) -> None:
        changes.edit_account(self.store, self.acme, {"listen_only": on})

    def consistent(self) -> None:
        report = audit(self.store, self.blobs)
        assert report.problems == []


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def seed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One contract, every database."""
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return make_seed(tmp_path_factory.mktemp(f"seed-{request.param}"), server)


@pytest.fixture
def desk(seed: Path, tmp_path: Path) -> Iterator[Desk]:
    ground = fresh_ground(seed, tmp_path / "data")
    yield Desk(ground)
    ground.close()


# --- numbers, receipts ---


def test_tickets_are_numbered_in_order_within_their_account(desk: Desk) -> None:
    group = [desk.filing(numbered(n)) for n in range(3)]
    group.insert(1, desk.filing(numbered("g"), account="globex"))
    outcomes = desk.write(*group)
    assert [o.ticket for o in outcomes] == [1, 1, 2, 3]  # type: ignore[union-attr]
    assert desk.file(numbered(3)).ticket == 4
    desk.consistent()


def test_a_group_that_fails_takes_no_number(desk: Desk) -> None:
    with pytest.raises(ZeroDivisionError), desk.store.write() as connection:
        desk.commit(connection, [desk.filing(numbered(1))], AT)
        raise ZeroDivisionError
    assert desk.file(numbered(2)).ticket == 1
    assert len(desk.rows(MessageRow)) == 1


def test_a_retry_changes_nothing_whatever_its_reverse_path_and_order_of_recipients(desk: Desk) -> None:
    first = desk.file(numbered(1), "support@acme.gw.test", "billing@acme.gw.test")
    told = desk.told()
    again = desk.file(numbered(1), "Billing@ACME.gw.test", "support@acme.gw.test", reverse_path="SRS0=a=b=c=d@f.test")
    assert again.duplicate
    assert (again.trace_id, again.message_id) == (first.trace_id, first.message_id)
    assert (len(desk.rows(MessageRow)), len(desk.rows(Ticket)), desk.told()) == (1, 1, told)
    assert len(desk.rows(Transaction)) == 2
    desk.consistent()


def test_the_same_bytes_twice_in_one_group_are_kept_once(desk: Desk) -> None:
    first, second = desk.write(desk.filing(numbered(1)), desk.filing(numbered(1), reverse_path="other@x.test"))
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (second.duplicate, second.trace_id) == (True, first.trace_id)
    assert len(desk.rows(MessageRow)) == 1
    desk.consistent()


def test_the_same_bytes_after_fourteen_days_are_a_new_message(desk: Desk) -> None:
    desk.file(numbered(1))
    desk.now = AT + timedelta(days=14) - timedelta(seconds=1)
    assert desk.file(numbered(1)).duplicate
    desk.now = AT + timedelta(days=14)
    assert desk.file(numbered(1)).ticket == 2
    assert desk.file(numbered(1)).duplicate
    desk.consistent()


def test_the_same_bytes_to_other_recipients_or_another_account_are_no_retry(desk: Desk) -> None:
    desk.file(numbered(1), "support@acme.gw.test")
    desk.file(numbered(1), "support@acme.gw.test", "billing@acme.gw.test")
    desk.file(numbered(1), account="globex")
    assert len(desk.rows(MessageRow)) == 3


def test_a_message_with_another_ones_message_id_is_no_retry(desk: Desk) -> None:
    """Strangers choose Message-IDs: a claimed one must not swallow the next message."""
    desk.file(b"From: x@evil.test\r\nMessage-ID: <1@customer.test>\r\n\r\nfirst\r\n")
    desk.file(b"From: x@evil.test\r\n\r\nno id\r\n")
    desk.file(b"From: x@evil.test\r\n\r\nno id, other text\r\n")
    assert desk.file(numbered(1)).ticket == 4


def test_a_retry_of_a_parked_or_ignored_message_is_a_retry_too(desk: Desk) -> None:
    parked = replace(desk.filing(numbered(1)), facts=None, decision=None, parked=Reason.CRASHED)
    (outcome,) = desk.write(parked)
    assert outcome == Parked(Reason.CRASHED, parked.message_id)
    again = desk.file(numbered(1))
    assert (again.duplicate, again.message_id) == (True, parked.message_id)
    desk.consistent()


# --- copies of one message ---

BOTH = ("Billing <billing@acme.test>", "support@acme.test")


def copy_for(mailbox: str, n: object = "twin", to: tuple[str, ...] = BOTH) -> bytes:
    """The copy that one mailbox's forwarder sends: its own trace fields on top."""
    return f"Received: from {mailbox}\r\nDelivered-To: {mailbox}@acme.test\r\n".encode() + numbered(n, to=to)


@pytest.mark.parametrize("together", [True, False], ids=["one group", "two transactions"])
@pytest.mark.parametrize("order", [("support", "billing"), ("billing", "support")])
def test_copies_through_two_mailboxes_are_one_ticket_of_the_mailbox_first_in_to(
    desk: Desk, order: tuple[str, str], together: bool
) -> None:
    copies = [desk.filing(copy_for(m), f"{m}@acme.gw.test") for m in order]
    outcomes = desk.write(*copies) if together else [desk.write(c)[0] for c in copies]
    assert [o.ticket for o in outcomes] == [1, 1]  # type: ignore[union-attr]
    ticket = desk.ticket(1)
    assert (ticket["mailbox"], ticket["team"]) == ("billing@acme.test", "finance")
    assert len(ticket["messages"]) == 2
    assert max(Counter(desk.told()).values()) == 1
    assert desk.told("acknowledgement") == ["carol@customer.test"]
    assert "fay@acme.test" in desk.told()
    desk.consistent()


@pytest.mark.parametrize("seed_order", range(6))
@pytest.mark.parametrize("together", [True, False], ids=["one group", "three transactions"])
def test_of_three_copies_in_any_order_the_first_in_to_owns_the_ticket(
    desk: Desk, seed_order: int, together: bool
) -> None:
    """The second copy's move made the ticket look handled, so that the third could not take it."""
    orders = [(a, b, c) for a in "012" for b in "012" for c in "012" if len({a, b, c}) == 3]
    names = {"0": "sales", "1": "billing", "2": "support"}
    to = ("sales@acme.test", "billing@acme.test", "support@acme.test")
    copies = [desk.filing(copy_for(names[i], to=to), f"{names[i]}@acme.gw.test") for i in orders[seed_order]]
    if together:
        desk.write(*copies)
    else:
        for n, one in enumerate(copies):
            desk.now = AT + timedelta(seconds=n)
            desk.write(one)
    assert desk.ticket(1)["mailbox"] == "sales@acme.test"
    assert len(desk.rows(Ticket)) == 1
    assert max(Counter(desk.told()).values()) == 1
    desk.consistent()


def test_cc_counts_behind_to(desk: Desk) -> None:
    content = numbered("cc", "Cc: billing@acme.test")
    desk.file(b"X: 1\r\n" + content, "billing@acme.gw.test")
    desk.file(b"X: 2\r\n" + content, "support@acme.gw.test")
    assert desk.ticket(1)["mailbox"] == "support@acme.test"


def test_copies_that_two_processes_commit_at_once_are_one_ticket(desk: Desk, tmp_path: Path) -> None:
    other = Store(desk.store.url, desk.ground.settings.data_dir)
    for n in range(10):
        copies = [desk.filing(copy_for(m, n), f"{m}@acme.gw.test") for m in ("support", "billing")]
        begin = threading.Barrier(2)

        def write(copy: Filing, store: Store, begin: threading.Barrier = begin) -> None:
            begin.wait()
            desk.write(copy, store=store)

        threads = [threading.Thread(target=write, args=a) for a in zip(copies, (desk.store, other), strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    other.close()
    tickets = desk.rows(Ticket)
    assert len(tickets) == 10
    billing = next(r.id for r in desk.rows(MailboxRow) if r.address == "billing@acme.test")
    assert {t.mailbox_id for t in tickets} == {billing}
    per_ticket = Counter((r.ticket_id, r.recipient) for r in desk.rows(Outbox))
    assert max(per_ticket.values()) == 1
    desk.consistent()


def test_a_copy_after_a_day_is_a_new_ticket_and_the_next_one_its_copy(desk: Desk) -> None:
    desk.file(copy_for("support"), "support@acme.gw.test")
    desk.now = AT + timedelta(hours=23, minutes=59)
    assert desk.file(copy_for("billing"), "billing@acme.gw.test").ticket == 1
    desk.now = AT + timedelta(hours=24)
    assert desk.file(copy_for("sales"), "sales@acme.gw.test").ticket == 2
    assert desk.file(b"X: again\r\n" + copy_for("billing"), "billing@acme.gw.test").ticket == 2
    desk.consistent()


@pytest.mark.parametrize(
    "other",
    [
        numbered("twin", to=BOTH, text="Another text."),
        numbered("twin", to=BOTH).replace(b"carol@", b"mallory@"),
        numbered("twin", to=BOTH).replace(b"<twin@", b"<twix@"),
        numbered("twin", to=BOTH).replace(b"Message-ID", b"X-Id"),
    ],
    ids=["text", "author", "message-id", "none"],
)
def test_what_differs_in_text_author_or_message_id_is_no_copy(desk: Desk, other: bytes) -> None:
    desk.file(copy_for("support"), "support@acme.gw.test")
    assert desk.file(other, "billing@acme.gw.test").ticket == 2


def test_copies_are_linked_within_one_account_only(desk: Desk) -> None:
    desk.file(copy_for("support"), "support@acme.gw.test")
    desk.file(copy_for("support"), "help@globex.gw.test", account="globex")
    assert len(desk.rows(Ticket)) == 2


@pytest.mark.parametrize("together", [True, False], ids=["one group", "two transactions"])
def test_copies_of_an_answer_leave_the_ticket_where_it_is(desk: Desk, together: bool) -> None:
    """In one group the ticket still looked untouched, and the second copy moved it to another mailbox and team."""
    desk.file(numbered("first"), "support@acme.gw.test")
    reference = desk.our_message_id()
    answer = numbered("answer", f"In-Reply-To: <{reference}>", to=BOTH)
    desk.now = AT + timedelta(minutes=5)
    before = desk.told()
    copies = [desk.filing(b"X: " + m.encode() + b"\r\n" + answer, f"{m}@acme.gw.test") for m in ("support", "billing")]
    outcomes = desk.write(*copies) if together else [desk.write(c)[0] for c in copies]
    assert [o.ticket for o in outcomes] == [1, 1]  # type: ignore[union-attr]
    ticket = desk.ticket(1)
    assert (ticket["mailbox"], ticket["team"]) == ("support@acme.test", "support")
    assert Counter(desk.told()) - Counter(before) == Counter(["ann@acme.test", "bob@acme.test"])
    desk.consistent()


def test_a_copy_does_not_take_a_ticket_that_somebody_works_on(desk: Desk) -> None:
    desk.file(copy_for("support"), "support@acme.gw.test")
    desk.now = AT + timedelta(minutes=1)
    ticket_changes.set_ticket_state(desk.store, desk.acme, 1, "pending", by="ann")
    assert desk.file(copy_for("billing"), "billing@acme.gw.test").ticket == 1
    ticket = desk.ticket(1)
    assert (ticket["mailbox"], ticket["state"]) == ("support@acme.test", "pending")


# --- assignment ---


@pytest.mark.parametrize("group", [1, 7, 100])
@pytest.mark.parametrize("strategy", ["round-robin", "least-open", "least-today"])
def test_a_hundred_tickets_are_shared_out_evenly(desk: Desk, strategy: str, group: int) -> None:
    team_changes.add_agent(desk.store, desk.acme, NewAgent("cid@acme.test", "Cid", ("support",)))
    filings = [desk.filing(numbered(n), policy=assigning(strategy)) for n in range(100)]
    for i in range(0, 100, group):
        desk.write(*filings[i : i + group])
    load_ = Counter(t.assignee_id for t in desk.rows(Ticket))
    assert len(load_) == 3
    assert max(load_.values()) - min(load_.values()) <= 1


def test_least_open_looks_at_what_is_open_now(desk: Desk) -> None:
    policy = assigning("least-open")
    for n in range(6):
        desk.file(numbered(n), policy=policy)
    ann = {t["number"] for t in ticket_reading.tickets(desk.store, desk.acme) if t["assignee"] == "ann@acme.test"}
    for number in ann:
        ticket_changes.set_ticket_state(desk.store, desk.acme, number, "closed", by="ann")
    for n in range(6, 9):
        number = desk.file(numbered(n), policy=policy).ticket
        assert desk.ticket(number or 0)["assignee"] == "ann@acme.test"


def test_who_is_away_is_given_nothing_and_with_all_away_the_team_has_it(desk: Desk) -> None:
    team_changes.set_agent_status(desk.store, desk.acme, "ann@acme.test", "away")
    for n in range(3):
        desk.file(numbered(n), policy=assigning("round-robin"))
    assert {desk.ticket(n)["assignee"] for n in (1, 2, 3)} == {"bob@acme.test"}
    team_changes.set_agent_status(desk.store, desk.acme, "bob@acme.test", "offline")
    desk.file(numbered(3), policy=assigning("round-robin"))
    assert (desk.ticket(4)["assignee"], desk.ticket(4)["team"]) == (None, "support")


def test_an_agent_given_a_ticket_by_an_answer_or_a_copy_has_it_counted_for_today(desk: Desk) -> None:
    desk.file(copy_for("support"), "support@acme.gw.test")
    desk.now = AT + timedelta(minutes=1)
    desk.file(
        copy_for("billing"),
        "billing@acme.gw.test",
        policy="rules: [{name: a, if: {mailbox: billing@acme.test}, then: [{assign: fay@acme.test}]}]",
    )
    ticket = desk.rows(Ticket)[0]
    assert desk.ticket(1)["assignee"] == "fay@acme.test"
    assert ticket.assigned_at == desk.now


# --- belonging ---


def test_an_answer_from_a_participant_joins_and_reopens_its_ticket(desk: Desk) -> None:
    desk.file(numbered(1))
    ticket_changes.set_ticket_state(desk.store, desk.acme, 1, "closed", by="ann")
    answer = desk.file(numbered(2, f"References: <x@y.test> <{desk.our_message_id()}>"))
    ticket = desk.ticket(1)
    assert (answer.ticket, ticket["state"], len(ticket["messages"])) == (1, "open", 2)
    assert not ticket["messages"][1]["internal"]
    assert desk.told("customer-answered") == ["ann@acme.test", "bob@acme.test"]
    assert len(desk.told("acknowledgement")) == 1


def test_a_message_id_that_was_lower_cased_on_its_way_still_joins(desk: Desk) -> None:
    desk.file(numbered(1))
    assert desk.file(numbered(2, f"In-Reply-To: <{desk.our_message_id().lower()}>")).ticket == 1


def test_a_stranger_with_our_message_id_leaves_a_note_that_reopens_nothing(desk: Desk) -> None:
    desk.file(numbered(1))
    ticket_changes.set_ticket_state(desk.store, desk.acme, 1, "closed", by="ann")
    stranger = numbered(2, f"In-Reply-To: <{desk.our_message_id()}>").replace(b"carol@", b"mallory@")
    assert desk.file(stranger).ticket == 1
    ticket = desk.ticket(1)
    assert ticket["state"] == "closed"
    assert ticket["messages"][1]["internal"]
    assert [p["address"] for p in ticket["participants"]] == ["carol@customer.test"]
    assert "mallory@customer.test" not in desk.told()


@pytest.mark.parametrize("kind", ["forged", "other account", "unknown ticket", "plain"])
def test_a_token_that_names_no_ticket_of_this_account_opens_a_new_one(desk: Desk, kind: str) -> None:
    desk.file(numbered(1))
    good = desk.our_message_id()
    bad = {
        "forged": ("a" if good[0] != "a" else "b") + good[1:],
        "other account": desk.ground.tokens.message_id("0" * 32, 1, new_id(), "acme.gw.test"),
        "unknown ticket": desk.ground.tokens.message_id(desk.acme, 99, new_id(), "acme.gw.test"),
        "plain": "1@customer.test",
    }[kind]
    assert desk.file(numbered(2, f"In-Reply-To: <{bad}>")).ticket == 2


def test_mail_to_an_agents_answer_address_is_a_note_that_nobody_is_told_of(desk: Desk) -> None:
    desk.file(numbered(1))
    told = desk.told()
    address = f"{desk.ground.tokens.answer_local(desk.acme, 1, 1)}@acme.gw.test"
    content = b"From: Ann <ann@acme.test>\r\nSubject: Re\r\n\r\nDone.\r\n"
    assert desk.file(content, address, sender=Sender.UNVERIFIED, reverse_path="ann@acme.test").ticket == 1
    assert desk.ticket(1)["messages"][1]["internal"]
    assert desk.told() == told


@pytest.mark.parametrize("local", ["answer+aaaa", "answer", "answer+", "ANSWER+" + "a" * 39, "bounce+" + "a" * 52])
def test_a_forged_service_address_opens_a_new_ticket(desk: Desk, local: str) -> None:
    desk.file(numbered(1))
    assert desk.file(numbered(2), f"{local}@acme.gw.test").ticket == 2


def test_a_delivery_report_to_our_bounce_address_is_ignored(desk: Desk) -> None:
    desk.file(numbered(1))
    row = desk.rows(Outbox)[0]
    local = desk.ground.tokens.bounce_local(desk.acme, row.id).upper()
    outcome = desk.file(b"From: MAILER-DAEMON@x.test\r\n\r\nfailed\r\n", f"{local}@acme.gw.test", reverse_path=None)
    assert (outcome.ticket, outcome.reason) == (None, Reason.DELIVERY_REPORT)
    message = message_reading.message(desk.store, desk.acme, outcome.message_id)
    assert (message["disposition"], message["reason"]) == ("ignored", "delivery-report")
    desk.consistent()


# --- who is told ---


def test_acknowledgements_keep_their_budgets(desk: Desk) -> None:
    sent = []
    for minute in range(0, 60 * 26, 20):
        desk.now = AT + timedelta(minutes=minute)
        desk.file(numbered(minute))
        sent.append(len(desk.told("acknowledgement")))
    assert sent[2] == 2
    assert sent[3 * 24 - 1] == 6
    rows = [r for r in desk.rows(Outbox) if r.kind == "acknowledgement"]
    moments = sorted(r.created_at for r in rows)
    assert all(b - a >= timedelta(hours=1) for a, b in zip(moments, moments[2:], strict=False))
    silent = [e for e in desk.rows(Event) if e.stage == "acknowledge" and e.outcome == "none"]
    assert silent
    assert all(e.reason.startswith("budget") for e in silent)


def test_a_group_spends_the_budget_it_has(desk: Desk) -> None:
    desk.write(*[desk.filing(numbered(n)) for n in range(5)])
    assert len(desk.told("acknowledgement")) == 2


@pytest.mark.parametrize("sender", [Sender.UNVERIFIED, Sender.FORGED])
def test_only_proven_authors_are_acknowledged(desk: Desk, sender: Sender) -> None:
    desk.file(numbered(1), sender=sender, policy="accept: {forged: accept}")
    assert desk.told("acknowledgement") == []


def test_a_listen_only_account_withholds_and_drops_at_live(desk: Desk) -> None:
    desk.listen_only(True)
    desk.file(numbered(1))
    assert {r.state for r in desk.rows(Outbox)} == {"withheld"}
    assert outbox.claim(desk.store, AT + timedelta(days=1), 10) == []
    assert changes.go_live(desk.store, desk.acme) == 3
    assert {r.state for r in desk.rows(Outbox)} == {"cancelled"}
    desk.file(numbered(2))
    assert len(outbox.claim(desk.store, AT, 10)) == 3


# --- the committer ---


def with_committer(desk: Desk, *items: Filing, commit: Any = None, store: Any = None) -> list[Any]:
    """The items as one group: they wait before the thread starts."""

    async def run() -> list[Any]:
        committer = Committer(store or desk.store, desk.blobs, commit or desk.commit, on_owed=lambda: None)
        waiting = [asyncio.ensure_future(committer.file(i)) for i in items]
        await asyncio.sleep(0)
        committer.start()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.to_thread(committer.close)
        return results

    return asyncio.run(run())


def test_one_bad_member_of_a_group_harms_no_other(desk: Desk) -> None:
    filings = [desk.filing(numbered(n)) for n in range(5)]
    filings[1] = replace(filings[1], message_id=filings[0].message_id)  # the primary key is taken
    filings[3] = replace(filings[3], account_id="0" * 32)  # no such account
    results = with_committer(desk, *filings)
    assert [isinstance(r, Accepted) for r in results] == [True, False, True, False, True]
    assert sorted(t.number for t in desk.rows(Ticket)) == [1, 2, 3]
    assert len(desk.rows(MessageRow)) == 3
    desk.consistent()


@pytest.mark.parametrize(("on_their_way", "groups"), [(committing.SIBLINGS + 2, [2]), (2, [1, 1])])
def test_a_group_waits_for_others_only_where_many_are_on_their_way(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, on_their_way: int, groups: list[int]
) -> None:
    filings = [desk.filing(numbered(n)) for n in range(2)]
    written, arrived = [], threading.Event()
    monkeypatch.setattr(committing, "sleep", lambda _seconds: arrived.wait(60))

    def commit(connection: Connection, items: list[Filing], now: datetime) -> list[Outcome | None]:
        written.append(len(items))
        return desk.commit(connection, items, now)

    async def run() -> None:
        committer = Committer(desk.store, desk.blobs, commit, on_owed=lambda: None)  # type: ignore[arg-type]
        committer.start()
        with ExitStack() as messages:
            for _ in range(on_their_way):
                messages.enter_context(committer.expecting())
            first = asyncio.ensure_future(committer.file(filings[0]))
            if len(groups) == 2:
                await first
            else:
                await asyncio.sleep(0)
            second = asyncio.ensure_future(committer.file(filings[1]))
            await asyncio.sleep(0)
            arrived.set()
            await asyncio.gather(first, second)
        await asyncio.to_thread(committer.close)

    asyncio.run(run())
    assert written == groups


class CutAfterCommit:
    """A store whose connection breaks when a commit is done, but before it is told."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.cuts = 1

    read = property(lambda self: self._store.read)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._store.write() as connection:
            yield connection
        if self.cuts:
            self.cuts -= 1
            raise StoreUnavailable("server closed the connection unexpectedly")


def test_a_commit_of_unknown_outcome_is_settled_by_the_receipts(desk: Desk) -> None:
    filings = [desk.filing(numbered(n)) for n in range(3)]
    filings.append(replace(desk.filing(numbered(3)), facts=None, decision=None, parked=Reason.TOO_COMPLEX))
    results = with_committer(desk, *filings, store=CutAfterCommit(desk.store))
    assert [getattr(r, "message_id", r) for r in results] == [f.message_id for f in filings]
    assert isinstance(results[3], Parked)
    assert len(desk.rows(MessageRow)) == 4
    desk.consistent()


def test_a_commit_that_did_not_happen_is_told_as_such(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def away() -> Iterator[Connection]:
        raise StoreUnavailable("gone")
        yield

    monkeypatch.setattr(desk.store, "write", away)
    results = with_committer(desk, desk.filing(numbered(1)))
    assert [type(r) for r in results] == [StoreUnavailable]


def test_a_retrys_unused_blob_is_removed_and_a_removal_that_fails_defers_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = numbered(1) + b"x" * 300_000 + b"\r\n"
    filings = [replace(desk.filing(content), blob=True) for _ in range(3)]
    for filing in filings[:2]:
        desk.blobs.put(filing.account_id, filing.message_id, content)
    first, second = with_committer(desk, filings[0], filings[1])
    assert (first.duplicate, second.duplicate) == (False, True)
    assert list(desk.blobs.names()) == [(desk.acme, filings[0].message_id)]

    def broken(*_: object) -> None:
        raise StoreUnavailable("read-only file system")

    monkeypatch.setattr(desk.blobs, "remove", broken)
    (third,) = with_committer(desk, filings[2])
    assert third.duplicate
    desk.consistent()


def test_a_deferral_remembers_the_first_try_only(desk: Desk) -> None:
    filing = desk.filing(numbered(1))
    key = receipt_key(filing.envelope.recipients, filing.envelope.sha256)

    def deferred(at: datetime) -> LogEntry:
        envelope = replace(desk.filing(numbered(1)).envelope, received_at=at)
        return LogEntry(record_of(envelope, outcome="deferred", reason="scanner-down", reply="451"), (), key)

    desk.write(deferred(AT), deferred(AT + timedelta(seconds=1)))
    desk.write(deferred(AT + timedelta(hours=1)))
    later = desk.filing(numbered(1), reverse_path="prvs=1=carol@customer.test")
    assert later.facts
    assert later.facts.context.first_tried_at == AT


def test_what_is_refused_of_an_unknown_account_is_the_operators(desk: Desk) -> None:
    envelope = replace(desk.filing(numbered(1)).envelope, account="nobody")
    desk.write(LogEntry(record_of(envelope, outcome="refused", reason="unknown-recipient", reply="550"), ()))
    assert log_reading.log_lines(desk.store, log_reading.LogFilter(account="system"))[-1]["trace"] == envelope.trace_id


# --- blobs ---


def test_a_blob_comes_back_as_it_was_put_or_not_at_all(desk: Desk) -> None:
    content = bytes(range(256)) * 2000
    sha256 = hashlib.sha256(content).hexdigest()
    desk.blobs.put("acme", "m1", content)
    assert desk.blobs.get("acme", "m1", sha256) == content
    assert list(desk.blobs.names()) == [("acme", "m1")]
    path = next(p for p in desk.ground.settings.data_dir.rglob("m1"))
    for damaged in (content[:-1], content[:5000], b"", content[:700] + b"\0" + content[701:]):
        path.write_bytes(damaged)
        with pytest.raises(StoreUnavailable.__base__, match="SHA-256"):  # type: ignore[arg-type]
            desk.blobs.get("acme", "m1", sha256)
    desk.blobs.remove("acme", "m1")
    desk.blobs.remove("acme", "m1")
    with pytest.raises(StoreUnavailable.__base__, match="acme/m1"):  # type: ignore[arg-type]
        desk.blobs.get("acme", "m1", sha256)


# --- turns at writing ---


def test_a_writer_waits_its_turn_and_not_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    if not desk.store.is_sqlite:
        pytest.skip("PostgreSQL's locks are its own")
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.2)
    other = Store(desk.store.url, desk.ground.settings.data_dir)
    filing = desk.filing(numbered(1))
    with other.write():
        for store in (desk.store, other):  # another process, another thread
            failed: list[BaseException] = []

            def attempt(store: Store = store, failed: list[BaseException] = failed) -> None:
                try:
                    desk.write(filing, store=store)
                except StoreUnavailable as error:
                    failed.append(error)

            thread = threading.Thread(target=attempt)
            thread.start()
            thread.join(60)
            assert failed
    assert desk.write(filing)
    other.close()


# --- the directory ---


def test_the_directory_sees_additions_at_once_and_changes_when_the_number_moved(desk: Desk) -> None:
    directory = Directory(desk.store, "gw.test", "mx.gw.test")
    directory.refresh()
    assert directory.look_up("late.gw.test") is None
    changes.add_account(desk.store, NewAccount(new_id(), "late", "Late", "gw1", b"", "support@late.gw.test"))
    assert directory.look_up("late.gw.test") is not None
    late = directory.look_up("late.gw.test")
    assert late
    changes.edit_account(desk.store, late.id, {"company_name": "Later"})
    assert directory.look_up("late.gw.test") is late
    assert directory.refresh()
    assert not directory.refresh()
    found = directory.look_up("late.gw.test")
    assert found
    assert found.company_name == "Later"


def test_a_look_up_that_overlaps_a_change_leaves_nothing_old_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read before the change, filed after the refresh: it would have stayed until the next change."""
    directory = Directory(desk.store, "gw.test", "mx.gw.test")
    directory.refresh()
    load_entry = directory._load

    def slow(connection: Connection, name: str) -> Any:
        entry = load_entry(connection, name)
        changes.edit_account(desk.store, desk.acme, {"company_name": "Renamed"})
        assert directory.refresh()
        return entry

    monkeypatch.setattr(directory, "_load", slow)
    stale = directory.look_up("acme.gw.test")
    assert stale
    assert stale.company_name != "Renamed"
    monkeypatch.undo()
    found = directory.look_up("acme.gw.test")
    assert found
    assert found.company_name == "Renamed"


def test_the_sealers_an_account_trusts_come_with_the_place(desk: Desk) -> None:
    entry = desk.directory.look_up("acme.gw.test")
    assert entry
    assert locate(entry, ("support@acme.gw.test",), parse(b"From: c@x.test\r\n\r\n")).arc_sealers == frozenset()
    changes.edit_account(desk.store, desk.acme, {"arc_sealers": ["lists.example"]})
    desk.directory.refresh()
    entry = desk.directory.look_up("acme.gw.test")
    assert entry
    place = locate(entry, ("support@acme.gw.test",), parse(b"From: c@x.test\r\n\r\n"))
    assert place.arc_sealers == frozenset({"lists.example"})


def test_a_change_before_the_first_refresh_is_not_missed(desk: Desk) -> None:
    directory = Directory(desk.store, "gw.test", "mx.gw.test")
    assert directory.look_up("acme.gw.test")
    changes.edit_account(desk.store, desk.acme, {"company_name": "Renamed"})
    directory.refresh()
    found = directory.look_up("acme.gw.test")
    assert found
    assert found.company_name == "Renamed"


def test_every_change_raises_the_number_and_one_that_fails_does_not(desk: Desk) -> None:
    def number() -> int:
        return int(desk.rows(Change)[0].number)

    before = number()
    team_changes.add_team(desk.store, desk.acme, "second line")
    assert number() == before + 1
    with pytest.raises(InvalidInput):
        team_changes.add_team(desk.store, desk.acme, "second line")
    assert number() == before + 1


# --- the outbox ---


def owed(desk: Desk) -> list[outbox.Claim]:
    desk.file(numbered(1))
    return outbox.claim(desk.store, AT, 10)


def delivery(result: DeliveryResult, code: int = 250, reply: str = "ok") -> Delivery:
    return Delivery(result, code, reply, "smtp://relay.test")


def test_a_row_is_claimed_by_one_until_its_lease_ends(desk: Desk) -> None:
    first = owed(desk)
    assert len(first) == 3
    assert outbox.claim(desk.store, AT + outbox.LEASE, 10) == []
    later = outbox.claim(desk.store, AT + outbox.LEASE + timedelta(seconds=1), 2)
    assert len(later) == 2
    outbox.release_leases(desk.store, "another")
    assert {c.id for c in outbox.claim(desk.store, AT, 10)} == {c.id for c in first}


def test_two_claimers_at_once_share_nothing(desk: Desk) -> None:
    desk.write(*[desk.filing(numbered(n)) for n in range(20)])
    other = Store(desk.store.url, desk.ground.settings.data_dir)
    taken: list[str] = []

    def take(store: Store) -> None:
        while claims := outbox.claim(store, AT, 3):
            taken.extend(c.id for c in claims)

    threads = [threading.Thread(target=take, args=(s,)) for s in (desk.store, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert len(taken) == len(set(taken)) == len(desk.rows(Outbox))


def test_an_account_that_owes_much_delays_nobody_elses_mail(desk: Desk) -> None:
    """Ten thousand notices of one account stood before the first of every other."""
    desk.write(*[desk.filing(numbered(n)) for n in range(20)])
    desk.now = AT + timedelta(minutes=1)
    desk.write(desk.filing(numbered("g"), account="globex"))
    later = AT + timedelta(minutes=2)
    owed_by_acme = [r.id for r in desk.rows(Outbox) if r.account_id == desk.acme]
    found = outbox.due(desk.store, later, 100)
    assert [d.account_id == desk.acme for d in found[:4]] == [True, False, True, True]
    assert [d.id for d in found if d.account_id == desk.acme] == sorted(owed_by_acme)
    assert len(outbox.due(desk.store, later, 7)) == 7


def test_one_look_names_so_many_of_an_account_and_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "TURNS", 5)
    desk.write(*[desk.filing(numbered(n)) for n in range(20)])
    assert len(outbox.due(desk.store, AT, 100)) == 5


def test_only_what_is_still_there_is_taken(desk: Desk) -> None:
    """Between the look and the claim somebody may have cancelled, delivered or claimed it."""
    desk.file(numbered(1))
    found = outbox.due(desk.store, AT, 10)
    first, second, third = found
    outbox_changes.cancel_outbox(desk.store, first.account_id, first.id, by="op")
    assert [c.id for c in outbox.take(desk.store, [second], AT, by="another")] == [second.id]
    assert [c.id for c in outbox.take(desk.store, found, AT, by="worker")] == [third.id]
    assert outbox.take(desk.store, [replace(third, id="0" * 32)], AT) == []


def test_a_claim_that_is_renewed_stays_ours_and_one_given_back_is_free(desk: Desk) -> None:
    claims = owed(desk)
    soon = AT + outbox.LEASE - timedelta(seconds=1)
    outbox.renew(desk.store, claims[:1], soon)
    outbox.release(desk.store, claims[1:2])
    assert [c.id for c in outbox.claim(desk.store, soon, 10)] == [claims[1].id]
    later = AT + outbox.LEASE + timedelta(seconds=1)
    assert [c.id for c in outbox.claim(desk.store, later, 10)] == [claims[2].id]


def test_attempts_of_many_accounts_are_recorded_together(desk: Desk) -> None:
    desk.write(desk.filing(numbered(1)), desk.filing(numbered("g"), account="globex"))
    claims = outbox.claim(desk.store, AT, 10)
    retry = delivery(DeliveryResult.RETRY, 0, "nobody there")
    due = AT + timedelta(seconds=20)
    passed = ("smtp://first.test:25: no answer",)
    outbox.settle(desk.store, [Settlement(c, retry, "pending", due, passed) for c in claims], AT)
    rows = desk.rows(Outbox)
    assert {(r.state, r.attempts, r.next_at, r.settled_at, r.leased_until, r.last_reply) for r in rows} == {
        ("pending", 1, due, None, None, "nobody there")
    }
    assert {tuple(e.detail["passed_over"]) for e in desk.rows(Event) if e.stage == "deliver"} == {passed}
    desk.consistent()


def test_many_notices_are_read_together_as_each_would_be_alone(desk: Desk) -> None:
    desk.write(desk.filing(numbered(1)), desk.filing(numbered("g"), account="globex"))
    desk.file(numbered(2, f"In-Reply-To: <{desk.our_message_id()}>"))
    add_contacts(desk.store, desk.acme, [NewContact("carol@customer.test", "Carol", "de")])
    claims = outbox.claim(desk.store, AT, 20)
    together = Notices(desk.store, claims, "gw.test")
    alone = [Notices(desk.store, [c], "gw.test").of(c) for c in claims]
    assert [together.of(c) for c in claims] == alone
    assert {(n.account, n.language) for n in alone if n.kind.to_customer} == {("acme", "de"), ("globex", "en")}
    assert {len(n.thread) for n in alone if n.account == "acme"} == {2}


def test_every_attempt_sends_the_bytes_of_the_first(desk: Desk) -> None:
    claim = owed(desk)[0]
    rendered = Rendered("id@acme.gw.test", None, b"the bytes", "acknowledgement/en/1")
    outbox.keep_rendered(desk.store, [(claim, rendered)])
    outbox.release_leases(desk.store, "another")
    again = next(c for c in outbox.claim(desk.store, AT, 10) if c.id == claim.id)
    assert again.rendered == rendered


def test_an_attempt_is_on_record_in_the_row_and_in_the_trace(desk: Desk) -> None:
    claim, second, third = owed(desk)
    retry = Settlement(claim, delivery(DeliveryResult.RETRY, 451, "greylisted"), "pending", AT + timedelta(minutes=1))
    failed = Settlement(second, delivery(DeliveryResult.FAILED, 550, "no such user"), "failed", AT)
    out = Settlement(third, delivery(DeliveryResult.DELIVERED), "delivered", AT)
    outbox.settle(desk.store, [retry, failed, out], AT)
    rows = {r.id: r for r in desk.rows(Outbox)}
    assert (rows[claim.id].state, rows[claim.id].attempts, rows[claim.id].last_reply) == (
        "pending",
        1,
        "451 greylisted",
    )
    assert (rows[second.id].state, rows[third.id].state) == ("failed", "delivered")
    assert outbox.claim(desk.store, AT, 10) == []
    assert [c.id for c in outbox.claim(desk.store, AT + timedelta(minutes=1), 10)] == [claim.id]
    told = [e for e in desk.rows(Event) if e.stage == "deliver"]
    assert {e.outcome for e in told} == {"retry", "failed", "delivered"}
    assert {e.trace_id for e in told} == {claim.trace_id}
    desk.consistent()


@pytest.mark.parametrize(
    ("result", "state"), [(DeliveryResult.RETRY, "cancelled"), (DeliveryResult.DELIVERED, "delivered")]
)
def test_a_row_cancelled_during_its_attempt_stays_so_unless_the_mail_is_out(
    desk: Desk, result: DeliveryResult, state: str
) -> None:
    claim = owed(desk)[0]
    with desk.store.write() as connection:
        connection.execute(update(Outbox).where(columns(Outbox).id == claim.id).values(state="cancelled"))
    wanted = "delivered" if result is DeliveryResult.DELIVERED else "pending"
    outbox.settle(desk.store, [Settlement(claim, delivery(result), wanted, AT)], AT)
    row = next(r for r in desk.rows(Outbox) if r.id == claim.id)
    assert (row.state, row.leased_until) == (state, None)


def test_a_failed_row_is_retried_when_somebody_asks(desk: Desk) -> None:
    claim = owed(desk)[0]
    outbox.settle(desk.store, [Settlement(claim, delivery(DeliveryResult.FAILED, 550), "failed", AT)], AT)
    assert outbox_changes.retry_outbox(desk.store, desk.acme, claim.id) == 1
    later = AT + timedelta(days=400)
    assert claim.id in {c.id for c in outbox.claim(desk.store, later, 10)}
    with pytest.raises(UnknownThing):
        outbox_changes.retry_outbox(desk.store, desk.acme, "0" * 32)
    with pytest.raises(UnknownThing):
        outbox_changes.retry_outbox(desk.store, "0" * 32, claim.id)


# --- admin changes ---


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda s, a: changes.add_account(s, NewAccount(new_id(), "acme", "", "", b"", "x@y.test")), InvalidInput, "acme"),
        (
            lambda s, a: changes.add_account(
                s, NewAccount(new_id(), "new", "", "", b"", "s@new.gw.test", domains=("mail.acme.example",))
            ),
            InvalidInput, "mail.acme.example",
        ),
        (
            lambda s, a: changes.edit_account(s, named.account_id(s, "globex"), {}, domains=("acme.test",)),
            InvalidInput, "is a mailbox of another account already",
        ),
        (lambda s, a: changes.edit_account(s, a, {}, no_domains=("other.test",)), UnknownThing, "other.test"),
        (lambda s, a: changes.add_mailbox(s, a, NewMailbox("Support@ACME.test", "S", "other")), InvalidInput, "mailbox already"),
        (lambda s, a: changes.add_mailbox(s, a, NewMailbox("ann@acme.test", "S", "ann")), InvalidInput, "never both"),
        (lambda s, a: changes.add_mailbox(s, a, NewMailbox("new@acme.test", "S", "support")), InvalidInput, "--inbound"),
        (lambda s, a: changes.add_mailbox(s, a, NewMailbox("new@acme.test", "S", "new", team="nope")), UnknownThing, "finance, support"),
        (lambda s, a: changes.edit_mailbox(s, a, "no@acme.test", {"name": "x"}), UnknownThing, "no@acme.test"),
        (lambda s, a: changes.edit_mailbox(s, a, "sales@acme.test", {}, team="nope"), UnknownThing, "nope"),
        (lambda s, a: changes.edit_mailbox(s, a, "sales@acme.test", {"inbound": "support"}), InvalidInput, "support"),
        (lambda s, a: team_changes.add_team(s, a, "finance"), InvalidInput, "finance"),
        (lambda s, a: team_changes.add_agent(s, a, NewAgent("ANN@acme.test", "A", ("support",))), InvalidInput, "an agent already; `gateway agent edit ann@acme.test`"),
        (lambda s, a: team_changes.add_agent(s, a, NewAgent("support@acme.test", "A", ("support",))), InvalidInput, "mailbox already"),
        (lambda s, a: team_changes.add_agent(s, a, NewAgent("new@acme.test", "A", ("nope",))), UnknownThing, "nope"),
        (lambda s, a: team_changes.set_agent_status(s, a, "no@acme.test", "away"), UnknownThing, "no@acme.test"),
        (lambda s, a: changes.revoke_key(s, a, "0" * 32), UnknownThing, "key list"),
        (lambda s, a: ticket_changes.set_ticket_state(s, a, 99, "closed", by="x"), UnknownThing, "ticket 99"),
        (lambda s, a: named.account_id(s, "nobody"), UnknownThing, "acme"),
        (lambda s, a: ticket_reading.ticket(s, a, 99), UnknownThing, "99"),
        (lambda s, a: message_reading.message(s, a, "0" * 32), UnknownThing, "message"),
        (lambda s, a: log_reading.trace(s, "NOSUCHTRACE"), UnknownThing, "NOSUCHTRACE"),
        (lambda s, a: policies.policy_text(s, a, 7), UnknownThing, "7"),
    ],
)  # fmt: skip
def test_taken_and_unknown_names_are_told_and_nothing_is_half_written(
    desk: Desk, change: Any, error: type[Exception], text: str
) -> None:
    before = [desk.rows(t) for t in (Account, MailboxRow, Change)]
    with pytest.raises(error, match=text):
        change(desk.store, desk.acme)
    assert [desk.rows(t) for t in (Account, MailboxRow, Change)] == before


def test_a_new_default_mailbox_takes_the_place_of_the_old(desk: Desk) -> None:
    changes.edit_mailbox(desk.store, desk.acme, "sales@acme.test", {"is_default": True})
    assert [r.address for r in desk.rows(MailboxRow) if r.is_default and r.account_id == desk.acme] == [
        "sales@acme.test"
    ]


def test_contacts_are_added_or_brought_up_to_date(desk: Desk) -> None:
    people = [NewContact("a@x.test", "A"), NewContact("b@x.test", "B"), NewContact("A@X.test", "A again")]
    assert add_contacts(desk.store, desk.acme, people) == (2, 1)
    filing = desk.filing(numbered(1).replace(b"carol@customer.test", b"a@X.test"))
    assert filing.facts
    assert filing.facts.context.contact
    assert filing.facts.context.contact.name == "A again"


def test_agents_of_two_accounts_have_numbers_of_their_own(desk: Desk) -> None:
    globex = named.account_id(desk.store, "globex")
    team_changes.add_agent(desk.store, globex, NewAgent("gil@globex.test", "Gil", ("support",)))
    desk.file(numbered(1), account="globex")
    filing = desk.filing(
        numbered(2), f"{desk.ground.tokens.answer_local(globex, 1, 1)}@globex.gw.test", account="globex"
    )
    assert filing.facts
    assert [c.agent for c in filing.facts.context.candidates] == ["gil@globex.test"]


# --- kept facts ---


def test_facts_come_back_as_they_were(desk: Desk) -> None:
    content = numbered("Grüße \U0001f600 \x7f", text="Text mit \0 und \x1b[31m").replace(b"It leaks", b"\xff\xfe")
    outcome = desk.file(content)
    stored = stored_message.stored_message(desk.store, desk.blobs, desk.acme, outcome.message_id)
    assert stored.envelope.content == content
    assert stored.facts
    assert stored.facts.message.subject == message_reading.message(desk.store, desk.acme, outcome.message_id)["subject"]
    assert stored.envelope.recipients == ("support@acme.gw.test",)


def test_keys_of_other_tables_are_what_they_say(desk: Desk) -> None:
    desk.file(numbered(1))
    (receipt,), (twin,), (participant,) = desk.rows(Receipt), desk.rows(Twin), desk.rows(Participant)
    message = desk.rows(MessageRow)[0]
    assert (receipt.message_id, receipt.trace_id) == (message.id, message.trace_id)
    assert (twin.message_id, twin.ticket_id) == (message.id, message.ticket_id)
    assert (participant.address_key, participant.role) == ("carol@customer.test", "customer")


def test_deferred_is_no_outcome_of_a_commit() -> None:
    assert str(final_reply(Deferred(Reason.STORE_UNAVAILABLE), "X" * 16)).startswith("451 4.3.0 XXXXXXXXXXXXXXXX ")


# --- what rules set, and messages that go the way again ---

SETTING = """
rules:
  - name: big
    if: {subject: {contains: Pump}}
    then: [{set: {priority: high, fields: {plant: north}}}, {tag: [vip, pump]}]
"""
QUARANTINING = "rules: [{name: wait, if: {subject: {contains: Pump}}, then: [quarantine]}]"
REASSIGNING = """
rules:
  - name: to bob
    if: {kind: answer}
    then: [{assign: {team: support, strategy: round-robin, reassign: true}}, {tag: [answered]}, {set: {fields: {seen: yes}}}]
"""


def test_what_rules_set_stands_on_the_ticket(desk: Desk) -> None:
    desk.file(numbered(1), policy=SETTING)
    ticket = desk.ticket(1)
    assert (ticket["priority"], ticket["fields"], ticket["tags"]) == ("high", {"plant": "north"}, ["vip", "pump"])


def test_an_answer_may_be_given_to_another_agent_and_adds_to_tags_and_fields(desk: Desk) -> None:
    desk.file(numbered(1), policy=SETTING)
    answer = f"In-Reply-To: <{desk.our_message_id()}>"
    desk.file(numbered(2, answer), policy=REASSIGNING)
    ticket = desk.ticket(1)
    assert ticket["assignee"] in ("ann@acme.test", "bob@acme.test")
    assert (ticket["tags"], ticket["fields"]) == (["vip", "pump", "answered"], {"plant": "north", "seen": "yes"})
    assert desk.told("customer-answered") == [ticket["assignee"]]
    desk.consistent()


def test_a_released_message_gets_its_ticket_once_even_when_released_twice_at_once(desk: Desk) -> None:
    waiting = desk.filing(numbered(1), policy=QUARANTINING)
    (outcome,) = desk.write(waiting)
    assert isinstance(outcome, Accepted)
    assert outcome.ticket is None
    assert desk.told() == []
    assert waiting.facts
    released = decide(waiting.facts, compile_policy(load(QUARANTINING), 0), released=True)
    again = replace(waiting, decision=released, again=True, steps=())
    first, second = desk.write(again, again)
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (first.ticket, first.duplicate, second.duplicate) == (1, False, True)
    assert [m["disposition"] for m in desk.ticket(1)["messages"]] == ["ticketed"]
    assert len(desk.told("acknowledgement")) == 1
    desk.consistent()


def test_a_ticket_of_a_removed_agent_is_the_teams_again_when_it_is_answered(desk: Desk) -> None:
    desk.file(numbered(1), policy=ROUND_ROBIN.replace("'*@acme.test'", "support@acme.test"))
    assignee = desk.ticket(1)["assignee"]
    assert assignee
    answer = f"In-Reply-To: <{desk.our_message_id()}>"
    with changing(desk.store) as connection:
        connection.execute(update(Agent).where(columns(Agent).address == assignee).values(removed_at=AT))
    desk.file(numbered(2, answer))
    assert desk.ticket(1)["assignee"] is None
    assert desk.told("customer-answered") == [a for a in ("ann@acme.test", "bob@acme.test") if a != assignee]


# --- mail that would go round and round ---


def test_a_notice_of_ours_that_comes_back_is_kept_and_told_to_nobody(desk: Desk) -> None:
    desk.file(numbered(1))
    told = desk.told()
    ours = desk.our_message_id("new-ticket")
    returned = (
        f"From: Acme <notice@acme.gw.test>\r\nTo: support@acme.test\r\nMessage-ID: <{ours}>\r\n\r\nnew ticket\r\n"
    )
    outcome = desk.file(returned.encode())
    assert (outcome.reason, outcome.ticket) == (Reason.OWN_MAIL, None)
    assert desk.told() == told


@pytest.mark.parametrize("headers", [(), ("Auto-Submitted: auto-replied",)])
def test_agents_that_answer_every_notice_by_machine_are_told_twenty_times_an_hour_at_most(
    desk: Desk, headers: tuple[str, ...]
) -> None:
    for n in range(50):
        author = ("ann", "bob")[n % 2]
        content = numbered(n, *headers).replace(b"Carol <carol@customer.test>", f"{author}@acme.test".encode())
        desk.file(content, reverse_path=f"{author}@acme.test")
    assert max(Counter(desk.told()).values()) == 20
    assert len(desk.rows(Ticket)) == 50
    last = desk.rows(MessageRow)[-1]
    steps = log_reading.trace(desk.store, last.trace_id)["events"]
    assert any(s["stage"] == "notify" and "budget" in s["reason"] for s in steps)


def test_a_stranger_with_an_agents_token_address_is_told_to_the_agents(desk: Desk) -> None:
    desk.file(numbered(1))
    before = desk.told("customer-answered")
    answer = desk.ground.tokens.answer_local(desk.acme, 1, 1)
    stranger = numbered(2).replace(b"carol@customer.test", b"mallory@evil.test")
    desk.file(stranger, f"{answer}@acme.gw.test")
    assert len(desk.told("customer-answered")) > len(before)
    assert desk.ticket(1)["messages"][1]["internal"]


def test_a_token_address_beside_a_mailbox_is_an_answer_to_all_and_opens_a_ticket(desk: Desk) -> None:
    desk.file(numbered(1))
    row = desk.rows(Outbox)[-1]
    bounce = desk.ground.tokens.bounce_local(desk.acme, row.id)
    answer = desk.ground.tokens.answer_local(desk.acme, 1, 1)
    for n, local in enumerate((bounce, answer), 2):
        assert desk.file(numbered(n), "support@acme.gw.test", f"{local}@acme.gw.test").ticket == n


def test_a_claim_whose_answer_got_lost_is_free_again_for_who_made_it(desk: Desk) -> None:
    desk.file(numbered(1))
    first = outbox.claim(desk.store, AT, 10, by="worker")
    assert len(first) == 3
    in_hand = {first[0].id}
    assert outbox.claim(desk.store, AT, 10, by="another") == []
    again = outbox.claim(desk.store, AT, 10, in_hand=in_hand, by="worker")
    assert {c.id for c in again} == {c.id for c in first[1:]}


def test_an_account_that_holds_mail_is_not_removed_and_an_empty_one_is(desk: Desk) -> None:
    desk.file(numbered(1))
    with pytest.raises(InvalidInput, match="holds 1 messages"):
        removal.remove_account(desk.store, desk.acme, "acme")
    removal.remove_account(desk.store, named.account_id(desk.store, "globex"), "globex")
    assert {m.account_id for m in desk.rows(MailboxRow)} == {desk.acme, named.account_id(desk.store, "system")}
    desk.consistent()


def test_an_attempt_recorded_twice_because_the_first_answer_got_lost_is_on_record_once(desk: Desk) -> None:
    desk.file(numbered(1))
    claim = outbox.claim(desk.store, AT, 1)[0]
    done = Settlement(claim, Delivery(DeliveryResult.DELIVERED, 250, "2.0.0 taken", "smtp:relay"), "delivered", AT)
    outbox.settle(desk.store, [done], AT)
    outbox.settle(desk.store, [done], AT)
    row = next(r for r in desk.rows(Outbox) if r.id == claim.id)
    assert (row.state, row.attempts) == ("delivered", 1)
    desk.consistent()
