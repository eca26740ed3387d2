"""iprev by RFC 8601 section 3, and the HELO identity recorded beside MAIL FROM: neither judges anybody."""

from __future__ import annotations

import asyncio
import time

import pytest
from shapes import DictResolver, domain_zone, envelope, mail, message, place

from gateway.core.envelope import Client
from gateway.core.ports import AuthEvidence
from gateway.core.reports import AuthResult, Path, Sender
from gateway.verify import evidence as evidence_module
from gateway.verify.checks import iprev, spf
from gateway.verify.results import authentication_results
from gateway.verify.verifier import Verifier

PTR = ("9.0.0.127.in-addr.arpa", "PTR")
PTR6 = (".".join("52" + "0" * 22 + "8bd01002") + ".ip6.arpa", "PTR")


CUSTOMER = Client("127.0.0.9", "mx.customer.test")


def seen_by(resolver, client=CUSTOMER, reverse_path="carol@customer.test"):
    content = envelope(client=client, reverse_path=reverse_path)
    return AuthEvidence(content, message("carol@customer.test"), place(), resolver, time.monotonic() + 5)


async def found(zone, ip="127.0.0.9", broken=()):
    (result,) = await iprev.CHECK.check(seen_by(DictResolver(zone, set(broken)), Client(ip, "h")))
    assert dict(result.properties) == {"policy.iprev": ip}
    return result


