"""What is kept of the facts, years later."""

from __future__ import annotations

from gateway.core.decision import Facts
from gateway.core.reports import DnsAnswer, ProofCandidate, ProofOutcome
from gateway.store.facts import dump_facts, load_facts
from tests.unit.policy.shapes import facts


def test_an_answer_of_dns_that_is_no_text_keeps_no_message_from_being_stored() -> None:
    """A sender whose TXT record held octets that are not UTF-8 had every message of his parked."""
    made: Facts = facts(dns=(DnsAnswer("evil.test", "TXT", ((b"v=spf1 \xff\xfe -all",),)),))
    assert load_facts(dump_facts(made)).auth.dns == ()


def test_what_only_explains_stands_in_the_trace_and_not_in_the_facts() -> None:
    tried = (ProofCandidate("dkim", "customer.test", ProofOutcome.WON, "it passes"),)
    kept = load_facts(dump_facts(facts(candidates=tried, path_reason="SPF passes"))).auth
    assert (kept.candidates, kept.path_reason) == ((), "SPF passes")
