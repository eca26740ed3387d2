"""SPF against a real name server that is slow, oversized or lies: T23 and T24. Never a pass, never a long wait."""

from __future__ import annotations

import asyncio
import time

import dns.message
import dns.name
import dns.rrset
import pytest
from dnsserver import NameServer
from shapes import DictResolver, envelope

from gateway.core.envelope import Client
from gateway.resolver import DnsResolver
from gateway.verify.evidence import BudgetedResolver
from gateway.verify.spf import evaluate, identity_of

IP = "192.0.2.9"


async def check(resolver, sender="carol@customer.test", helo="mx.customer.test", seconds=5.0):
    identity = identity_of(envelope(reverse_path=sender, client=Client(IP, helo)))
    bounded = BudgetedResolver(resolver, time.monotonic() + seconds)
    return await evaluate(identity, IP, helo, bounded)


def quoted(record: str) -> str:
    return " ".join(f'"{record[i : i + 250]}"' for i in range(0, len(record), 250))


def zone(**records: str) -> dict:
    return {(name.replace("__", "."), "TXT"): [quoted(text)] for name, text in records.items()}


async def over_dns(records: dict, server: type[NameServer] = NameServer, **how) -> str:
    async with server(records).running() as names:
        return (await check(DnsResolver(["127.0.0.1"], names.port, 0.5, None), **how)).result


# --- limits, to the last term ---


def ten_and(last: str, *, behind: str = "") -> dict:
    """Ten terms that ask and match nothing, and one more."""
    found = {("customer.test", "TXT"): [f"v=spf1 {' '.join(f'a:n{n}.test' for n in range(10))} {last}{behind}"]}
    found |= {(f"n{n}.test", "A"): ["192.0.2.1"] for n in range(10)}
    return found | {
        ("h.test", "A"): [IP], ("h.test", "MX"): [(1, "h.test")], ("h.test", "TXT"): [f"v=spf1 ip4:{IP} -all"],
        ("9.2.0.192.in-addr.arpa", "PTR"): ["h.test"],
    }  # fmt: skip


@pytest.mark.parametrize("behind", ["", " -all", " ip4:192.0.2.9"])
@pytest.mark.parametrize(
    "last", ["a:h.test", "mx:h.test", "exists:h.test", "include:h.test", "ptr:h.test", "redirect=h.test"]
)
async def test_the_eleventh_term_is_too_many_also_as_the_last(last, behind):
    """An excess in the last term went unseen in another library (2026-08): the term would have matched."""
    assert (await check(DictResolver(ten_and(last, behind=behind)))).result == "permerror"


@pytest.mark.parametrize("macro", ["%{p}.test", "%{p2}.x.test", "%{P}.test", "x.%{pr}.test"])
async def test_the_p_macro_as_the_eleventh_question_is_too_many(macro):
    """9 terms, the term with the macro, and the macro itself (RFC 7208 section 4.6.4)."""
    records = ten_and("?all")
    records["customer.test", "TXT"] = [
        f"v=spf1 {' '.join(f'a:n{n}.test' for n in range(9))} exists:{macro} ip4:{IP} -all"
    ]
    assert (await check(DictResolver(records))).result == "permerror"
    records["customer.test", "TXT"] = [
        f"v=spf1 {' '.join(f'a:n{n}.test' for n in range(8))} exists:{macro} ip4:{IP} -all"
    ]
    assert (await check(DictResolver(records))).result == "pass"


@pytest.mark.parametrize(("inner", "result"), [(4, "pass"), (5, "permerror")])
async def test_terms_within_includes_count_in_the_one_sum(inner, result):
    """Five outside with the include, and these within."""
    records = {("customer.test", "TXT"): ["v=spf1 a:n.test a:n.test a:n.test a:n.test include:in.test -all"]}
    records["in.test", "TXT"] = [f"v=spf1 {'a:n.test ' * inner}redirect=last.test"]
    records |= {("n.test", "A"): ["192.0.2.1"], ("last.test", "TXT"): [f"v=spf1 ip4:{IP} -all"]}
    assert (await check(DictResolver(records))).result == result


@pytest.mark.parametrize("last", ["a:void.test", "mx:void.test", "exists:void.test", "a:" + "void." * 40 + "test"])
async def test_the_third_void_answer_is_too_many_also_in_the_last_term(last):
    records = {("customer.test", "TXT"): [f"v=spf1 a:v1.test a:v2.test {last}"]}
    assert (await check(DictResolver(records))).result == "permerror"
    records["customer.test", "TXT"] = [f"v=spf1 a:v1.test {last}"]
    assert (await check(DictResolver(records))).result == "neutral"


