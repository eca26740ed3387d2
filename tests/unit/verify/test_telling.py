"""What a trace keeps of a report: all of it, in plain values of bounded size."""

from __future__ import annotations

import json
from dataclasses import replace

from forwarding import COMPANY, CUSTOMER, OWN, at, hop, report, with_fields

from gateway.core.forwarder import Drift
from gateway.core.reports import AuthReport, DnsAnswer, Level, Path, ProofCandidate, ProofOutcome, Sender
from gateway.store.jsontext import json_text
from gateway.verify.telling import ANSWERS_TOLD, CANDIDATES_TOLD, WORDS, told

EMPTY = AuthReport((), Sender.UNVERIFIED, Level.NONE, "", Path.DIRECT, None, "", "")


async def test_the_path_the_candidates_and_the_answers_are_told():
    found = told(await report(with_fields([hop(CUSTOMER)]), COMPANY, "carol@customer.test", at(OWN)))

    assert (found["by"], found["level"]) == ("border-spf:mail.acme.test", "via-forwarder")
    assert (found["path"], found["forwarder"]) == ("forwarder", "mail.acme.test")
    assert found["path_reason"] == "the client is the mailbox's forwarder mail.acme.test"
    assert [(c["proof"], c["outcome"]) for c in found["candidates"]] == [("spf", "lost"), ("border-spf", "won")]
    assert found["dns"]["customer.test TXT"] == f"v=spf1 ip4:{CUSTOMER} -all"
    assert {r["method"] for r in found["results"]} >= {"spf", "dkim", "dmarc", "iprev"}
    assert json.loads(json_text(found)) == found


def test_drifts_are_told_with_before_and_after():
    drifted = replace(EMPTY, drifts=(Drift("f1", "network", "127.0.5.0/24", "127.0.6.0/24"),))
    assert told(drifted)["drifts"] == [{"what": "network", "before": "127.0.5.0/24", "after": "127.0.6.0/24"}]
    assert "drifts" not in told(EMPTY)


def test_what_strangers_chose_is_short_and_holds_no_control_characters():
    answers = tuple(DnsAnswer(f"n{n}.evil.test", "TXT", ((b"\x1b[31m\x00\xff" + b"x" * 9000,),)) for n in range(60))
    tried = tuple(ProofCandidate("dkim", "evil.test", ProofOutcome.LOST, "fail: \x1b" + "y" * 900) for _ in range(50))
    found = told(replace(EMPTY, dns=answers, candidates=tried, path_reason="z" * 900))

    assert (len(found["dns"]), found["more_dns"]) == (ANSWERS_TOLD, 60 - ANSWERS_TOLD)
    assert len(found["candidates"]) == CANDIDATES_TOLD
    assert len(found["path_reason"]) == WORDS
    text = json_text(found)
    assert len(text) < 20_000
    assert "\\u0000" not in text
    assert "\\u001b" not in text
