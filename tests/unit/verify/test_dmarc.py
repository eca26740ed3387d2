"""DMARC by its rules, one case per rule (RFC 9989; RFC 7489 where it says so)."""

from __future__ import annotations

import pytest
from shapes import DictResolver

from gateway.verify.dmarc import aligned, discover, read_record, registrable, walk, walk_names


def zone(**records: str | list[str]):
    """`a__example="..."` publishes at _dmarc.a.example."""
    found = {}
    for name, texts in records.items():
        domain = name.replace("__", ".")
        found[f"_dmarc.{domain}", "TXT"] = [texts] if isinstance(texts, str) else texts
    return found


R = "v=DMARC1; p=reject"

POLICIES = {
    "4.10.1: the author domain's own record": ("a.example", zone(a__example=R), "reject"),
    "4.10.1: no record anywhere": ("a.example", {}, ""),
    "4.10.1: own record wins over the organization's": (
        "s.a.example", zone(s__a__example="v=DMARC1; p=none", a__example=R), "none"),
    "4.10.1: the organization's record for a subdomain": ("s.a.example", zone(a__example=R), "reject"),
    "4.7 sp: subdomains are asked for by sp": ("s.a.example", zone(a__example=R + "; sp=none"), "none"),
    "4.7 sp: the domain itself is not": ("a.example", zone(a__example=R + "; sp=none"), "reject"),
    "4.7 np: a domain that does not exist": ("s.a.example", zone(a__example="v=DMARC1; p=none; np=reject"), "reject"),
    "4.7 np: wins over sp": ("s.a.example", zone(a__example="v=DMARC1; p=none; sp=quarantine; np=reject"), "reject"),
    "4.7 np: not for the domain itself": ("a.example", zone(a__example="v=DMARC1; p=none; np=reject"), "none"),
    "4.7 np: defaults to sp": ("s.a.example", zone(a__example="v=DMARC1; p=none; sp=reject"), "reject"),
    "4.7 np: a domain with an address exists": (
        "s.a.example", zone(a__example="v=DMARC1; p=none; np=reject") | {("s.a.example", "A"): ["192.0.2.1"]}, "none"),
    "4.7 np: a domain with a mail exchanger exists": (
        "s.a.example",
        zone(a__example="v=DMARC1; p=none; np=reject") | {("s.a.example", "MX"): [(1, "mx.test")]}, "none"),
    "4.7 np: a domain with an IPv6 address exists": (
        "s.a.example", zone(a__example="v=DMARC1; p=none; np=reject") | {("s.a.example", "AAAA"): ["2001:db8::1"]},
        "none"),
    "4.7 np: text alone is no existence": (
        "s.a.example", zone(a__example="v=DMARC1; p=none; np=reject") | {("s.a.example", "TXT"): ["x"]}, "reject"),
    "4.7 p: case does not matter": ("a.example", zone(a__example="v=DMARC1; P=REJECT"), "reject"),
    "4.7 p: a missing p is none": ("a.example", zone(a__example="v=DMARC1; rua=mailto:x@a.example"), "none"),
    "4.7 p: missing, without rua too": ("a.example", zone(a__example="v=DMARC1"), "none"),
    "4.10.1 p: invalid with a report address is none": (
        "a.example", zone(a__example="v=DMARC1; p=bogus; rua=mailto:x@a.example"), "none"),
    "4.10.1 p: invalid without is no policy": ("a.example", zone(a__example="v=DMARC1; p=bogus"), ""),
    "4.10.1 sp: invalid without a report address is no policy": ("a.example", zone(a__example=R + "; sp=bogus"), ""),
    "4.10.1 np: invalid with a report address is none": (
        "a.example", zone(a__example=R + "; np=bogus; rua=mailto:x@a.example"), "none"),
    "4.10.1: an invalid own record is not replaced by the organization's": (
        "s.a.example", zone(s__a__example="v=DMARC1; p=bogus", a__example=R), ""),
    "4.10: several records are none": ("a.example", zone(a__example=[R, "v=DMARC1; p=none"]), ""),
    "4.10: several records at the author leave the organization's": (
        "s.a.example", zone(s__a__example=[R, R], a__example="v=DMARC1; p=quarantine"), "quarantine"),
    "4.10: other text beside the record is discarded": ("a.example", zone(a__example=["v=spf1 -all", R]), "reject"),
    "4.8: the version comes first": ("a.example", zone(a__example="p=reject; v=DMARC1"), ""),
    "4.8: the version is exact": ("a.example", zone(a__example="v=DMARC12; p=reject"), ""),
    "4.8: the version's case matters": ("a.example", zone(a__example="v=dmarc1; p=reject"), ""),
    "4.8: a wrong version beside the right one is no second record": (
        "a.example", zone(a__example=["v=DMARC2; p=none", R]), "reject"),
    "4.8: blanks around the signs": ("a.example", zone(a__example="v = DMARC1 ;  p\t= reject ;"), "reject"),
    "4.8: unknown tags are ignored": ("a.example", zone(a__example=R + "; x=y; junk; =; fo=1"), "reject"),
    "4.8: order after the version is free": ("a.example", zone(a__example="v=DMARC1; adkim=s; p=reject"), "reject"),
    "4.8: the first of equal tags counts": ("a.example", zone(a__example=R + "; p=none"), "reject"),
    "4.7 t: test mode takes reject to quarantine": ("a.example", zone(a__example=R + "; t=y"), "quarantine"),
    "4.7 t: test mode takes quarantine to none": ("a.example", zone(a__example="v=DMARC1; p=quarantine; t=y"), "none"),
    "4.7 t: test mode leaves none": ("a.example", zone(a__example="v=DMARC1; p=none; t=y"), "none"),
    "4.7 t: test mode holds for sp": ("s.a.example", zone(a__example="v=DMARC1; p=none; sp=reject; t=y"), "quarantine"),
    "4.7 t=n is the default": ("a.example", zone(a__example=R + "; t=n"), "reject"),
    "7489 6.3 pct=0 is test mode": ("a.example", zone(a__example=R + "; pct=0"), "quarantine"),
    "A.6 pct: other values are gone": ("a.example", zone(a__example=R + "; pct=10"), "reject"),
    "4.10.2 psd=n: the organization ends here": (
        "s.b.a.example", zone(b__a__example="v=DMARC1; p=none; psd=n", a__example=R), "none"),
    "4.10.2 psd=y: the policy of the suffix": ("a.example", zone(example="v=DMARC1; p=none; sp=reject; psd=y"), "reject"),
    "4.10.2 psd=y: the organization one below wins": (
        "s.a.example", zone(a__example="v=DMARC1; p=quarantine", example="v=DMARC1; p=reject; psd=y"), "quarantine"),
    "4.10: the walk passes over a gap": ("x.y.z.a.example", zone(a__example=R), "reject"),
    "4.10: at most eight questions": (
        "1.2.3.4.5.6.7.8.9.a.example", zone(**{"4__5__6__7__8__9__a__example": R}), ""),
    "4.10: the last seven labels are asked": (
        "1.2.3.4.5.6.7.8.9.a.example", zone(**{"6__7__8__9__a__example": R + "; psd=n"}), "reject"),
    "4.10.1: a suffix that does not say what it is asks for its customers too": (
        "a.co.uk", zone(co__uk=R), "reject"),
}  # fmt: skip