async def test_ten_exchangers_of_ten_terms_are_asked_and_no_more():
    records = {("customer.test", "TXT"): ["v=spf1 " + " ".join(f"mx:m{n}.test" for n in range(10)) + " -all"]}
    for n in range(10):
        records[f"m{n}.test", "MX"] = [(i, f"h{n}-{i}.test") for i in range(10)]
        records |= {(f"h{n}-{i}.test", "A"): ["192.0.2.1"] for i in range(10)}
    resolver = DictResolver(records)
    assert (await check(resolver)).result == "fail"
    assert len(resolver.asked) == len(set(resolver.asked)) == 111


@pytest.mark.parametrize("names", [10, 11, 500])
async def test_no_more_than_ten_names_of_the_client_are_asked(names):
    records = {("customer.test", "TXT"): ["v=spf1 ptr -all"]}
    records["9.2.0.192.in-addr.arpa", "PTR"] = [f"n{n}.customer.test" for n in range(names)]
    resolver = DictResolver(records)
    assert (await check(resolver)).result in ("fail", "permerror")
    assert len([q for q in resolver.asked if q[1] == "A"]) <= 10


# --- hostile identities in what is asked ---

LOCALS = [
    "a" * 64, "a" * 255, '"a@evil.test"', '"a b"', '"\\""', "a/b", "%{d}", "a.b.c.d", "-", "\u00fc", '"a..b"', "a\\.b", '"' + "x." * 120 + '"',
]  # fmt: skip


@pytest.mark.parametrize("macro", ["%{l}", "%{s}", "%{L}", "%{lr-}", "%{o}", "%{h}", "%{l1r}"])
@pytest.mark.parametrize("local", LOCALS)
async def test_a_hostile_local_part_is_harmless_in_macros(macro, local):
    records = {("customer.test", "TXT"): [f"v=spf1 exists:{macro}.x.customer.test -all"]}
    found = await check(DictResolver(records), f"{local}@customer.test")
    assert found.result in ("fail", "permerror")


@pytest.mark.parametrize(
    "helo", ["[192.0.2.9]", "x" * 64 + ".test", "a..b", "\u00fc.test", "y" * 300, 'a"b', "%{l}", "x\x00y", ""]
)
async def test_a_hostile_helo_is_harmless_over_real_dns(helo):
    assert await over_dns(zone(customer__test="v=spf1 exists:%{h}.x.customer.test -all"), helo=helo) in (
        "fail",
        "permerror",
    )


# --- the server ---


async def test_a_record_too_long_for_udp_comes_over_tcp():
    record = "v=spf1 " + " ".join(f"ip4:198.51.100.{n}" for n in range(200)) + f" ip4:{IP} -all"
    assert await over_dns(zone(customer__test=record)) == "pass"