CASES = {
    "a name that leads back": ({PTR: ["mx.test"], ("mx.test", "A"): ["127.0.0.9"]}, (), "pass"),
    "among other addresses": ({PTR: ["mx.test"], ("mx.test", "A"): ["127.0.0.1", "127.0.0.9"]}, (), "pass"),
    "the second of two names": (
        {PTR: ["a.test", "b.test"], ("a.test", "A"): ["127.0.0.1"], ("b.test", "A"): ["127.0.0.9"]}, (), "pass"),
    "a name that leads elsewhere": ({PTR: ["mx.bank.test"], ("mx.bank.test", "A"): ["127.0.0.1"]}, (), "fail"),
    "a name that does not exist": ({PTR: ["mx.test"]}, (), "fail"),
    "only an address of the other kind": ({PTR: ["mx.test"], ("mx.test", "AAAA"): ["::ffff:127.0.0.9"]}, (), "fail"),
    "no name": ({}, (), "permerror"),
    "DNS silent about the name": ({}, (PTR[0],), "temperror"),
    "DNS silent about its address": ({PTR: ["mx.test"]}, ("mx.test",), "temperror"),
    "trouble with one name does not hide another": (
        {PTR: ["dead.test", "b.test"], ("b.test", "A"): ["127.0.0.9"]}, ("dead.test",), "pass"),
    "a name that cannot be one": ({PTR: ["a" * 70 + ".test"]}, (), "fail"),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
async def test_the_clients_name_is_confirmed_forwards(what):
    zone, broken, expected = CASES[what]
    assert (await found(zone, broken=broken)).result == expected


@pytest.mark.parametrize(("ip", "shown"), [("::ffff:127.0.0.9", "127.0.0.9"), ("127.0.0.9", "127.0.0.9")])
async def test_a_mapped_address_is_asked_as_what_it_is(ip, shown):
    resolver = DictResolver({PTR: ["mx.test"], ("mx.test", "A"): ["127.0.0.9"]})
    (result,) = await iprev.CHECK.check(seen_by(resolver, Client(ip, "h")))
    assert (result.result, dict(result.properties)) == ("pass", {"policy.iprev": shown})


async def test_ipv6_goes_by_nibbles_and_is_quoted_in_the_field():
    resolver = DictResolver({PTR6: ["mx.test"], ("mx.test", "AAAA"): ["2001:DB8:0::25"]})
    (result,) = await iprev.CHECK.check(seen_by(resolver, Client("2001:db8::25", "h")))
    assert (result.result, result.detail) == ("pass", "mx.test")
    (report,) = [await Verifier(resolver, 5, asyncio.to_thread).verify(
        envelope(client=Client("2001:db8::25", "h")), message(None), place())]  # fmt: skip
    assert 'iprev=pass (mx.test) policy.iprev="2001:db8::25"' in authentication_results(report, "mx.gw.test")


@pytest.mark.parametrize("client", [None, Client("nonsense", "h"), Client("", "h")])
async def test_where_there_is_no_address_nothing_is_said(client):
    assert await iprev.CHECK.check(seen_by(DictResolver({}), client)) == ()


async def test_an_address_with_many_names_costs_few_questions():
    resolver = DictResolver({PTR: [f"n{n}.test" for n in range(5_000)]})
    (result,) = await iprev.CHECK.check(seen_by(resolver))
    assert result.result == "fail"
    assert len(resolver.asked) == 1 + iprev.MAX_NAMES


async def test_a_hostile_name_stays_in_its_comment():
    hostile = "evil.test) dmarc=pass header.from=bank.test\r\nX-Evil: 1"
    report = await Verifier(DictResolver({PTR: [hostile]}), 5, asyncio.to_thread).verify(
        envelope(client=Client("127.0.0.9", "h")), message(None), place()
    )
    _, line = authentication_results(report, "mx.gw.test").split("	iprev=")
    assert line.startswith("fail (evil.test\\) dmarc=pass")
    assert "\nX-Evil" not in line


class SilentAbout(DictResolver):
    """Never answers what is asked about `silent` kinds or names."""

    def __init__(self, zone, *silent):
        super().__init__(zone)
        self.silent = silent

    async def records(self, name, kind):
        if kind in self.silent or name in self.silent:
            await asyncio.Event().wait()
        return await super().records(name, kind)


@pytest.mark.parametrize("silent", ["PTR", "mx.customer.test"])
async def test_nobody_waits_long_for_what_judges_nobody(monkeypatch, silent):
    """The reverse zones of many honest clients are dead: their mail must not wait for the budget to be spent."""
    monkeypatch.setattr(evidence_module, "PATIENCE_SECONDS", 0.05)
    resolver = SilentAbout(domain_zone("customer.test", "127.0.0.9"), silent)
    async with asyncio.timeout(15):
        report = await Verifier(resolver, 20, asyncio.to_thread).verify(
            envelope(mail(), client=Client("127.0.0.9", "mx.customer.test")), message("carol@customer.test"), place()
        )
    assert (report.sender, report.by) == (Sender.VERIFIED, "spf:customer.test")
    assert "temperror" in {r.result for r in report.results}


async def test_a_client_without_a_name_is_judged_as_one_with_it():
    zone = domain_zone("customer.test", "127.0.0.9")
    named = zone | {PTR: ["mx.customer.test"], ("mx.customer.test", "A"): ["127.0.0.9"]}
    content = envelope(mail(), client=Client("127.0.0.9", "mx.customer.test"))
    reports = [
        await Verifier(DictResolver(z), 5, asyncio.to_thread).verify(content, message("carol@customer.test"), place())
        for z in (zone, named)
    ]
    assert [r.result_of("iprev") for r in reports] == ["permerror", "pass"]
    assert {(r.sender, r.level, r.by, r.path, r.reason) for r in reports} == {
        (Sender.VERIFIED, reports[0].level, "spf:customer.test", Path.DIRECT, reports[0].reason)
    }


HELO = {("mx.evil.test", "TXT"): ["v=spf1 ip4:127.0.0.9 -all"], ("customer.test", "TXT"): ["v=spf1 -all"]}


async def test_helo_is_recorded_beside_the_reverse_path():
    results = await spf.CHECK.check(seen_by(DictResolver(HELO), Client("127.0.0.9", "mx.evil.test")))
    assert results == (
        AuthResult("spf", "fail", (("smtp.mailfrom", "carol@customer.test"),), results[0].detail),
        AuthResult("spf", "pass", (("smtp.helo", "mx.evil.test"),), results[1].detail),
    )


async def test_helo_never_counts_beside_a_reverse_path():
    """RFC 9989 section 4.4.2: DMARC relies on MAIL FROM alone, also where HELO names the author's own domain."""
    zone = {
        ("customer.test", "TXT"): ["v=spf1 ip4:127.0.0.9 -all"],
        ("_dmarc.customer.test", "TXT"): ["v=DMARC1; p=none"],
    }
    report = await Verifier(DictResolver(zone), 5, asyncio.to_thread).verify(
        envelope(mail(), client=Client("127.0.0.9", "customer.test"), reverse_path="x@evil.test"),
        message("carol@customer.test"), place(),
    )  # fmt: skip
    assert [r.result for r in report.results if r.method == "spf"] == ["none", "pass"]
    assert (report.result_of("spf"), report.result_of("dmarc"), report.sender) == ("none", "fail", Sender.UNVERIFIED)


async def test_helo_of_a_rewriting_client_betrays_no_forwarder():
    """The reverse-path's own SPF must pass for a rewritten form to count; HELO's does not stand in for it."""
    report = await Verifier(DictResolver(HELO), 5, asyncio.to_thread).verify(
        envelope(
            mail(), client=Client("127.0.0.9", "mx.evil.test"), reverse_path="SRS0=h=t=customer.test=carol@fwd.test"
        ), message("carol@customer.test"), place(),
    )  # fmt: skip
    assert report.path is Path.UNKNOWN


@pytest.mark.parametrize("helo", ["[127.0.0.9]", "client", "", "a..b", "x(.customer.test", "\udc80.test", "a" * 300])
async def test_a_helo_that_names_no_domain_is_left_out(helo):
    resolver = DictResolver(HELO)
    results = await spf.CHECK.check(seen_by(resolver, Client("127.0.0.9", helo)))
    assert [r.properties[0][0] for r in results] == ["smtp.mailfrom"]


async def test_with_a_null_reverse_path_helo_is_the_one_identity():
    results = await spf.CHECK.check(seen_by(DictResolver(HELO), Client("127.0.0.9", "mx.evil.test"), None))
    assert [(r.result, r.properties) for r in results] == [("pass", (("smtp.helo", "mx.evil.test"),))]
