"""Every candidate for a proof with why it won or lost, and the DNS answers that were used."""

from __future__ import annotations

from dataclasses import replace

import pytest
from forwarding import COMPANY, CUSTOMER, EVIL, GMAIL, GOOGLE, OWN, at, gmails, hop, report, with_fields
from sealing import arc_zone, seal
from shapes import mail, rsa_key, sign

from gateway.core.envelope import Client
from gateway.core.reports import DnsAnswer, ProofOutcome
from gateway.verify.evidence import ANSWERS_KEPT

CAROL = "carol@customer.test"
DIRECT = Client(CUSTOMER, "mx.customer.test")
CAF = GMAIL.reverse_path
PASS = "mx.google.com; dmarc=pass header.from=customer.test"


def told(found):
    return [(c.proof, c.domain, c.outcome.value, c.why) for c in found.candidates]


SIGNED = sign(mail(CAROL))
ALIGNED = "it passes and is aligned with customer.test"

CASES = {
    "nothing but SPF": (mail(CAROL), DIRECT, CAROL, at(), {}, [("spf", "customer.test", "won", ALIGNED)]),
    "DKIM before SPF": (
        SIGNED, DIRECT, CAROL, at(), {},
        [("dkim", "customer.test", "won", ALIGNED), ("spf", "customer.test", "lost", "DKIM proved it already")]),
    "two signatures that would do": (
        sign(SIGNED), DIRECT, "x@evil.test", at(), {},
        [("dkim", "customer.test", "won", ALIGNED),
         ("dkim", "customer.test", "lost", "it would prove as much as the one that won"),
         ("spf", "evil.test", "lost", "fail: SPF fail - not authorized")]),
    "a stranger's signature": (
        sign(mail(CAROL), "evil.test"), Client(EVIL, "h"), "x@evil.test", at(), {},
        [("dkim", "evil.test", "lost", "it passes, but evil.test is not aligned with customer.test"),
         ("spf", "evil.test", "lost", "it passes, but evil.test is not aligned with customer.test")]),
    "a broken one above a good one": (
        sign(SIGNED, "customer.test", key=rsa_key(1024)), DIRECT, None, at(), {},
        [("dkim", "customer.test", "lost", "fail: the signature does not match the header"),
         ("dkim", "customer.test", "won", ALIGNED),
         ("spf", "mx.customer.test", "lost", "none")]),
    "DNS trouble": (
        SIGNED, DIRECT, CAROL, at(), {"broken": ("s1._domainkey.customer.test", "customer.test")},
        [("dkim", "customer.test", "lost", "temperror: DNS would not give the key"), ("spf", "customer.test", "lost", "temperror")]),
    "a colleague's SPF": (
        mail("ann@acme.test"), Client("127.0.5.2", "h"), "ann@acme.test", at(), {},
        [("spf", "acme.test", "lost", "it passes, but it is one of this account's own domains, where only DKIM proves")]),
    "a seal on another path": (
        seal(mail(CAROL), "google.com", PASS), Client(EVIL, "h"), CAROL, at(), {"more": arc_zone("google.com")},
        [("spf", "customer.test", "lost", "fail: SPF fail - not authorized"),
         ("arc", "", "lost", "ARC counts only through the mailbox's known forwarder")]),
    "a seal that counts": (
        seal(with_fields(gmails(EVIL, "")), "google.com", PASS), GOOGLE, CAF, at(GMAIL), {"more": arc_zone("google.com")},
        [("spf", "gmail.com", "lost", "it passes, but gmail.com is not aligned with customer.test"),
         ("arc", "google.com", "won", "google.com sealed that DMARC passed for customer.test"),
         ("border-spf", "customer.test", "lost", "nothing tells the reverse-path the forwarder took the message with")]),
    "a seal that is not needed": (
        seal(with_fields(gmails(EVIL), SIGNED), "google.com", PASS), GOOGLE, CAF, at(GMAIL), {"more": arc_zone("google.com")},
        [("dkim", "customer.test", "won", ALIGNED),
         ("spf", "gmail.com", "lost", "it passes, but gmail.com is not aligned with customer.test"),
         ("arc", "google.com", "lost", "not needed: dkim:customer.test proved it already")]),
    "the border's SPF": (
        with_fields([hop(CUSTOMER)]), COMPANY, CAROL, at(OWN), {},
        [("spf", "customer.test", "lost", "fail: SPF fail - not authorized"),
         ("border-spf", "customer.test", "won",
          f"the client mail.acme.test took the mail from, {CUSTOMER}, may send for customer.test (SPF)")]),
    "the border's SPF fails": (
        with_fields([hop(EVIL)]), COMPANY, CAROL, at(OWN), {},
        [("spf", "customer.test", "lost", "fail: SPF fail - not authorized"),
         ("border-spf", "customer.test", "lost", f"SPF of customer.test gives fail for {EVIL}")]),
    "no border": (
        mail(CAROL), COMPANY, CAROL, at(replace(OWN, border="")), {},
        [("spf", "customer.test", "lost", "fail: SPF fail - not authorized"),
         ("border-spf", "customer.test", "lost", "mail.acme.test records no client")]),
    "another way": (
        mail(CAROL), COMPANY, CAROL, at(OWN), {},
        [("spf", "customer.test", "lost", "fail: SPF fail - not authorized"),
         ("border-spf", "customer.test", "lost",
          "no Received field of mail.acme.test with a client stands where it stood in the challenge")]),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
async def test_each_candidate_says_why_it_won_or_lost(what):
    content, client, reverse_path, where, how, wanted = CASES[what]
    found = await report(content, client, reverse_path, where, **how)
    assert told(found) == wanted


@pytest.mark.parametrize("what", CASES)
async def test_one_candidate_won_where_the_author_is_verified_and_none_otherwise(what):
    content, client, reverse_path, where, how, _ = CASES[what]
    found = await report(content, client, reverse_path, where, **how)
    assert sum(c.outcome is ProofOutcome.WON for c in found.candidates) == bool(found.by)


async def test_the_answers_used_are_told():
    found = await report(SIGNED, DIRECT, CAROL, at(), broken=("_dmarc.customer.test",))
    answers = {(a.question, a.type): a.answer for a in found.dns}
    assert answers["customer.test", "TXT"] == f"v=spf1 ip4:{CUSTOMER} -all"
    assert answers["_dmarc.customer.test", "TXT"] == "no answer"
    assert answers["_dmarc.test", "TXT"] == "nothing"
    assert answers["acme.test", "MX"] == "10 mx.acme.test"
    assert answers["s1._domainkey.customer.test", "TXT"].startswith("v=DKIM1; k=rsa; p=")


async def test_a_message_that_asks_for_much_is_told_in_part():
    mechanisms = " ".join(f"ip4:127.1.{n}.1" for n in range(9))
    more = {(f"n{n}.evil.test", "MX"): [(m, f"m{n}-{m}.evil.test") for m in range(10)] for n in range(9)}
    more["evil.test", "TXT"] = [f"v=spf1 {mechanisms} " + " ".join(f"mx:n{n}.evil.test" for n in range(9)) + " -all"]
    more |= {(f"m{n}-{m}.evil.test", "A"): ["127.9.9.9"] for n in range(9) for m in range(10)}
    found = await report(mail(CAROL), Client(EVIL, "h"), "x@evil.test", at(), more=more)
    assert len(found.dns) == ANSWERS_KEPT


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (None, "no answer"),
        ((), "nothing"),
        (("127.0.0.1", "127.0.0.2"), "127.0.0.1 | 127.0.0.2"),
        (((10, "mx.a.test"),), "10 mx.a.test"),
        (((b"v=spf1 ", b"-all"),), "v=spf1 -all"),
        (((b"\xff",),), "\ufffd"),
        (((b"x" * 5000,),), "x" * 200),
        (tuple(f"127.0.0.{n}" for n in range(50)), " | ".join(f"127.0.0.{n}" for n in range(10))),
    ],
)
def test_an_answer_in_short(records, words):
    assert DnsAnswer("a.test", "X", records).answer == words
