"""What is kept of the facts, years later."""

from __future__ import annotations

from dataclasses import replace

from gateway.core.reports import AuthReport, DnsAnswer, ProofCandidate, ProofOutcome
from gateway.store.facts import dump_facts, load_facts
from tests.unit.policy.shapes import AUTH, facts


def kept(auth: AuthReport) -> AuthReport:
    return load_facts(dump_facts(replace(facts(), auth=auth))).auth


def test_an_answer_of_dns_that_is_no_text_keeps_no_message_from_being_stored() -> None:
    """A sender whose TXT record held octets that are not UTF-8 had every message of his parked."""
    said = replace(AUTH, dns=(DnsAnswer("evil.test", "TXT", ((b"v=spf1 \xff\xfe -all",),)),))
    assert kept(said).dns == ()


def test_what_only_explains_stands_in_the_trace_and_not_in_the_facts() -> None:
    tried = (ProofCandidate("dkim", "customer.test", ProofOutcome.WON, "it passes"),)
    found = kept(replace(AUTH, candidates=tried, path_reason="SPF passes"))
    assert (found.candidates, found.path_reason) == ((), "SPF passes")
