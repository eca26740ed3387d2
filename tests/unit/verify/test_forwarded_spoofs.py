"""Who wants to be taken for somebody else by way of a known forwarder (trust.md T15 to T22), or by looking like one.

Whatever is tried: nobody is verified, on no level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from forwarding import (
    BANK,
    CAF,
    COMPANY,
    EVIL,
    GMAIL,
    GOOGLE,
    MICROSOFT,
    NEIGHBOUR,
    OWN,
    SRS,
    STRANGER,
    TENANT,
    at,
    gmails,
    hop,
    microsofts,
    report,
    with_fields,
)
from sealing import arc_zone, seal
from shapes import mail, rsa_key, sign

from gateway.core.envelope import Client
from gateway.core.forwarder import Form, Forwarder
from gateway.core.reports import Level, ProofOutcome, Sender

CEO, ANN = "ceo@bank.test", "ann@acme.test"
TENANTS = "bounces+SRS=a=b@acme.onmicrosoft.com"
PASS = "spf=pass smtp.mailfrom=bank.test; dkim=pass header.d=bank.test; dmarc=pass header.from=bank.test"
SEALED = f"mx.google.com; {PASS}"
AMAVIS = replace(OWN, trail=("mail.acme.test<127.0.0.1", "localhost<127.0.0.1"))
KEEPS = replace(OWN, form=Form.REPLACED, reverse_path="support@acme.test", keeps_return_path=True)


@dataclass(frozen=True)
class Spoof:
    content: bytes
    reverse_path: str | None = CEO
    client: Client | None = COMPANY
    forwarder: Forwarder = OWN


def bank(*fields: str) -> bytes:
    return with_fields(list(fields), author=CEO)


def ann(*fields: str) -> bytes:
    return with_fields(list(fields), author=ANN)


def results(text: str) -> str:
    return f"Authentication-Results: {text}"


SPOOFS = {
    # a colleague, through the company's own forwarder (T22)
    "a colleague, unchanged reverse-path": Spoof(ann(hop(EVIL)), ANN),
    "a colleague, taken from the company's own address": Spoof(ann(hop("127.0.5.1")), ANN),
    "a colleague, SRS": Spoof(ann(hop(EVIL)), "SRS0=H=T=evil.test=x@acme.test", forwarder=SRS),
    "a colleague, SRS that says it was ours": Spoof(ann(hop("127.0.5.1")), "SRS0=H=T=acme.test=ann@acme.test", forwarder=SRS),
    "a colleague, null reverse-path": Spoof(ann(hop("127.0.5.1", helo="mail.acme.test")), None),
    "a colleague, the forwarder's results pass": Spoof(ann(results("mail.acme.test; dmarc=pass header.from=acme.test"), hop(EVIL)), ANN),
    "a colleague, sealed by a named sealer": Spoof(
        seal(ann(*gmails(EVIL)), "google.com", "mx.google.com; dmarc=pass header.from=acme.test"), CAF, GOOGLE, GMAIL),
    "a colleague, through Google": Spoof(ann(*gmails("127.0.5.1", ANN)), CAF, GOOGLE, GMAIL),
    "a colleague, through Microsoft": Spoof(
        ann(results("spf=pass smtp.mailfrom=acme.test;dmarc=pass action=none header.from=acme.test;compauth=pass"),
            *microsofts("127.0.5.1")), TENANTS, MICROSOFT, TENANT),
    "a colleague's subdomain": Spoof(with_fields([hop("127.0.5.1")], author="ann@hr.acme.test"), "ann@hr.acme.test"),
    "the gateway's own domain": Spoof(with_fields([hop(EVIL)], author="notice@acme.gw.test"), "notice@acme.gw.test"),
    # strangers who only look like the forwarder
    "the forwarder's name for HELO": Spoof(bank(hop(BANK)), CEO, STRANGER),
    "an address literal of the forwarder's for HELO": Spoof(bank(hop(BANK)), CEO, Client(EVIL, "[127.0.5.1]")),
    "a neighbour in the forwarder's /24": Spoof(bank(hop(BANK)), CEO, NEIGHBOUR),
    "a neighbour with the learnt SRS": Spoof(bank(hop(BANK)), "SRS0=H=T=bank.test=ceo@acme.test", NEIGHBOUR, SRS),
    "a stranger with the learnt SRS": Spoof(bank(hop(BANK)), "SRS0=H=T=bank.test=ceo@acme.test", STRANGER, SRS),
    "no client at all": Spoof(bank(hop(BANK)), CEO, None),
    # other customers of the provider
    "another user's forward at Google": Spoof(
        bank(*gmails(BANK, CEO)), "evil+caf_=support=acme.gw.test@gmail.com", GOOGLE, GMAIL),
    "the learnt form with a tail": Spoof(bank(*gmails(BANK, CEO)), "x" + CAF, GOOGLE, GMAIL),
    "the learnt form at another domain": Spoof(bank(*gmails(BANK, CEO)), CAF.replace("gmail.com", "evil.test"), GOOGLE, GMAIL),
    "the user himself, as the bank": Spoof(bank(*gmails(BANK, CEO)), "acme.help@gmail.com", GOOGLE, GMAIL),
    "the learnt form from outside Google": Spoof(bank(*gmails(BANK, CEO)), CAF, STRANGER, GMAIL),
    "Google, sealed, another user's forward": Spoof(
        seal(bank(*gmails(EVIL)), "google.com", SEALED), "evil+caf_=support=acme.gw.test@gmail.com", GOOGLE, GMAIL),
    "another tenant of Microsoft's": Spoof(
        bank(results(PASS.replace("; ", ";")), *microsofts(BANK)), "bounces+SRS=a=b@evil.onmicrosoft.com", MICROSOFT, TENANT),
    "the tenant's name within another's": Spoof(
        bank(*microsofts(BANK)), "bounces+SRS=a@acme.onmicrosoft.com@evil.onmicrosoft.com", MICROSOFT, TENANT),
    "the hints of a forward, and no form": Spoof(
        bank("X-Forwarded-For: acme.help@gmail.com support@acme.gw.test", "X-Forwarded-To: support@acme.gw.test",
             "X-MS-Exchange-ForwardingLoop: support@acme.test;0"), CEO, GOOGLE, GMAIL),
    # Received fields that the author brought along, through the true forwarder
    "a forged field below the border": Spoof(bank(hop(EVIL, helo="mx.evil.test"), hop(BANK))),
    "the same, many": Spoof(bank(hop(EVIL), *[hop(BANK)] * 20)),
    "the bank's address as HELO literal": Spoof(bank(hop(EVIL, helo=f"[{BANK}]"))),
    "the bank's address in HELO as Exim writes it": Spoof(
        bank(f"Received: from [{EVIL}] (port=1 helo=[{BANK}]) by mail.acme.test with esmtp (Exim 4.96) id 1; x")),
    "the bank's address in HELO with a comment": Spoof(bank(hop(EVIL, helo=f"x (b [{BANK}])"))),
    "the bank's address in HELO with a whole clause": Spoof(bank(hop(EVIL, helo=f"x (b [{BANK}]) by mail.acme.test with SMTP; x"))),
    "the bank's address in the client's name": Spoof(bank(hop(EVIL, name=f"[{BANK}]"))),
    "the client's name is the bank's": Spoof(bank(hop(EVIL, helo="mx.bank.test", name="mx.bank.test"))),
    "a way past the border host": Spoof(bank(hop(EVIL, "mail2.acme.test"), hop(BANK))),
    "a shorter way, filled up": Spoof(bank(hop(EVIL), hop("127.0.0.1", "localhost"), hop(BANK)), forwarder=AMAVIS),
    "a shorter way from the filter's neighbour": Spoof(
        bank(hop("127.0.0.2"), hop("127.0.0.1", "localhost"), hop(BANK)), forwarder=AMAVIS),
    "a local program on the forwarder": Spoof(bank("Received: by mail.acme.test (Postfix, from userid 33) id 1; x", hop(BANK))),
    "the same, the alias's line learnt": Spoof(
        bank("Received: by mail.acme.test (Postfix, from userid 33) id 1; x", hop(BANK)),
        forwarder=replace(OWN, trail=("~mail.acme.test",))),
    "an unreadable field on top": Spoof(bank("Received: (qmail 1 invoked by uid 0); x", hop(BANK))),
    "no Received field of the forwarder's": Spoof(bank(hop(BANK, "mx.bank.test"))),
    "a border that was never learnt": Spoof(bank(hop(BANK)), forwarder=replace(OWN, border="")),
    "a name below the border's": Spoof(bank(hop(BANK, "x.mail.acme.test"))),
    "Google's line brought along": Spoof(
        bank(*gmails(EVIL, "x@evil.test"), *gmails(BANK, CEO)), CAF, GOOGLE, GMAIL),
    "Microsoft's line brought along": Spoof(bank(*microsofts(EVIL), *microsofts(BANK)), TENANTS, MICROSOFT, TENANT),
    "a Microsoft host of the attacker's": Spoof(
        bank(microsofts(EVIL)[0], f"Received: from x ({BANK}) by a.mail.protection.outlook.com.evil.test (10.1.1.1) with x; x"),
        TENANTS, MICROSOFT, TENANT),
    # reverse-paths at the border
    "another's SRS that names the bank": Spoof(bank(hop(EVIL)), "SRS0=H=T=bank.test=ceo@acme.test", forwarder=SRS),
    "the attacker's own reverse-path": Spoof(bank(hop(EVIL)), "x@evil.test"),
    "the attacker's, rewritten": Spoof(bank(hop(EVIL)), "SRS0=H=T=evil.test=x@acme.test", forwarder=SRS),
    "the bank's address, another's reverse-path": Spoof(bank(hop(BANK)), "x@evil.test"),
    "a quoted local part that names the bank": Spoof(bank(hop(EVIL)), '"ceo@bank.test"@evil.test'),
    "a Return-Path below the border": Spoof(bank(hop(BANK), f"Return-Path: <{CEO}>"), "support@acme.test", forwarder=KEEPS),
    "a Return-Path where none was learnt": Spoof(
        bank(f"Return-Path: <{CEO}>", hop(BANK)), "support@acme.test", forwarder=replace(KEEPS, keeps_return_path=False)),
    "a second Return-Path": Spoof(
        bank("Return-Path: <x@evil.test>", hop(EVIL), f"Return-Path: <{CEO}>"), "support@acme.test", forwarder=KEEPS),
    "a null reverse-path and the bank's HELO": Spoof(bank(hop(BANK, helo="bank.test")), None),
    "Gmail's user is of the author's domain": Spoof(bank(*gmails(BANK, "")), CAF, GOOGLE, replace(GMAIL, keeps_return_path=False)),
    # results and seals
    "results below the border": Spoof(bank(hop(EVIL), results(f"mail.acme.test; {PASS}"))),
    "results below Microsoft's border": Spoof(bank(*microsofts(EVIL), results(PASS)), TENANTS, MICROSOFT, TENANT),
    "results above a border of another way": Spoof(bank(results(f"mail.acme.test; {PASS}"), hop(EVIL, "mail2.acme.test"))),
    "results for another author": Spoof(bank(results("mail.acme.test; dmarc=pass header.from=evil.test"), hop(EVIL))),
    "results without an author": Spoof(bank(results("mail.acme.test; dmarc=pass"), hop(EVIL))),
    "results in a comment": Spoof(bank(results("mail.acme.test; dmarc=fail (dmarc=pass header.from=bank.test) header.from=bank.test"), hop(EVIL))),
    "results with a value that ends them": Spoof(
        bank(results('mail.acme.test; spf=none smtp.mailfrom="x; dmarc=pass header.from=bank.test"'), hop(EVIL))),
    "two results of one method": Spoof(
        bank(results("mail.acme.test; dmarc=pass header.from=bank.test; dmarc=fail header.from=bank.test"), hop(EVIL))),
    "the lower results say fail": Spoof(
        bank(results(f"mail.acme.test; {PASS}"), results("mail.acme.test; dmarc=fail header.from=bank.test"), hop(EVIL))),
    "SPF and DKIM in the results, no DMARC": Spoof(
        bank(results("mail.acme.test; spf=pass smtp.mailfrom=bank.test; dkim=pass header.d=bank.test"), hop(EVIL))),
    "Received-SPF above the border": Spoof(bank("Received-SPF: pass (bank.test) client-ip=127.0.9.2; envelope-from=ceo@bank.test", hop(EVIL))),
    "a seal of nobody's": Spoof(seal(bank(hop(EVIL)), "evil.test", SEALED)),
    "a named seal over evil's results": Spoof(
        seal(seal(bank(*gmails(EVIL)), "evil.test", SEALED), "google.com", "mx.google.com; dmarc=fail header.from=bank.test"),
        CAF, GOOGLE, GMAIL),
    "a named seal, the body changed": Spoof(seal(bank(*gmails(EVIL)), "google.com", SEALED) + b"IBAN\r\n", CAF, GOOGLE, GMAIL),
    "ARC results that nobody sealed": Spoof(bank(f"ARC-Authentication-Results: i=1; {SEALED}", hop(EVIL))),
    # who wrote
    "signed by the attacker": Spoof(with_fields([hop(EVIL)], sign(mail(CEO), "evil.test", key=rsa_key(1024)))),
    "two authors": Spoof(with_fields([hop(BANK)], mail(f"{CEO}, x@evil.test"))),
    "two From fields": Spoof(with_fields([hop(BANK), f"From: {CEO}"], mail("x@evil.test"))),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOOFS)
async def test_nobody_is_verified_as_somebody_else(what):
    spoof = SPOOFS[what]
    more = arc_zone("google.com") | arc_zone("evil.test", key=rsa_key(1024))
    found = await report(spoof.content, spoof.client, spoof.reverse_path, at(spoof.forwarder), more=more)
    assert found.sender in (Sender.UNVERIFIED, Sender.FORGED)
    assert (found.level, found.by) == (Level.NONE, "")
    assert found.result_of("dmarc") in ("fail", "permerror", "none")
    assert all(c.outcome is ProofOutcome.LOST and c.why for c in found.candidates)


@pytest.mark.parametrize("what", [w for w, s in SPOOFS.items() if s.client is COMPANY and s.forwarder in (OWN, SRS)])
async def test_a_spoof_through_the_known_forwarder_is_never_refused(what):
    """Its 5xx would become the forwarder's bounce to a perhaps forged author."""
    spoof = SPOOFS[what]
    found = await report(
        spoof.content, spoof.client, spoof.reverse_path, at(spoof.forwarder), more=arc_zone("evil.test")
    )
    assert found.sender is Sender.UNVERIFIED
    assert found.forwarder == "mail.acme.test"
