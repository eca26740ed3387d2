"""The rows of the feature list that a policy answers for, each by its number, from MAIL FROM to the ticket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.clock import now
from gateway.store import outbox, ticket_reading
from gateway.store.contacts import NewContact, add_contacts
from tests.scenarios.test_replay import go_live
from tests.servers.inprocess import Client, Gateway, Reply, fresh_ground, numbered, running

BILLING = "billing@acme.gw.test"


@pytest.fixture
async def gateway(seed: Path, tmp_path: Path) -> AsyncIterator[Gateway]:
    """Waits longer for DNS than others: on a machine that stalls for a second, mail would go unproven and join nothing."""
    async with running(fresh_ground(seed, tmp_path / "data", GATEWAY_DNS__TIMEOUT_SECONDS="20")) as gateway:
        yield gateway


def tickets(gateway: Gateway) -> list[dict[str, Any]]:
    """Oldest first."""
    return ticket_reading.tickets(gateway.ground.store, gateway.account_id())[::-1]


def ticket(gateway: Gateway, number: int = 1) -> dict[str, Any]:
    return ticket_reading.ticket(gateway.ground.store, gateway.account_id(), number)


def told(gateway: Gateway, number: int = 1) -> list[str]:
    """Whom the ticket's mail to agents and others is for."""
    return sorted(n["recipient"] for n in ticket(gateway, number)["notifications"] if n["kind"] != "acknowledgement")


def matched(gateway: Gateway, reply: Reply) -> list[dict[str, Any]]:
    """The rules that matched, as the message keeps them."""
    found: list[dict[str, Any]] = next(m for m in gateway.messages() if m["trace"] == reply.trace)["rules"]
    return found


def rule_that_matched(gateway: Gateway, reply: Reply) -> list[str]:
    return [r["rule"] for r in matched(gateway, reply)]


# --- D17-D21: what a rule does with a mail ---


async def test_d17_ignore_keeps_the_mail_without_a_ticket(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "rules: [{name: ads, if: {subject: {contains: pump}}, then: [ignore]}]")
    reply = await client.mail(numbered(1))
    assert (reply.code, tickets(gateway)) == (250, [])
    assert gateway.messages()[0]["disposition"] == "ignored"
    assert rule_that_matched(gateway, reply) == ["ads"]


async def test_d18_route_gives_it_to_a_team_unassigned(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "rules: [{if: {subject: {contains: pump}}, then: [{route: finance}]}]")
    await client.mail(numbered(1))
    assert (ticket(gateway)["team"], ticket(gateway)["assignee"]) == ("finance", None)
    assert told(gateway) == ["fay@acme.test"]


async def test_d19_assign_gives_it_to_the_advisor_named(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "rules: [{if: {subject: {contains: pump}}, then: [{assign: bob@acme.test}]}]")
    await client.mail(numbered(1))
    assert (ticket(gateway)["team"], ticket(gateway)["assignee"]) == ("support", "bob@acme.test")
    assert told(gateway) == ["bob@acme.test"]


async def test_d20_new_ticket_makes_one_though_the_customer_has_an_open_one(gateway: Gateway, client: Client) -> None:
    text = """
    accept: {join_open_ticket: true}
    rules: [{name: orders, if: {subject: {contains: order}}, then: [new_ticket]}]
    """
    await go_live(gateway, text)
    for subject in ("first", "second", "order"):
        await client.mail(numbered(subject))
    assert [len(t["messages"]) for t in tickets(gateway)] == [2, 1]
    assert ticket(gateway, 2)["subject"] == "Pump order"


async def test_d20_on_an_answer_too(gateway: Gateway, client: Client) -> None:
    await client.mail(numbered(1))
    thread = gateway.ground.tokens.message_id(gateway.account_id(), 1, "0" * 32, "acme.gw.test")
    await go_live(gateway, "rules: [{if: {kind: answer, subject: {contains: order}}, then: [new_ticket]}]")
    await client.mail(numbered("and", f"In-Reply-To: <{thread}>"))
    await client.mail(numbered("order", f"In-Reply-To: <{thread}>"))
    assert [len(t["messages"]) for t in tickets(gateway)] == [2, 1]