@pytest.mark.parametrize("octets", [9_000, 60_000])
async def test_a_monstrous_record_is_permerror(octets):
    started = time.process_time()
    assert await over_dns(zone(customer__test="v=spf1 " + "ip4:192.0.2.9 " * (octets // 14) + "-all")) == "permerror"
    assert time.process_time() - started < 2


async def test_a_crowd_of_other_text_does_not_hide_the_record():
    crowd = [quoted(f"verification={n:0200}") for n in range(250)]
    assert await over_dns({("customer.test", "TXT"): [*crowd, quoted(f"v=spf1 ip4:{IP} -all")]}) == "pass"


async def test_two_records_are_permerror():
    assert await over_dns({("customer.test", "TXT"): ['"v=spf1 +all"', '"v=spf1 -all"']}) == "permerror"


@pytest.mark.parametrize(
    "records",
    [
        {("customer.test", "CNAME"): ["customer.test."]},
        {("customer.test", "CNAME"): ["b.test."], ("b.test", "CNAME"): ["customer.test."]},
        {(f"{'x' * n or 'customer'}.test", "CNAME"): [f"{'x' * (n + 1)}.test."] for n in range(40)},
    ],
)
async def test_aliases_without_end_are_no_pass_and_no_wait(records):
    started = time.monotonic()
    assert await over_dns(records) in ("temperror", "none")
    assert time.monotonic() - started < 3


class AnswersForAnother(NameServer):
    """Whatever is asked, the answer section speaks of another name."""

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        response = dns.message.make_response(query)
        response.answer.append(dns.rrset.from_text("other.test.", 60, "IN", "TXT", '"v=spf1 +all"'))
        return response.to_wire()


class AnswersInAnotherType(NameServer):
    def answer(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        response = dns.message.make_response(query)
        name = query.question[0].name
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", IP))
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "MX", "1 customer.test."))
        return response.to_wire()


class AnswersAnotherQuestion(NameServer):
    """The right id, and a question nobody asked."""

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        other = dns.message.make_query("other.test.", "TXT", id=query.id)
        response = dns.message.make_response(other)
        response.answer.append(dns.rrset.from_text("other.test.", 60, "IN", "TXT", '"v=spf1 +all"'))
        return response.to_wire()


class AnswersWithAnotherId(NameServer):
    def answer(self, wire: bytes, transport: str) -> bytes | None:
        full = super().answer(wire, transport) or b""
        return bytes([full[0] ^ 0xFF, full[1]]) + full[2:]


class AnswersGarbage(NameServer):
    def answer(self, wire: bytes, transport: str) -> bytes | None:
        return wire[:2] + b"\x81\x80" + b"\xff" * 40


class AnswersHalf(NameServer):
    def answer(self, wire: bytes, transport: str) -> bytes | None:
        full = super().answer(wire, transport) or b""
        return full[: len(full) - 5]


class AnswersAnAliasIntoAnothersZone(NameServer):
    """The alias is given with an address that the server has no authority to give."""

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        response = dns.message.make_response(query)
        response.additional.append(dns.rrset.from_text("customer.test.", 60, "IN", "TXT", '"v=spf1 +all"'))
        return response.to_wire()


LIARS = [AnswersForAnother, AnswersInAnotherType, AnswersAnotherQuestion, AnswersWithAnotherId, AnswersGarbage,
         AnswersHalf, AnswersAnAliasIntoAnothersZone]  # fmt: skip


@pytest.mark.parametrize("liar", LIARS)
async def test_a_lie_is_no_record_and_no_pass(liar):
    started = time.monotonic()
    assert await over_dns(zone(customer__test="v=spf1 +all"), liar) in ("none", "temperror")
    assert time.monotonic() - started < 3


async def test_slow_answers_add_up_to_the_budget_and_no_more():
    class Late(DictResolver):
        async def records(self, name, kind):
            await asyncio.sleep(0.1)  # eleven seconds in all
            return await super().records(name, kind)

    records = {("customer.test", "TXT"): ["v=spf1 " + " ".join(f"mx:m{n}.test" for n in range(10)) + " -all"]}
    for n in range(10):
        records[f"m{n}.test", "MX"] = [(i, f"h{n}-{i}.test") for i in range(10)]
        records |= {(f"h{n}-{i}.test", "A"): ["192.0.2.1"] for i in range(10)}
    started = time.monotonic()
    found = await check(Late(records), seconds=0.3)
    assert found.result == "temperror"
    assert time.monotonic() - started < 5


async def test_who_waits_for_a_silent_server_holds_nobody_else():
    records = zone(customer__test=f"v=spf1 ip4:{IP} -all", slow__test="v=spf1 +all")
    async with NameServer(records).running() as names:
        names.silent = {f"s{n}.test" for n in range(50)}
        resolver = DnsResolver(["127.0.0.1"], names.port, 2, None)
        waiting = [asyncio.create_task(check(resolver, f"x@s{n}.test", seconds=2)) for n in range(50)]
        started = time.monotonic()
        assert (await check(resolver)).result == "pass"
        assert time.monotonic() - started < 1.6
        assert not any(task.done() for task in waiting)
        assert {found.result for found in await asyncio.gather(*waiting)} == {"temperror"}


async def test_an_explanation_is_not_fetched_and_not_repeated():
    """Known from the cache it was shown, else not: a stranger's words, with whatever control characters they have."""
    records = zone(customer__test="v=spf1 exp=why.test -all", why__test="CALL 0900 AT ONCE, %{l}")
    async with NameServer(records).running() as names:
        resolver = DnsResolver(["127.0.0.1"], names.port, 2, None)
        await resolver.records("why.test", "TXT")
        found = [await check(resolver), await check(resolver)]
    assert [f.result for f in found] == ["fail", "fail"]
    assert not any("0900" in f.detail for f in found)
