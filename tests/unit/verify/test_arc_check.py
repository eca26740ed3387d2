"""When a chain of ARC sets holds, when it does not, and when nobody can say."""

from __future__ import annotations

import asyncio
import re
import time

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sealing import arc_zone, seal
from shapes import NOON, DictResolver, domain_zone, ed_key, envelope, key_record, mail, message, place, rsa_key, sign

from gateway.core.ports import AuthEvidence
from gateway.verify import arc_chain
from gateway.verify.checks.arc import CHECK
from gateway.verify.verifier import Verifier

ONE, TWO, THREE = "one.test", "two.test", "three.test"


async def judge(content, zone=None, *, broken=(), resolver=None):
    resolver = resolver or DictResolver(arc_zone(ONE, TWO, THREE) if zone is None else zone, set(broken))
    evidence = AuthEvidence(envelope(content), message("carol@customer.test"), place(), resolver, time.monotonic() + 5)
    (result,) = await CHECK.check(evidence)
    return result


def chain(*domains, content=None):
    content = content or mail()
    for domain in domains:
        content = seal(content, domain)
    return content


async def test_mail_nobody_sealed_has_none():
    found = await judge(mail())
    assert (found.result, found.properties) == ("none", ())


@pytest.mark.parametrize("form", ["relaxed/relaxed", "simple/simple", "relaxed/simple", "simple/relaxed"])
@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_a_chain_passes_in_every_form_and_names_its_sealers_newest_first(form, kind):
    key = rsa_key() if kind == "rsa" else ed_key()
    content = seal(seal(mail(body="a  b \t\r\n\r\n"), ONE, form=form, key=key), TWO, form=form, key=key)
    found = await judge(content, arc_zone(ONE, TWO, key=key))
    assert (found.result, found.detail) == ("pass", "sealed by two.test, one.test")
    assert dict(found.properties) == {"header.oldest-pass": "0", "smtp.remote-ip": "127.0.0.9"}


async def test_dkimpy_agrees_with_the_seals_these_tests_make():
    content = chain(ONE, TWO, THREE)
    zone = {name.encode(): records[0].encode() for (name, _), records in arc_zone(ONE, TWO, THREE).items()}
    status, _, reason = dkim.arc_verify(content, dnsfunc=lambda name, timeout=5: zone.get(name.rstrip(b".")))
    assert status == dkim.CV_Pass, reason


async def test_fifty_sets_are_a_chain_and_fifty_one_are_none():
    content = chain(*[ONE] * 50)
    found = await judge(content)
    assert (found.result, dict(found.properties)["header.oldest-pass"]) == ("pass", str(51 - arc_chain.SIGNATURES))
    assert (await judge(seal(content, ONE))).result == "fail"


async def test_a_body_changed_behind_the_newest_seal_fails_and_asks_nobody():
    resolver = DictResolver(arc_zone(ONE, TWO))
    found = await judge(chain(ONE, TWO) + b"buy now\r\n", resolver=resolver)
    assert (found.result, "the body has changed" in found.detail) == ("fail", True)
    assert resolver.asked == []


async def test_a_changed_signed_field_fails():
    found = await judge(chain(ONE, TWO).replace(b"Broken pump", b"Pay at once"))
    assert (found.result, "i=2 of two.test: it does not match the header" in found.detail) == ("fail", True)


async def test_a_list_that_changed_the_body_and_sealed_anew_leaves_its_own_signature_the_oldest():
    found = await judge(chain(TWO, THREE, content=chain(ONE) + b"-- \r\nthe list\r\n"))
    assert (found.result, dict(found.properties)["header.oldest-pass"]) == ("pass", "2")


async def test_one_broken_signature_in_the_middle_hides_the_ones_below_it():
    content = chain(ONE, TWO, THREE).replace(
        b"i=2; a=rsa-sha256; d=two.test; s=s1; c=", b"i=2; a=rsa-sha1; d=two.test; s=s1; c="
    )
    assert (await judge(content)).result == "fail"  # the seals cover the signature
    content = seal(seal(chain(ONE), TWO, extra=" x=1;"), THREE)
    found = await judge(content)
    assert (found.result, dict(found.properties)["header.oldest-pass"]) == ("pass", "3")


async def test_a_signature_below_may_expire_and_the_newest_may_not():
    long_ago = f" t=1000; x={int(NOON.timestamp()) - 86_400};"
    assert (await judge(seal(seal(mail(), ONE, extra=long_ago), TWO))).result == "pass"
    found = await judge(seal(chain(ONE), TWO, extra=long_ago))
    assert (found.result, "expired" in found.detail) == ("fail", True)