async def test_d21_new_mail_joins_the_open_ticket_of_its_customer(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "accept: {join_open_ticket: true}")
    first, second = [await client.mail(numbered(n)) for n in (1, 2)]
    assert (first.code, second.code) == (250, 250)
    (only,) = tickets(gateway)
    assert len(only["messages"]) == 2
    recalled = next(e for e in gateway.trace(second.trace)["events"] if e["stage"] == "recall")
    assert recalled["detail"]["tickets"] == [1]


async def test_d21_each_mailbox_may_have_it_its_own_way(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "mailboxes: {billing@acme.test: {accept: {join_open_ticket: 90m}}}")
    for n in range(2):
        await client.mail(numbered(n))
        await client.mail(numbered(f"bill {n}"), BILLING)
    assert [(t["mailbox"], len(t["messages"])) for t in tickets(gateway)] == [
        ("support@acme.test", 1), ("billing@acme.test", 2), ("support@acme.test", 1),
    ]  # fmt: skip


async def test_d21_by_nobody_s_mere_word(gateway: Gateway, client: Client) -> None:
    """Whoever writes the customer's address into From gets a ticket of his own."""
    await go_live(gateway, "accept: {join_open_ticket: true, unverified: accept}")
    await client.mail(numbered(1).replace(b"carol@customer.test", b"carol@nobody.test"))
    await client.mail(numbered(2).replace(b"carol@customer.test", b"carol@nobody.test"))
    assert len(tickets(gateway)) == 2


async def test_what_the_policy_does_not_want_is_not_looked_for(gateway: Gateway, client: Client) -> None:
    await client.mail(numbered(1))
    reply = await client.mail(numbered(2))
    recalled = next(e for e in gateway.trace(reply.trace)["events"] if e["stage"] == "recall")
    assert recalled["detail"]["tickets"] == []


# --- S13-S20: conditions and the ways to compare ---


async def test_s13_a_rule_sets_fields_of_the_ticket(gateway: Gateway, client: Client) -> None:
    text = """
    rules:
      - if: {any: [{subject: {contains: pilne}}, {body: {contains: pilne}}]}
        then: [{set: {priority: high, state: pending, fields: {queue: fast}}}, {tag: [urgent]}]
    """
    await go_live(gateway, text)
    await client.mail(numbered("Pilne"))
    await client.mail(numbered(2, text="To jest PILNE!"))
    await client.mail(numbered(3))
    assert [(t["priority"], t["state"], t["fields"], t["tags"]) for t in tickets(gateway)] == [
        ("high", "pending", {"queue": "fast"}, ["urgent"]),
        ("high", "pending", {"queue": "fast"}, ["urgent"]),
        ("normal", "open", {}, []),
    ]


CONDITIONS = {
    "s14 sender": "sender: CAROL@customer.test",
    "s15 the address it was forwarded to": "recipient: billing@acme.gw.test",
    "s15 its mailbox": "mailbox: billing@acme.test",
    "s16 words of the subject": "subject: {contains: pump}",
    "s17 words of the body": "body: {contains: leaks}",
    "s18 exactly": "subject: pump 1",
    "s19 *@x": 'sender: {wildcard: "*@customer.test"}',
    "s19 a@*": 'sender: {wildcard: "carol@*"}',
    "s19 *a*": 'sender: {wildcard: "*custom*"}',
    "s20 regex": r"subject: {regex: '^Pump \d+$'}",
}
OTHERS = {
    "s14 sender": "sender: dave@customer.test",
    "s15 the address it was forwarded to": "recipient: support@acme.gw.test",
    "s15 its mailbox": "mailbox: support@acme.test",
    "s16 words of the subject": "subject: {contains: hose}",
    "s17 words of the body": "body: {contains: drips}",
    "s18 exactly": "subject: pump",
    "s19 *@x": 'sender: {wildcard: "*@customer"}',
    "s19 a@*": 'sender: {wildcard: "aro@*"}',
    "s19 *a*": 'sender: {wildcard: "*paypal*"}',
    "s20 regex": r"subject: {regex: '^pump \d+$'}",
}


