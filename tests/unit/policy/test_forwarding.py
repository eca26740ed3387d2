"""`forward`: which mail goes on to whom, and what the hit says of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.decision import Decision, Forward
from gateway.core.place import Context, Evidence
from gateway.core.reports import Sender
from gateway.policy.differences import differences
from tests.unit.policy.shapes import candidate, judged

RULE = "rules: [{name: r, if: {kind: [new, answer, automatic, list]}, then: [{forward: boss@partner.example}]}]"


def goes_to(decision: Decision) -> list[str]:
    return [e.address for e in decision.effects if isinstance(e, Forward)]


def withheld(text: str, **changes: Any) -> list[str]:
    decision = judged(text, **changes)
    assert goes_to(decision) == []
    return [why for _, why in decision.hits[0].withheld]


def test_verified_mail_is_forwarded() -> None:
    decision = judged(RULE)
    assert goes_to(decision) == ["boss@partner.example"]
    assert decision.hits[0].effects == ("forward: boss@partner.example",)


@pytest.mark.parametrize("sender", [s for s in Sender if s is not Sender.VERIFIED])
def test_whose_author_is_not_proven_is_not(sender: Sender) -> None:
    why = f"the author is {sender.value}: only verified mail is forwarded"
    assert withheld("accept: {forged: accept}\n" + RULE, sender=sender) == [why]


def test_quarantined_mail_is_not_and_a_released_one_is() -> None:
    waits = RULE[:-1] + ", {name: wait, then: [quarantine]}]"
    assert withheld(waits) == ["the message is quarantined"]
    released = judged(waits, released=True)
    assert goes_to(released) == ["boss@partner.example"]
    assert released.hits[0].withheld == ()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("carol@customer.example", "it is the author's own address"),
        ("Carol+pump@CUSTOMER.example", "it is the author's own address"),
        ("billing+x@acme.example", "it is an address of this account"),
        ("anything@acme.gw.example", "its mail comes to this gateway"),
        ("help@globex.gw.example", "its mail comes to this gateway"),
        ("help@gw.example", "its mail comes to this gateway"),
    ],
)
def test_what_would_come_back_is_not(address: str, why: str) -> None:
    assert withheld(f"rules: [{{name: r, then: [{{forward: '{address}'}}]}}]") == [why]


def test_people_at_the_companys_own_domain_may_have_it() -> None:
    assert goes_to(judged("rules: [{name: r, then: [{forward: cfo@acme.example}]}]")) == ["cfo@acme.example"]


def test_an_agents_own_note_stays_inside() -> None:
    context = Context(candidates=(candidate(Evidence.ANSWER_ADDRESS),))
    decision = judged(RULE, candidates=context.candidates)
    assert goes_to(decision) == []
    assert decision.hits[0].withheld == (("forward: boss@partner.example", "it is an agent's own, and stays inside"),)


def test_addresses_of_all_rules_add_up_to_ten() -> None:
    def rule(name: str, first: int, last: int) -> str:
        addresses = ", ".join(f"n{n}@partner.example" for n in range(first, last))
        return f"{{name: {name}, then: [{{forward: [{addresses}]}}]}}"

    decision = judged(f"rules: [{rule('a', 0, 6)}, {rule('b', 4, 12)}]")
    assert goes_to(decision) == [f"n{n}@partner.example" for n in range(10)]
    assert decision.hits[1].withheld == tuple(
        (f"forward: n{n}@partner.example", "it goes on to 10 addresses already") for n in (10, 11)
    )


def test_a_difference_in_forwarding_is_told() -> None:
    found = differences(judged("rules: []"), judged(RULE))
    assert [(d.what, d.before, d.after) for d in found] == [("forwarded", "", "boss@partner.example")]
