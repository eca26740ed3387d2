"""`import_cc`: who of To and Cc takes part in the ticket."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.message import Address
from gateway.core.place import Evidence
from gateway.core.reports import Sender
from gateway.policy.freemail import is_freemail

from .shapes import BILLING, SUPPORT, candidate, judged

DAVE, EVE, LISTED = (Address(a) for a in ("dave@customer.example", "eve@other.example", "lou@other.example"))
KNOWN = frozenset({"lou@other.example"})


def taking_part(text: str = "", **changes: object) -> list[str]:
    changes = {"cc": (DAVE, EVE, LISTED), "listed": KNOWN} | changes
    return [p.address for p in judged(text, **changes).participants]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("none", []),
        ("listed", ["lou@other.example"]),
        ("company", ["dave@customer.example", "lou@other.example"]),
        ("all", ["dave@customer.example", "eve@other.example", "lou@other.example"]),
    ],
)
def test_whom_each_word_takes(word: str, found: list[str]) -> None:
    assert taking_part(f"import_cc: {word}") == found


def test_company_is_what_holds_where_nothing_is_written() -> None:
    assert taking_part() == taking_part("import_cc: company")


@pytest.mark.parametrize("sender", [s for s in Sender if s is not Sender.VERIFIED])
def test_nobody_takes_part_by_the_word_of_an_author_who_is_not_proven(sender: Sender) -> None:
    assert taking_part("{import_cc: all, accept: {forged: accept}}", sender=sender) == []


def test_to_counts_as_cc_does_and_each_once_in_their_order() -> None:
    to = (Address("support@acme.example"), Address("EVE@other.example", "Eve"))
    assert taking_part("import_cc: all", to=to, cc=(DAVE, EVE)) == ["EVE@other.example", "dave@customer.example"]


@pytest.mark.parametrize(
    "own",
    [
        "Carol@customer.example",
        "support@acme.example",
        "billing+x@acme.example",
        "ann@acme.example",
        "ann+a@acme.example",
        "x@acme.gw.example",
        "acme+t@gw.example",
        "x@globex.gw.example",
        "anybody@in.acme.example",
    ],
)
def test_neither_the_author_nor_ours_nor_what_comes_to_us(own: str) -> None:
    domains = frozenset({"in.acme.example"})
    assert taking_part("import_cc: all", cc=(Address(own),), receiving_domains=domains) == []


def test_a_colleague_of_a_company_whose_own_people_write_takes_part() -> None:
    carol, dave = Address("carol@acme.example"), Address("dave@acme.example")
    assert taking_part(author=carol, cc=(dave,)) == ["dave@acme.example"]


@pytest.mark.parametrize("domain", ["gmail.com", "yahoo.co.jp", "gmx.net", "web.de", "wp.pl", "xn--e1afmkfd.mail.ru"])
def test_who_shares_a_freemail_domain_is_no_colleague(domain: str) -> None:
    shares = taking_part(author=Address(f"carol@{domain}"), cc=(Address(f"dave@{domain}"),))
    assert bool(shares) is not is_freemail(domain)
    assert is_freemail(domain) is not domain.startswith("xn--")


def test_a_domain_that_only_sounds_like_a_provider_is_a_company() -> None:
    assert not is_freemail("yahoo.customer.example.com")
    assert not is_freemail("live")
    assert not is_freemail("mygmail.com")


def test_an_answer_brings_people_when_its_author_takes_part() -> None:
    assert taking_part(candidates=(candidate(),)) == ["dave@customer.example", "lou@other.example"]
    assert taking_part(candidates=(candidate(participant=False),)) == []
    assert taking_part(candidates=(candidate(Evidence.ANSWER_ADDRESS),)) == []


@pytest.mark.parametrize("machine", [{"automatic": "auto-submitted"}, {"is_list": True}, {"reverse_path": None}])
def test_what_machines_and_lists_send_brings_nobody(machine: dict[str, object]) -> None:
    assert taking_part("import_cc: all", **machine) == []


@pytest.mark.parametrize("then", ["ignore", "quarantine"])
def test_what_opens_no_ticket_brings_nobody(then: str) -> None:
    assert taking_part(f"{{import_cc: all, rules: [{{then: [{then}]}}]}}") == []


def test_the_mailbox_s_own_word_holds_and_of_several_the_strictest() -> None:
    text = "{import_cc: all, mailboxes: {billing@acme.example: {import_cc: none}}}"
    assert taking_part(text, mailboxes=(BILLING,)) == []
    assert taking_part(text, mailboxes=(SUPPORT, BILLING)) == []
    assert len(taking_part(text)) == 3


def test_one_message_brings_at_most_fifty() -> None:
    crowd = tuple(Address(f"p{n}@customer.example") for n in range(60))
    assert len(taking_part(cc=crowd)) == 50


def test_facts_that_were_stored_decide_the_same() -> None:
    from gateway.policy.engine import decide
    from gateway.store.facts import dump_facts, load_facts

    from .shapes import facts, rules

    ours = (Address("billing@acme.example"), Address("ann+x@acme.example"), Address("x@in.acme.example"))
    found = facts(
        cc=(DAVE, EVE, LISTED, *ours), listed=KNOWN, receiving_domains=frozenset({"in.acme.example", "q.example"})
    )
    found = replace(found, place=replace(found.place, default_team="sales", other_teams=(("a@b.example", "x"),)))
    for word in ("listed", "company", "all"):
        policy = rules(f"import_cc: {word}")
        assert decide(load_facts(dump_facts(found)), policy) == decide(found, policy)