@pytest.mark.parametrize("field", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
@pytest.mark.parametrize("instance", [1, 2, 3])
async def test_any_field_of_any_set_missing_doubled_or_changed_fails(field, instance):
    content = chain(ONE, TWO, THREE)
    line = re.search(field + b": i=%d;[^\r]*\r\n" % instance, content).group()
    assert (await judge(content.replace(line, b""))).result == "fail"
    assert (await judge(line + content)).result == "fail"
    assert (await judge(content.replace(line, line.replace(b"test;", b"test; x=y;", 1)))).result == "fail"


async def test_sets_cut_off_from_below_or_above_are_told_apart():
    """Anybody may take the newest sets off: what is left is the chain of that time. Taking the oldest leaves a gap."""
    content = chain(ONE, TWO)
    assert (await judge(re.sub(rb"(?m)^ARC-[A-Za-z-]+: i=2;[^\r]*\r\n", b"", content))).result == "pass"
    assert (await judge(re.sub(rb"(?m)^ARC-[A-Za-z-]+: i=1;[^\r]*\r\n", b"", content))).result == "fail"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"cv": "fail"}, "sealed it with cv=fail"),
        ({"cv": "none"}, "cv= of the ARC-Seal with i=2 is not pass"),
        ({"cv": "Pass"}, "cv= is none of"),
        ({"seal_extra": " h=from;"}, "it has h="),
        ({"seal_extra": " t=soon;"}, "t= is no number"),
        ({"signed": "from:arc-seal"}, "covers ARC-Seal"),
        (
            {"length": 3, "form": "relaxed/relaxed", "extra": " l=9999;"},
            "ARC-Message-Signature is a malformed tag list",
        ),
        ({"extra": " v=2;"}, ""),
        ({"extra": " i=2;"}, "malformed tag list"),
        ({"extra": " q=carrier/pigeon;"}, "q="),
    ],
)
async def test_the_newest_set_is_read_strictly(how, reason):
    found = await judge(seal(chain(ONE), TWO, **how))
    assert (found.result, reason in found.detail) == ("fail" if reason else "pass", True), found


async def test_a_length_of_more_than_the_body_fails():
    content = seal(mail(), ONE, length=9999)
    found = await judge(content)
    assert (found.result, "l= is more than" in found.detail) == ("fail", True)


async def test_a_bare_cr_in_the_header_fails():
    found = await judge(b"X: a\rFrom: ceo@customer.test\r\n" + chain(ONE))
    assert (found.result, "bare CR" in found.detail) == ("fail", True)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("v=DKIM1; p=", "revoked"),
        ("v=DKIM1; t=y; p={}", "test mode"),
        ("v=DKIM1; s=tlsrpt; p={}", "not for mail"),
        ("v=DKIM1; k=ed25519; p=AAAA", "cannot be read"),
        (None, "no key in DNS"),
    ],
)
async def test_a_key_that_may_not_prove_fails_the_chain(record, reason):
    public = key_record(rsa_key()).partition("p=")[2]
    zone = arc_zone(ONE, TWO)
    zone["s1._domainkey.one.test", "TXT"] = [record.format(public)] if record else []
    found = await judge(chain(ONE, TWO), zone)
    assert (found.result, reason in found.detail) == ("fail", True), found


@pytest.mark.parametrize("domain", [ONE, TWO])
async def test_a_key_dns_would_not_give_is_temperror(domain):
    found = await judge(chain(ONE, TWO), broken={f"s1._domainkey.{domain}"})
    assert (found.result, f"of {domain}: DNS would not give the key" in found.detail) == ("temperror", True)


async def test_what_fails_for_certain_fails_although_dns_hides_another_key():
    content = chain(ONE, TWO).replace(b"Broken pump", b"Pay at once")
    assert (await judge(content, broken={"s1._domainkey.one.test"})).result == "fail"


async def test_a_chain_of_strangers_names_asks_for_one_wave_of_them():
    content = mail()
    for n in range(30):
        content = seal(content, "victim.test", selector=f"s{n}")
    resolver = DictResolver({})
    assert (await judge(content, resolver=resolver)).result == "fail"
    assert len(resolver.asked) <= 2 * arc_chain.WAVE


async def test_a_chain_longer_than_a_wave_is_verified_down_to_its_first_seal():
    content = chain(*[ONE] * (arc_chain.WAVE + 3))
    assert (await judge(content)).result == "pass"
    first = re.search(rb"ARC-Seal: i=1;[^\r]*\r\n", content).group()
    forged = first[:-8] + b"AAAA==\r\n"
    found = await judge(content.replace(first, forged))
    assert (found.result, "ARC-Seal" in found.detail) == ("fail", True)


PIECES = st.sampled_from(
    [b"i=1", b"i=0", b"i=51", b"i=", b";", b"=", b" ", b"\r\n ", b"a=rsa-sha256", b"b=AAAA", b"bh=AAAA", b"cv=none", b"d=one.test",
     b"s=s1", b"h=from", b"c=relaxed", b"l=1", b"t=1", b"(", b")", b"\xff", b"x"]
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"ARC-Seal:", b"ARC-Message-Signature:", b"ARC-Authentication-Results:"]),
            st.lists(PIECES, max_size=16).map(b"".join),
        ),
        max_size=6,
    )
)
async def test_no_arc_field_breaks_the_check(fields):
    content = b"".join(name + value + b"\r\n" for name, value in fields) + mail()
    assert (await judge(content)).result in {"none", "fail"}


async def test_a_large_body_is_hashed_once_for_dkim_and_arc():
    calls = []

    async def counting(function, *args):
        calls.append(function.__name__)
        return await asyncio.to_thread(function, *args)

    content = chain(ONE, TWO, content=sign(mail(body="x" * 70 + "\r\n" * 70_000)))
    zone = {**arc_zone(ONE, TWO), **domain_zone("customer.test", "127.0.0.9")}
    report = await Verifier(DictResolver(zone), 5, counting).verify(
        envelope(content), message("carol@customer.test"), place("support@acme.test")
    )
    assert (report.result_of("dkim"), report.result_of("arc")) == ("pass", "pass")
    assert (calls.count("body_hashes"), calls.count("read_message")) == (1, 1)


async def test_a_thread_that_hangs_is_a_temperror():
    async def never(_function, *_args):
        await asyncio.Event().wait()

    verifier = Verifier(DictResolver(arc_zone(ONE)), 0.1, never)
    content = chain(ONE, content=mail(body="x" * 70_000))
    report = await verifier.verify(envelope(content), message("carol@customer.test"), place("support@acme.test"))
    assert report.result_of("arc") == "temperror"
