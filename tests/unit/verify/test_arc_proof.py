"""Whose ARC results count, for which author, on which path (trust.md T20)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sealing import arc_zone, seal
from shapes import CLIENT, NOON, DictResolver, domain_zone, envelope, mail, message, place

from gateway.core.envelope import Client
from gateway.core.reports import Level, Path, Sender
from gateway.verify import forwarder
from gateway.verify.arc_proof import Hop, Witness, arc_proof, witness_of
from gateway.verify.arc_sets import read_sets
from gateway.verify.dkim_message import read_message
from gateway.verify.forwarder import Journey
from gateway.verify.verifier import Verifier

TRUSTED = frozenset({"google.com", "microsoft.com"})
AUTHOR = "customer.test"
PASS = b" mx.test; spf=pass smtp.mailfrom=customer.test; dmarc=pass (p=REJECT) header.from=customer.test"
FAIL = b" mx.test; dmarc=fail header.from=customer.test"


def proof(*hops, path=Path.FORWARDER, author=AUTHOR, own=False, objection=""):
    witness = Witness(tuple(Hop(sealer, payload) for sealer, payload in hops), objection)
    return arc_proof(witness, path, author, TRUSTED, own=own)


def test_a_named_sealer_that_saw_dmarc_pass_proves_the_author():
    assert proof(("google.com", PASS)).sealer == "google.com"


@pytest.mark.parametrize("path", [p for p in Path if p is not Path.FORWARDER])
def test_arc_counts_only_through_the_known_forwarder(path):
    found = proof(("google.com", PASS), path=path)
    assert (found.sealer, "known forwarder" in found.why) == ("", True)


@pytest.mark.parametrize("sealer", ["evil.test", "mail.google.com", "evilgoogle.com", "google.com.evil.test", "com"])
def test_a_sealer_that_is_not_named_to_the_letter_proves_nothing(sealer):
    found = proof((sealer, PASS))
    assert (found.sealer, found.why) == ("", f"{sealer} is no trusted ARC sealer")


@pytest.mark.parametrize(
    ("hops", "sealer"),
    [
        # newest first: what the oldest of the unbroken run of named sealers saw
        ([("microsoft.com", FAIL), ("google.com", PASS)], "google.com"),
        ([("microsoft.com", PASS), ("google.com", FAIL)], ""),
        ([("microsoft.com", PASS), ("evil.test", FAIL)], "microsoft.com"),
        ([("microsoft.com", FAIL), ("evil.test", PASS)], ""),
        ([("evil.test", PASS), ("google.com", PASS)], ""),
        ([("microsoft.com", FAIL), ("evil.test", PASS), ("google.com", PASS)], ""),
        ([("google.com", FAIL), ("google.com", FAIL), ("google.com", PASS)], "google.com"),
    ],
)
def test_the_oldest_results_of_the_run_of_named_sealers_count(hops, sealer):
    assert proof(*hops).sealer == sealer


@pytest.mark.parametrize(
    "payload",
    [
        FAIL,
        b" mx.test; none",
        b" mx.test; spf=pass smtp.mailfrom=customer.test; dkim=pass header.d=customer.test",
        b" mx.test; dmarc=pass",
        b" mx.test; dmarc=pass header.from=other.test",
        b" mx.test; dmarc=pass header.from=mail.customer.test",
        b" mx.test; dmarc=pass header.from=customer.test header.from=other.test",
        b" mx.test; dmarc=pass header.from=customer.test; dmarc=fail header.from=other.test",
        b" mx.test; dmarc=pass header.from=customer.test; dmarc=pass header.from=customer.test",
        b" mx.test; dmarc=bestguesspass header.from=customer.test",
        b" mx.test; dmarc=pass header.from=customer.test(.evil.test",
        b" mx.test; dmarc=pass header.from=customer.test; spf=pass smtp.mailfrom=a;b",
        b" mx.test; spf=fail (dmarc=pass header.from=customer.test)",
        b' mx.test; spf=fail smtp.mailfrom="x; dmarc=pass header.from=customer.test"',
        b" garbage",
    ],
)
def test_only_one_clear_pass_for_the_present_author_counts(payload):
    found = proof(("google.com", payload))
    assert found.sealer == ""
    assert found.why


def test_the_domain_is_compared_as_dns_sees_it():
    payload = " mx.test; dmarc=pass header.from=BÜCHER.test".encode()
    assert proof(("google.com", payload), author="xn--bcher-kva.test").sealer == "google.com"


def test_the_accounts_own_domains_are_never_proven_so():
    assert proof(("google.com", PASS), own=True).sealer == ""


@pytest.mark.parametrize(
    ("how", "extra", "why"),
    [
        ({}, b"", ""),
        ({"signed": "to:subject:date"}, b"", "does not cover From"),
        ({"length": 3}, b"", "a part of the body"),
        ({}, b"Subject: other\r\n", "more than one Subject field"),
        ({}, b"From: ceo@bank.test\r\n", "more than one From field"),
    ],
)
def test_a_newest_seal_that_binds_too_little_proves_nothing(how, extra, why):
    found = read_message(extra + seal(seal(mail(), "google.com"), "google.com", **how))
    witness = witness_of(found, read_sets(found, NOON.timestamp()))
    assert why in witness.objection
    assert bool(witness.objection) is bool(why)


@pytest.fixture
def zone():
    return {**domain_zone("customer.test", "127.0.0.9"), **arc_zone("google.com", "evil.test")}


async def report(
    zone, content, monkeypatch, path=Path.FORWARDER, author="carol@customer.test", client=CLIENT, broken=(), sealers=()
):
    journey = Journey(path, certain=True, why="learnt by a challenge")
    monkeypatch.setattr(forwarder, "judge", lambda *_: journey)

    async def offload(function, *args):
        return function(*args)

    verifier = Verifier(DictResolver(zone, set(broken)), 5.0, offload, ["Google.COM"])
    sent = envelope(content, reverse_path="x@forwarder.test", client=client)
    where = replace(place("support@acme.test"), arc_sealers=frozenset(sealers))
    return await verifier.verify(sent, message(author), where)


async def test_a_sealed_pass_lifts_the_author_to_via_forwarder_and_no_further(zone, monkeypatch):
    found = await report(zone, seal(mail(), "google.com", PASS.decode()), monkeypatch)
    assert (found.sender, found.level, found.by) == (Sender.VERIFIED, Level.VIA_FORWARDER, "arc:google.com")
    assert (found.result_of("arc"), found.result_of("dmarc")) == ("pass", "fail")
    assert "google.com sealed that DMARC passed" in found.reason


@pytest.mark.parametrize("path", [Path.DIRECT, Path.PROBABLE, Path.UNKNOWN])
async def test_the_same_bytes_on_another_path_are_not_lifted(zone, monkeypatch, path):
    found = await report(zone, seal(mail(), "google.com", PASS.decode()), monkeypatch, path)
    assert (found.sender is Sender.VERIFIED, found.level) == (False, Level.NONE)


async def test_a_chain_that_does_not_hold_lifts_nobody(zone, monkeypatch):
    found = await report(zone, seal(mail(), "google.com", PASS.decode()) + b"buy now\r\n", monkeypatch)
    assert (found.sender, found.result_of("arc")) == (Sender.UNVERIFIED, "fail")


async def test_a_sealer_counts_only_for_the_accounts_that_name_it(zone, monkeypatch):
    content = seal(mail(), "evil.test", PASS.decode())
    stranger = await report(zone, content, monkeypatch)
    assert (stranger.level, "evil.test is no trusted ARC sealer" in stranger.reason) == (Level.NONE, True)
    named = await report(zone, content, monkeypatch, sealers=["evil.test"])
    assert (named.level, named.by) == (Level.VIA_FORWARDER, "arc:evil.test")


async def test_a_sealed_pass_for_another_author_says_why_it_does_not_count(zone, monkeypatch):
    content = seal(mail("carol@customer.test"), "google.com", "mx.test; dmarc=pass header.from=evil.test")
    found = await report(zone, content, monkeypatch)
    assert found.sender is Sender.UNVERIFIED
    assert "google.com saw DMARC pass for evil.test, not for customer.test" in found.reason


async def test_a_colleague_is_not_lifted_by_a_seal(zone, monkeypatch):
    content = seal(mail("ann@acme.test"), "google.com", "mx.test; dmarc=pass header.from=acme.test")
    found = await report(zone, content, monkeypatch, author="ann@acme.test")
    assert (found.sender, found.level) == (Sender.UNVERIFIED, Level.NONE)


async def test_the_authors_own_proof_comes_before_a_sealers_word(zone, monkeypatch):
    content = seal(mail(), "google.com", PASS.decode())
    found = await report(zone, content, monkeypatch, Path.DIRECT, client=Client("127.0.0.9", "mx.customer.test"))
    assert found.by != "arc:google.com"


async def test_a_seal_stands_where_dns_would_not_give_the_authors_policy(zone, monkeypatch):
    content = seal(mail(), "google.com", PASS.decode())
    found = await report(zone, content, monkeypatch, broken={"_dmarc.customer.test"})
    assert (found.by, found.result_of("dmarc")) == ("arc:google.com", "temperror")