@pytest.mark.parametrize("row", CONDITIONS)
async def test_s14_to_s20_a_rule_holds_for_what_it_names_and_for_nothing_else(
    gateway: Gateway, client: Client, row: str
) -> None:
    text = f"""
    rules:
      - {{name: other, if: {{{OTHERS[row]}}}, then: [{{tag: [other]}}]}}
      - {{name: named, if: {{{CONDITIONS[row]}}}, then: [{{tag: [named]}}]}}
    """
    await go_live(gateway, text)
    reply = await client.mail(numbered(1), BILLING)
    assert rule_that_matched(gateway, reply) == ["named"]
    assert ticket(gateway)["tags"] == ["named"]


# --- S21, S26-S28: what is taken, who takes part, what is refused ---


async def test_s21_all_mail_is_new_mail_and_answers(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "accept: {messages: all}")
    await client.mail(numbered(1))
    thread = gateway.ground.tokens.message_id(gateway.account_id(), 1, "0" * 32, "acme.gw.test")
    await client.mail(numbered(2, f"References: <{thread}>"))
    await client.mail(numbered(3))
    assert [len(t["messages"]) for t in tickets(gateway)] == [2, 1]


@pytest.mark.parametrize(
    ("word", "people"),
    [
        ("none", []),
        ("listed", ["lou@other.test"]),
        ("company", ["dave@customer.test", "lou@other.test"]),
        ("all", ["dave@customer.test", "eve@other.test", "lou@other.test"]),
    ],
)
async def test_s26_those_of_cc_take_part_as_the_account_wants_it(
    gateway: Gateway, client: Client, word: str, people: list[str]
) -> None:
    add_contacts(gateway.ground.store, gateway.account_id(), [NewContact("lou@other.test")])
    await go_live(gateway, f"import_cc: {word}")
    everybody = "Cc: dave@customer.test, lou@other.test, eve@other.test, sales@acme.test, ann@acme.test"
    await client.mail(numbered(1, everybody))
    found = ticket(gateway)["participants"]
    assert sorted(p["address"] for p in found if p["role"] == "cc") == people
    assert [p["address"] for p in found if p["role"] == "customer"] == ["carol@customer.test"]


async def test_s26_nobody_writes_himself_into_a_ticket_by_cc(gateway: Gateway, client: Client) -> None:
    """T29: the author is not proven, so that his Cc is a stranger's wish."""
    await go_live(gateway, "import_cc: all")
    await client.mail(numbered(1, "Cc: mallory@evil.test").replace(b"@customer.test>", b"@nobody.test>", 1))
    assert [p["role"] for p in ticket(gateway)["participants"]] == ["customer"]


BLOCKS = {
    "s27 exact": "sender: carol@customer.test",
    "s27 wildcard": 'sender: {wildcard: "*@customer.test"}',
    "s27 regex": r"sender: {regex: '^carol@.*\.test$'}",
    "s28 exact": "subject: pump 1",
    "s28 wildcard": 'subject: {wildcard: "pump*"}',
    "s28 regex": "subject: {regex: '(?i)^pump'}",
}


@pytest.mark.parametrize("row", BLOCKS)
async def test_s27_s28_what_is_blocked_is_refused_in_the_session(gateway: Gateway, client: Client, row: str) -> None:
    await go_live(gateway, f"block: [{{{BLOCKS[row]}}}]")
    reply = await client.mail(numbered(1))
    assert (reply.code, gateway.messages()) == (550, [])
    other = numbered(2).replace(b"carol@customer.test", b"dave@other.test").replace(b"Subject: Pump", b"Subject: Hose")
    assert (await client.mail(other)).code == 250


# --- R03, R15, R20: automation, and one address for each purpose ---


