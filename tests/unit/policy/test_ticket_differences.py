"""What two policies make differently of one message, in words: tickets, notes, mailboxes, who takes part."""

from __future__ import annotations

from dataclasses import replace

from gateway.core.message import Address
from gateway.core.place import Evidence
from gateway.policy.differences import differences

from .shapes import NOW, candidate, judged

OPEN = replace(candidate(Evidence.OPEN_TICKET), last_activity=NOW)


def told(before: str, after: str, **changes: object) -> list[tuple[str, str, str]]:
    return [(d.what, d.before, d.after) for d in differences(judged(before, **changes), judged(after, **changes))]


def test_joining_and_a_ticket_of_its_own() -> None:
    joined = ("message", "a new ticket", "joins its ticket")
    assert told("", "accept: {join_open_ticket: true}", candidates=(OPEN,)) == [
        joined,
        ("confirmation", "the usual one", ""),
    ]
    answered = "rules: [{if: {kind: answer}, then: [new_ticket]}]"
    assert told("", answered, candidates=(candidate(),))[0] == ("message", "joins its ticket", "a new ticket")


def test_new_ticket_on_mail_that_opens_one_anyway_is_no_difference() -> None:
    assert told("", "rules: [{then: [new_ticket]}]") == []


def test_mailbox_notes_and_otherwise() -> None:
    after = """
    rules:
      - {name: a, then: [{mailbox: billing@acme.example}, {note: b}, {note: a}, {assign: {team: sales, otherwise: finance}}]}
    """
    assert told("rules: [{then: [{assign: {team: sales}}]}]", after) == [
        ("team", "sales, by least-open", "sales, by least-open, otherwise finance, by least-open"),
        ("mailbox", "", "billing@acme.example"),
        ("note", "", "a, b"),
    ]
    to_ann = "rules: [{then: [{assign: {team: sales, otherwise: ann@acme.example}}]}]"
    assert told("", to_ann) == [("team", "", "sales, by least-open, otherwise assigned to ann@acme.example")]


def test_whoever_served_the_author_first() -> None:
    by_load = "by least-open"
    last = "by least-open, whoever served the author first"
    assert told(
        "rules: [{then: [{assign: {team: sales}}]}]",
        "rules: [{then: [{assign: {team: sales, last_agent_first: true}}]}]",
    ) == [("team", f"sales, {by_load}", f"sales, {last}")]
    other = "rules: [{then: [{assign: {team: sales, otherwise: {team: finance, last_agent_first: true}}}]}]"
    assert told("", other) == [("team", "", f"sales, {by_load}, otherwise finance, {last}")]


def test_the_name_of_the_rule_that_wrote_a_note_is_none() -> None:
    assert told("rules: [{name: a, then: [{note: x}]}]", "rules: [{name: b, then: [{note: x}]}]") == []


def test_who_takes_part() -> None:
    cc = (Address("dave@customer.example"), Address("Carl@customer.example"))
    assert told("import_cc: none", "", cc=cc) == [("taking part", "", "carl@customer.example, dave@customer.example")]
