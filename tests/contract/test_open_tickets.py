"""Which ticket a rule's mail ends in, and what it leaves there, on every database: joining, mailboxes, notes, Cc, closing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from gateway.store import outbox, team_changes, ticket_changes
from gateway.store.changes import changing
from gateway.store.contacts import NewContact, add_contacts
from gateway.store.notice_reading import Notices
from gateway.store.tables import Agent, Event, MailboxRow, Outbox, Participant, Ticket
from gateway.store.tables.columns import columns
from gateway.store.ticket_changes import note_ticket, ticket_history
from tests.contract.test_store import AT, BOTH, Desk, copy_for
from tests.servers.inprocess import fresh_ground, make_seed, numbered

JOIN = "accept: {join_open_ticket: true}"
DAVE = "Dave <dave@customer.test>"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def seed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return make_seed(tmp_path_factory.mktemp(f"seed-{request.param}"), server)


@pytest.fixture
def desk(seed: Path, tmp_path: Path) -> Iterator[Desk]:
    ground = fresh_ground(seed, tmp_path / "data")
    yield Desk(ground)
    ground.close()


def taking_part(desk: Desk, number: int) -> list[tuple[str, str]]:
    return sorted((p["address"], p["role"]) for p in desk.ticket(number)["participants"])


def notes(desk: Desk, number: int) -> list[tuple[str, str]]:
    history = ticket_history(desk.store, desk.acme, number)
    return [(e["detail"]["by"], e["detail"]["text"]) for e in history if e["stage"] == "note"]


def away(desk: Desk, *locals_: str) -> None:
    for local in locals_:
        team_changes.set_agent_status(desk.store, desk.acme, f"{local}@acme.test", "unavailable")


# --- joining ---


@pytest.mark.parametrize("state", ["open", "pending"])
def test_new_mail_joins_the_ticket_in_work_and_opens_it(desk: Desk, state: str) -> None:
    desk.file(numbered(1))
    ticket_changes.set_ticket_state(desk.store, desk.acme, 1, state, by="test")
    assert desk.file(numbered(2), policy=JOIN).ticket == 1
    ticket = desk.ticket(1)
    assert (ticket["state"], len(ticket["messages"]), len(desk.rows(Ticket))) == ("open", 2, 1)
    assert desk.told("customer-answered") == ["ann@acme.test", "bob@acme.test"]
    assert desk.told("acknowledgement") == ["carol@customer.test"]
    desk.consistent()


def test_a_closed_ticket_is_not_joined(desk: Desk) -> None:
    desk.file(numbered(1))
    ticket_changes.set_ticket_state(desk.store, desk.acme, 1, "closed", by="test")
    assert desk.file(numbered(2), policy=JOIN).ticket == 2


def test_somebody_else_s_ticket_another_mailbox_s_and_another_account_s_are_not_joined(desk: Desk) -> None:
    desk.file(numbered(1).replace(b"carol@", b"dave@"))
    desk.file(numbered(2), "billing@acme.gw.test")
    desk.file(numbered(3), account="globex")
    assert desk.file(numbered(4), policy=JOIN).ticket == 3
    assert desk.file(numbered(5), "billing@acme.gw.test", policy=JOIN).ticket == 2


def test_of_several_tickets_the_one_is_joined_that_something_happened_on_last(desk: Desk) -> None:
    for n in range(3):
        desk.now = AT + timedelta(minutes=n)
        desk.file(numbered(n))
    note_ticket(desk.store, desk.acme, 2, "called her", by="ann@acme.test")
    assert desk.file(numbered(9), policy=JOIN).ticket == 2


def test_with_a_duration_a_ticket_that_lay_longer_is_left_alone(desk: Desk) -> None:
    desk.file(numbered(1))
    desk.now = AT + timedelta(minutes=90)
    assert desk.file(numbered(2), policy="accept: {join_open_ticket: 90m}").ticket == 1
    desk.now += timedelta(minutes=91)
    assert desk.file(numbered(3), policy="accept: {join_open_ticket: 90m}").ticket == 2


def test_a_stranger_who_names_a_customer_in_cc_does_not_get_his_next_mail(desk: Desk) -> None:
    """T29: else whoever opens a ticket with a customer in Cc would read what that one asks next."""
    desk.file(numbered(1, f"Cc: {DAVE}"))
    assert ("dave@customer.test", "cc") in taking_part(desk, 1)
    assert desk.file(numbered(2).replace(b"carol@", b"dave@"), policy=JOIN).ticket == 2


def test_only_the_newest_fifty_tickets_are_looked_at(desk: Desk) -> None:
    for n in range(51):
        desk.file(numbered(n))
        if n:
            ticket_changes.set_ticket_state(desk.store, desk.acme, n + 1, "closed", by="test")
    assert desk.file(numbered("x"), policy=JOIN).ticket == 52


def test_new_ticket_opens_one_beside_the_open_one(desk: Desk) -> None:
    desk.file(numbered(1))
    policy = f"{JOIN}\nrules: [{{if: {{subject: {{contains: order}}}}, then: [new_ticket]}}]"
    assert desk.file(numbered("order"), policy=policy).ticket == 2
    assert desk.file(numbered(3), policy=policy).ticket == 2


# --- closed tickets ---

AFTER_A_MONTH = "rules: [{if: {kind: answer, ticket: {closed_for: 30d}}, then: [new_ticket]}]"


def answer(desk: Desk, n: object) -> bytes:
    return numbered(n, f"In-Reply-To: <{desk.our_message_id()}>")


def closed(desk: Desk, at: Any) -> None:
    with changing(desk.store) as connection:
        connection.execute(update(Ticket).values(state="closed", updated_at=at, closed_at=at))


def test_an_answer_to_a_ticket_closed_lately_opens_it_again(desk: Desk) -> None:
    desk.file(numbered(1))
    closed(desk, AT)
    desk.now = AT + timedelta(days=29)
    assert desk.file(answer(desk, 2), policy=AFTER_A_MONTH).ticket == 1
    (ticket,) = desk.rows(Ticket)
    assert (ticket.state, ticket.closed_at) == ("open", None)


def test_an_answer_to_a_ticket_closed_long_ago_opens_another_though_somebody_wrote_a_note_since(desk: Desk) -> None:
    desk.file(numbered(1))
    closed(desk, AT)
    note_ticket(desk.store, desk.acme, 1, "still closed", by="ann@acme.test")
    desk.now = AT + timedelta(days=30)
    assert desk.file(answer(desk, 2), policy=AFTER_A_MONTH).ticket == 2
    assert [t.state for t in desk.rows(Ticket)] == ["closed", "open"]
    assert desk.told("new-ticket").count("ann@acme.test") == 2
    desk.consistent()


def test_who_closed_it_before_that_was_remembered_last_touched_it_then(desk: Desk) -> None:
    desk.file(numbered(1))
    with changing(desk.store) as connection:
        connection.execute(update(Ticket).values(state="closed", closed_at=None))
    desk.now = AT + timedelta(days=30)
    assert desk.file(answer(desk, 2), policy=AFTER_A_MONTH).ticket == 2


def test_a_ticket_closed_by_a_rule_or_a_person_knows_since_when(desk: Desk) -> None:
    desk.file(numbered(1), policy="rules: [{then: [{set: {state: closed}}]}]")
    desk.file(numbered(2))
    ticket_changes.set_ticket_state(desk.store, desk.acme, 2, "closed", by="test")
    first, second = desk.rows(Ticket)
    assert first.closed_at == AT
    assert second.closed_at == second.updated_at
    desk.now = AT + timedelta(days=1)
    desk.file(answer(desk, 3), policy="rules: [{if: {kind: answer}, then: [{set: {state: closed}}]}]")
    assert {t.closed_at for t in desk.rows(Ticket) if t.updated_at == desk.now} == {desk.now}
    ticket_changes.set_ticket_state(desk.store, desk.acme, 2, "open", by="test")
    assert [t.closed_at for t in desk.rows(Ticket) if t.number == 2] == [None]


# --- mailboxes ---


def to_billing(condition: str = "{subject: {contains: Pump}}") -> str:
    return f"rules: [{{if: {condition}, then: [{{mailbox: Billing@acme.test}}]}}]"


def test_the_ticket_belongs_to_the_mailbox_that_a_rule_names_and_to_its_team(desk: Desk) -> None:
    desk.file(numbered(1), policy=to_billing())
    ticket = desk.ticket(1)
    assert (ticket["mailbox"], ticket["team"], ticket["assignee"]) == ("billing@acme.test", "finance", None)
    assert desk.told("new-ticket") == ["fay@acme.test"]


def test_an_answer_moves_the_ticket_to_the_mailbox_and_leaves_it_with_its_team(desk: Desk) -> None:
    desk.file(numbered(1))
    desk.file(answer(desk, 2), policy=to_billing("{kind: answer}"))
    assert (desk.ticket(1)["mailbox"], desk.ticket(1)["team"]) == ("billing@acme.test", "support")


def test_a_mailbox_removed_since_leaves_the_ticket_where_the_mail_came(desk: Desk) -> None:
    with changing(desk.store) as connection:
        b = columns(MailboxRow)
        connection.execute(update(MailboxRow).where(b.address_key == "billing@acme.test").values(removed_at=AT))
    desk.file(numbered(1), policy=to_billing())
    assert (desk.ticket(1)["mailbox"], desk.ticket(1)["team"]) == ("support@acme.test", "support")


def test_the_rules_of_the_team_the_mailbox_belongs_to_see_it(desk: Desk) -> None:
    teams = "teams: {finance: {rules: [{then: [{tag: money}]}]}, support: {rules: [{then: [{tag: help}]}]}}"
    desk.file(numbered(1), policy=f"{to_billing()}\n{teams}")
    desk.file(numbered(2), policy=teams)
    desk.file(numbered(3), "sales@acme.gw.test", policy=teams)
    assert [desk.ticket(n)["tags"] for n in (1, 2, 3)] == [["money"], ["help"], ["help"]]


# --- notes ---

NOTES = (
    "rules: [{name: a, then: [{note: big customer}]}, {name: b, if: {kind: [new, answer]}, then: [{note: call back}]}]"
)


def test_notes_of_rules_stand_on_the_ticket_and_in_no_mail(desk: Desk) -> None:
    desk.file(numbered(1), policy=NOTES)
    assert notes(desk, 1) == [("rule a", "big customer"), ("rule b", "call back")]
    desk.file(answer(desk, 2), policy=NOTES)
    assert notes(desk, 1)[2:] == [("rule b", "call back")]
    assert [m["internal"] for m in desk.ticket(1)["messages"]] == [False, False]


def test_agents_are_told_the_notes_and_nobody_else_is(desk: Desk) -> None:
    desk.file(numbered(1), policy=NOTES.replace("rules: [", "rules: [{then: [{notify: boss@else.test}]}, "))
    claims = outbox.claim(desk.store, AT + timedelta(seconds=1), 10)
    notices = Notices(desk.store, claims, "gw.test")
    seen = {notice.recipient.address: notice.notes for notice in map(notices.of, claims)}
    both = ("big customer", "call back")
    assert seen == {
        "ann@acme.test": both, "bob@acme.test": both, "boss@else.test": (), "carol@customer.test": (),
    }  # fmt: skip


def test_a_group_that_fails_leaves_no_note(desk: Desk) -> None:
    with pytest.raises(ZeroDivisionError), desk.store.write() as connection:
        desk.commit(connection, [desk.filing(numbered(1), policy=NOTES)], AT)
        raise ZeroDivisionError
    assert [e for e in desk.rows(Event) if e.stage == "note"] == []


@pytest.mark.parametrize("together", [True, False], ids=["one group", "two transactions"])
@pytest.mark.parametrize("order", [("support", "billing"), ("billing", "support")])
def test_copies_leave_each_note_once_and_that_of_the_owning_mailbox_in_any_order(
    desk: Desk, order: tuple[str, str], together: bool
) -> None:
    policy = """
    rules:
      - {name: a, then: [{note: seen}]}
      - {name: b, if: {mailbox: billing@acme.test}, then: [{note: money}]}
    """
    copies = [desk.filing(copy_for(m, to=BOTH), f"{m}@acme.gw.test", policy=policy) for m in order]
    if together:
        desk.write(*copies)
    else:
        for copy in copies:
            desk.write(copy)
    assert sorted(notes(desk, 1)) == [("rule a", "seen"), ("rule b", "money")]


# --- who takes part ---


def test_those_of_cc_take_part_and_are_told_nothing(desk: Desk) -> None:
    add_contacts(desk.store, desk.acme, [NewContact("Lou@other.test")])
    desk.file(numbered(1, f"Cc: {DAVE}, lou@OTHER.test, eve@other.test, billing@acme.test, ann@acme.test"))
    assert taking_part(desk, 1) == [
        ("carol@customer.test", "customer"), ("dave@customer.test", "cc"), ("lou@other.test", "cc"),
    ]  # fmt: skip
    assert desk.told("acknowledgement") == ["carol@customer.test"]


def test_an_answer_adds_those_who_do_not_take_part_yet(desk: Desk) -> None:
    desk.file(numbered(1, f"Cc: {DAVE}"))
    desk.file(numbered(2, f"In-Reply-To: <{desk.our_message_id()}>", f"Cc: {DAVE}, fred@customer.test"))
    assert taking_part(desk, 1) == [
        ("carol@customer.test", "customer"), ("dave@customer.test", "cc"), ("fred@customer.test", "cc"),
    ]  # fmt: skip


def test_two_answers_in_one_group_add_somebody_once(desk: Desk) -> None:
    desk.file(numbered(1))
    more = [numbered(n, f"In-Reply-To: <{desk.our_message_id()}>", f"Cc: {DAVE}") for n in (2, 3)]
    desk.write(*(desk.filing(m) for m in more))
    assert len(desk.rows(Participant)) == 2


def test_the_answer_of_somebody_taken_from_cc_joins_and_that_of_a_stranger_is_a_note(desk: Desk) -> None:
    desk.file(numbered(1, f"Cc: {DAVE}"))
    for who in (b"dave@", b"mallory@"):
        desk.file(answer(desk, who.decode()).replace(b"carol@", who))
    assert [m["internal"] for m in desk.ticket(1)["messages"]] == [False, False, True]


# --- otherwise ---


def assigning(otherwise: str) -> str:
    return f"rules: [{{then: [{{assign: {{team: finance, strategy: round-robin, otherwise: {otherwise}}}}}]}}]"


@pytest.mark.parametrize("otherwise", ["support", "{team: support, strategy: least-today}"])
def test_where_nobody_of_the_team_can_get_mail_another_team_gets_it(desk: Desk, otherwise: str) -> None:
    desk.file(numbered(1), policy=assigning(otherwise))
    assert desk.ticket(1)["assignee"] == "fay@acme.test"
    away(desk, "fay", "ann")
    desk.file(numbered(2), policy=assigning(otherwise))
    assert (desk.ticket(2)["team"], desk.ticket(2)["assignee"]) == ("support", "bob@acme.test")


def test_or_an_agent_gets_it_though_he_is_away_too(desk: Desk) -> None:
    away(desk, "fay", "ann")
    desk.file(numbered(1), policy=assigning("ann@acme.test"))
    assert (desk.ticket(1)["team"], desk.ticket(1)["assignee"]) == ("support", "ann@acme.test")


def test_where_nobody_there_can_get_it_either_it_waits_for_the_first_team(desk: Desk) -> None:
    away(desk, "fay", "ann", "bob")
    desk.file(numbered(1), policy=assigning("support"))
    assert (desk.ticket(1)["team"], desk.ticket(1)["assignee"]) == ("finance", None)
    assert {r.status for r in desk.rows(Agent)} == {"unavailable"}
    assert {r.kind for r in desk.rows(Outbox)} == {"acknowledgement", "new-ticket"}


def test_of_several_teams_whoever_has_the_fewest_gets_it(desk: Desk) -> None:
    policy = "rules: [{then: [{assign: {team: [finance, support]}}]}]"
    for n in range(3):
        desk.file(numbered(n), policy=policy)
    assert sorted(desk.ticket(n)["assignee"] for n in (1, 2, 3)) == ["ann@acme.test", "bob@acme.test", "fay@acme.test"]
    away(desk, "fay")
    desk.file(numbered(3), policy=policy)
    assert desk.ticket(4)["team"] == "support"


def test_strangers_whose_from_names_nobody_were_taken_for_one_customer(desk: Desk) -> None:
    """In one group the second of them came back to the agent of the first."""
    policy = "rules: [{then: [{assign: {team: support, strategy: round-robin, last_agent_first: true}}]}]"
    nobody = [numbered(n).replace(b"From: Carol <carol@customer.test>", b"From: nobody") for n in (1, 2)]
    desk.write(*(desk.filing(content, policy=policy) for content in nobody))
    assert desk.ticket(1)["assignee"] != desk.ticket(2)["assignee"]


def test_a_customer_comes_back_within_one_group_too(desk: Desk) -> None:
    policy = "rules: [{then: [{assign: {team: support, strategy: round-robin, last_agent_first: true}}]}]"
    desk.write(*(desk.filing(numbered(n), policy=policy) for n in (1, 2)))
    assert desk.ticket(1)["assignee"] == desk.ticket(2)["assignee"]