async def test_r03_a_rule_opens_a_ticket_tells_who_must_know_and_drops_the_rest(
    gateway: Gateway, client: Client
) -> None:
    text = """
    rules:
      - {name: adverts, if: {subject: {contains: advert}}, then: [ignore], stop: true}
      - name: invoices
        if: {subject: {contains: invoice}}
        then: [{route: finance}, {notify: [boss@acme.test]}, {note: "Ask accounting first."}]
    """
    await go_live(gateway, text)
    await client.mail(numbered("advert"))
    await client.mail(numbered("invoice"))
    (only,) = tickets(gateway)
    assert (only["subject"], only["team"]) == ("Pump invoice", "finance")
    assert told(gateway) == ["boss@acme.test", "fay@acme.test"]


FINANCE_ONLY = """
rules:
  - {name: finance, if: {mailbox: billing@acme.test}, then: [{route: finance}, {notify_only: [cfo@acme.test]}]}
"""


async def test_r15_any_address_of_the_account_s_domain_is_a_way_in_and_rules_say_who_is_told(
    gateway: Gateway, client: Client
) -> None:
    await go_live(gateway, FINANCE_ONLY)
    await client.mail(numbered(1), BILLING)
    await client.mail(numbered(2), "whatever-they-typed@acme.gw.test")
    assert [(t["mailbox"], t["team"]) for t in tickets(gateway)] == [
        ("billing@acme.test", "finance"), ("support@acme.test", "support"),
    ]  # fmt: skip
    assert told(gateway, 1) == ["cfo@acme.test"]
    assert told(gateway, 2) == ["ann@acme.test", "bob@acme.test"]


async def test_r15_a_rule_may_give_an_address_nobody_made_a_mailbox_of_to_one(gateway: Gateway, client: Client) -> None:
    text = "rules: [{if: {recipient: {wildcard: 'invoice*@*'}}, then: [{mailbox: billing@acme.test}]}]"
    await go_live(gateway, text)
    await client.mail(numbered(1), "invoices-2026@acme.gw.test")
    assert (ticket(gateway)["mailbox"], ticket(gateway)["team"]) == ("billing@acme.test", "finance")
    owed = outbox.claim(gateway.ground.store, now() + timedelta(seconds=1), 10)
    assert {c.recipient for c in owed} == {"carol@customer.test", "fay@acme.test"}


async def test_r20_rules_go_by_the_address_that_was_used_once_it_is_a_mailbox(gateway: Gateway, client: Client) -> None:
    text = "rules: [{name: sales, if: {mailbox: sales@acme.test}, then: [{tag: [sales]}, {assign: bob@acme.test}]}]"
    await go_live(gateway, text)
    await client.mail(numbered(1, to=("sales@acme.test",)), "sales@acme.gw.test")
    await client.mail(numbered(2), "support@acme.gw.test")
    await client.mail(numbered(3, to=("sales@acme.test",)), "x@acme.gw.test")
    assert [(t["tags"], t["assignee"]) for t in tickets(gateway)] == [
        (["sales"], "bob@acme.test"), ([], None), (["sales"], "bob@acme.test"),
    ]  # fmt: skip


# --- a team's own rules ---


async def test_a_team_s_rules_see_what_reaches_it_behind_the_account_s(gateway: Gateway, client: Client) -> None:
    text = """
    rules:
      - {name: money, if: {subject: {contains: invoice}}, then: [{route: finance}, {set: {priority: high}}]}
    teams:
      finance:
        rules:
          - {name: late, if: {subject: {contains: late}}, then: [{set: {priority: urgent}}, {tag: [dunning]}]}
          - {name: rest, then: [{note: "Book it."}]}
    """
    await go_live(gateway, text)
    reply = await client.mail(numbered("late invoice"))
    await client.mail(numbered("late"))
    assert [(t["team"], t["priority"], t["tags"]) for t in tickets(gateway)] == [
        ("finance", "high", ["dunning"]), ("support", "normal", []),
    ]  # fmt: skip
    rules = {r["rule"]: r["already_decided"] for r in matched(gateway, reply)}
    assert rules == {"money": [], "team finance: late": [["priority", "money"]], "team finance: rest": []}
