from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.core.decision import Assign, Disposition, PartDisposition, Route, Set
from gateway.policy.document import PolicyDocument
from gateway.policy.engine import compile_policy, decide
from gateway.policy.loader import load
from gateway.policy.values import Known

from .shapes import BILLING, facts, file, leaf

TEMPLATES = Path(__file__).resolve().parents[3] / "templates" / "policies"
KNOWN = Known(frozenset({"support", "finance"}), frozenset({"support@acme.example", "billing@acme.example"}))


def read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def test_the_default_spells_out_what_holds_when_nothing_is_written():
    assert load(read("default.yaml")) == PolicyDocument()


def test_the_default_shows_every_key_of_its_sections():
    written = load(read("default.yaml"))
    assert type(written).model_fields.keys() - written.model_fields_set == {"mailboxes"}
    for section in (written.accept, written.attachments, written.attachments.allow, written.virus):
        assert type(section).model_fields.keys() == section.model_fields_set


def test_two_mailboxes_routes_billing_to_finance_unassigned():
    policy = compile_policy(load(read("two-mailboxes.yaml")), 1)
    decision = decide(facts(mailboxes=(BILLING,), subject="urgent invoice"), policy)
    assert Route("finance") in decision.effects
    assert not [e for e in decision.effects if isinstance(e, Assign | Set)]


def test_two_mailboxes_gives_urgent_mail_to_each_in_turn():
    policy = compile_policy(load(read("two-mailboxes.yaml")), 1)
    decision = decide(facts(subject="URGENT: pump"), policy)
    assert Set("priority", "high") in decision.effects
    assert Assign(teams=("support",), strategy="round-robin") in decision.effects
    assert [h.rule for h in decision.hits] == ["urgent", "support"]
    assert decision.hits[1].already_decided == (("team", "urgent"), ("assignee", "urgent"))


def test_two_mailboxes_gives_other_mail_to_who_has_the_fewest():
    policy = compile_policy(load(read("two-mailboxes.yaml")), 1)
    assert Assign(teams=("support",), last_agent_first=True) in decide(facts(), policy).effects


def test_two_mailboxes_ignores_machines_writing_to_billing():
    policy = compile_policy(load(read("two-mailboxes.yaml")), 1)
    decision = decide(facts(mailboxes=(BILLING,), automatic="auto-submitted"), policy)
    assert (decision.disposition, decision.effects) == (Disposition.IGNORE, ())


def test_two_mailboxes_holds_files_sent_to_billing_and_strips_them_elsewhere():
    policy = compile_policy(load(read("two-mailboxes.yaml")), 1)
    made = facts(parts=(leaf(1, "setup.exe"),), files=(file(1, "setup.exe", "exe", detected="exe"),))
    assert decide(made, policy).parts[0].disposition is PartDisposition.STRIPPED
    billing = replace(made, place=replace(made.place, mailboxes=(BILLING,)))
    assert decide(billing, policy).parts[0].disposition is PartDisposition.HELD