@pytest.mark.parametrize("rule", POLICIES)
async def test_the_policy_that_applies(rule):
    domain, records, expected = POLICIES[rule]
    policy = await discover(domain, DictResolver(records))
    assert (policy.applied, policy.failed) == (expected, False)


ALIGNMENTS = {
    "4.4: the same domain": ("a.example", "a.example", {}, True, True),
    "4.4: relaxed, signed by the organization": ("s.a.example", "a.example", zone(a__example=R), True, False),
    "4.4: relaxed, signed below": ("a.example", "s.a.example", zone(a__example=R), True, False),
    "4.4: relaxed, signed beside": ("s.a.example", "t.a.example", zone(a__example=R), True, False),
    "4.4: another organization": ("a.example", "b.example", zone(a__example=R, b__example=R), False, False),
    "4.4: a name that only ends alike": ("a.example", "evila.example", zone(a__example=R), False, False),
    "4.10.2: psd=n splits an organization": (
        "a.example", "s.b.a.example", zone(a__example=R, b__a__example=R + "; psd=n"), False, False),
    "4.10.2: psd=y keeps its customers apart": (
        "a.pool.example", "b.pool.example", zone(pool__example=R + "; psd=y"), False, False),
    "4.10.2: below psd=y one customer is one organization": (
        "a.pool.example", "s.a.pool.example", zone(pool__example=R + "; psd=y"), True, False),
    "7489 3.2: without records the suffix list decides": ("a.co.uk", "s.a.co.uk", {}, True, False),
    "7489 3.2: and keeps strangers apart": ("a.co.uk", "b.co.uk", {}, False, False),
    "7489 3.2: a record at a public suffix joins nobody": ("a.co.uk", "b.co.uk", zone(co__uk=R), False, False),
    "7489 3.2: nor one at a private suffix": ("a.github.io", "b.github.io", zone(github__io=R), False, False),
    "4.4: a suffix's signature is nobody's": ("a.co.uk", "co.uk", {}, False, False),
}  # fmt: skip


@pytest.mark.parametrize("rule", ALIGNMENTS)
async def test_alignment(rule):
    author, other, records, relaxed, strict = ALIGNMENTS[rule]
    resolver = DictResolver(records)
    policy = await discover(author, resolver)
    assert await aligned(policy, other, resolver, strict=False) is relaxed
    assert await aligned(policy, other, resolver, strict=True) is strict


async def test_alignment_modes_come_from_the_record():
    policy = await discover("a.example", DictResolver(zone(a__example=R + "; adkim=s; aspf=r")))
    assert (policy.strict_dkim, policy.strict_spf) == (True, False)
    policy = await discover("s.a.example", DictResolver(zone(a__example=R + "; aspf=S; adkim=x")))
    assert (policy.strict_dkim, policy.strict_spf) == (False, True)


FAILURES = {
    "the author's own record": ("s.a.example", zone(a__example=R), {"_dmarc.s.a.example"}, "", True),
    "the organization's, with no own": ("s.a.example", {}, {"_dmarc.a.example"}, "", True),
    "the organization's, with an own": ("s.a.example", zone(s__a__example=R), {"_dmarc.a.example"}, "reject", False),
    "the suffix's, with an organization's": ("s.a.example", zone(a__example=R), {"_dmarc.example"}, "reject", False),
    "the suffix's, with none below": ("s.a.example", {}, {"_dmarc.example"}, "", True),
    "whether the domain exists": (
        "s.a.example", zone(a__example="v=DMARC1; p=none; np=reject"), {"s.a.example"}, "", True),
}  # fmt: skip


@pytest.mark.parametrize("what", FAILURES)
async def test_dns_failures_are_kept_apart(what):
    domain, records, broken, applied, failed = FAILURES[what]
    policy = await discover(domain, DictResolver(records, broken))
    assert (policy.applied, policy.failed) == (applied, failed)


async def test_alignment_is_unknown_where_dns_would_not_say():
    resolver = DictResolver(zone(a__example=R), {"_dmarc.b.a.example"})
    policy = await discover("a.example", resolver)
    assert await aligned(policy, "s.b.a.example", resolver, strict=False) is None
    policy = await discover("s.a.example", DictResolver({}, {"_dmarc.a.example"}))
    assert await aligned(policy, "t.a.example", resolver, strict=False) is None
    assert await aligned(policy, "t.b.example", resolver, strict=False) is False


def test_a_walk_asks_at_most_eight_names():
    assert walk_names("a.example") == ["a.example", "example"]
    names = walk_names(".".join("abcdefghijkl"))
    assert names[0] == "a.b.c.d.e.f.g.h.i.j.k.l"
    assert names[1] == "f.g.h.i.j.k.l"
    assert (len(names), names[-1]) == (8, "l")
    assert len(walk_names("a.b.c.d.e.f.g.h")) == 8


async def test_a_walk_stops_at_psd():
    found = await walk("s.a.example", DictResolver(zone(a__example=R + "; psd=n", example=R)))
    assert [r.domain for r in found.records] == ["a.example"]


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"v=DMARC1" * 1000, b"v=DMARC1;" + b";" * 60_000, b"v=DMARC1; p"])
def test_no_record_breaks_the_reader(text):
    read_record("a.example", [text])


def test_the_registrable_domain_of_a_suffix_is_itself():
    assert [registrable(d) for d in ("a.b.co.uk", "b.co.uk", "co.uk", "test")] == [
        "b.co.uk",
        "b.co.uk",
        "co.uk",
        "test",
    ]


@pytest.mark.parametrize("record", [R, R + "; psd=u", R + "; psd=y"])
@pytest.mark.parametrize(
    ("author", "other", "above"),
    [
        ("victim.co.uk", "evil.co.uk", "uk"),
        ("victim.service.gov.uk", "evil.service.gov.uk", "gov__uk"),
        ("victim.s3.amazonaws.com", "evil.s3.amazonaws.com", "amazonaws__com"),
    ],
)
async def test_a_record_above_a_second_public_suffix_made_strangers_one_organization(author, other, above, record):
    """The domain one label below that record is a public suffix itself: anybody below it signed for anybody else."""
    records = DictResolver(zone(**{above: record}))
    assert await aligned(await discover(author, records), other, records, strict=False) is False
    assert await aligned(await discover(author, records), f"mail.{author}", records, strict=False) is True


async def test_the_authors_own_record_did_not_keep_him_apart_from_his_suffix():
    records = DictResolver(zone(victim__co__uk=R, uk=R))
    assert await aligned(await discover("victim.co.uk", records), "evil.co.uk", records, strict=False) is False
