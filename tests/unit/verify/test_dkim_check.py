"""Every way in which a signature that looks good proves nothing."""

from __future__ import annotations

import base64
import time
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from shapes import NOON, DictResolver, ed_key, envelope, key_record, mail, message, place, rsa_key, sign

from gateway.core.ports import AuthEvidence
from gateway.verify.checks.dkim import CHECK, MAX_SIGNATURES

KEY_NAME = ("s1._domainkey.customer.test", "TXT")


async def judge(content, *, records=None, broken=(), at=NOON):
    resolver = DictResolver({KEY_NAME: [key_record(rsa_key())] if records is None else records}, set(broken))
    evidence = AuthEvidence(
        envelope(content, at=at), message("carol@customer.test"), place(), resolver, time.monotonic() + 5
    )
    return await CHECK.check(evidence)


async def one(content, **how):
    (result,) = await judge(content, **how)
    return result


@pytest.mark.parametrize("form", ["relaxed/relaxed", "simple/simple", "relaxed/simple", "simple/relaxed", "relaxed"])
@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_a_good_signature_passes_in_every_form(form, kind):
    key = rsa_key() if kind == "rsa" else ed_key()
    content = sign(mail(body="a  b \t \r\n\r\nc\r\n\r\n\r\n"), form=form, key=key)
    found = await one(content, records=[key_record(key)])
    assert found.result == "pass", found
    properties = dict(found.properties)
    assert properties["header.d"] == "customer.test"
    assert properties["header.s"] == "s1"
    assert properties["header.a"] == f"{kind}-sha256"
    assert len(properties["header.b"]) == 8


async def test_an_unsigned_message_has_none():
    assert (await one(mail())).result == "none"


async def test_a_pkcs1_key_is_read_too():
    octets = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert (await one(sign(mail()), records=[f"p={base64.b64encode(octets).decode()}"])).result == "pass"


async def test_a_changed_body_fails():
    assert (await one(sign(mail()).replace(b"leaks", b"works"))).result == "fail"


async def test_a_changed_signed_field_fails():
    assert (await one(sign(mail()).replace(b"Broken pump", b"Pay at once"))).result == "fail"


async def test_a_signature_that_does_not_cover_from_proves_nothing():
    content = sign(mail(), signed="to:subject:date")
    found = await one(content.replace(b"carol@", b"ceo@"))
    assert (found.result, "From" in found.detail) == ("permerror", True)


async def test_rsa_sha1_is_refused():
    found = await one(sign(mail(), algorithm="rsa-sha1"))
    assert (found.result, "RFC 8301" in found.detail) == ("permerror", True)


async def test_text_behind_the_signed_length_makes_it_policy():
    content = sign(mail(), length=11)
    assert (await one(content)).result == "pass"
    found = await one(content + b"buy now\r\n")
    assert found.result == "policy"
    assert "l= covers 11 of" in found.detail


async def test_a_signed_length_beyond_the_body_is_permerror():
    assert (await one(sign(mail(), length=999))).result == "permerror"


@pytest.mark.parametrize("field", ["From: ceo@customer.test", "Subject: other", "fRom : ceo@customer.test"])
async def test_a_second_field_of_a_signed_single_one_makes_it_policy(field):
    found = await one(field.encode() + b"\r\n" + sign(mail()))
    assert found.result == "policy"
    assert "more than one" in found.detail


async def test_an_oversigned_field_cannot_be_added():
    content = sign(mail(), signed="from:from:to:subject:date:reply-to")
    assert (await one(content)).result == "pass"
    assert (await one(b"Reply-To: x@evil.test\r\n" + content)).result == "fail"


async def test_unsigned_subject_is_recorded_and_the_proof_stands():
    found = await one(sign(mail(), signed="from:to:date"))
    assert (found.result, found.detail) == ("pass", "Subject not signed")


@pytest.mark.parametrize(
    ("extra", "result"),
    [
        (" x={past};", "fail"),
        (" t={past}; x={before};", "permerror"),
        (" t={future};", "permerror"),
        (" t={past}; x={future};", "pass"),
        (" x=soon;", "permerror"),
        (" q=dns/txt;", "pass"),
        (" q=carrier/pigeon;", "permerror"),
        (" i=@customer.test;", "pass"),
        (" i=carol@mail.customer.test;", "pass"),
        (" i=@evil.test;", "permerror"),
        (" i=@evilcustomer.test;", "permerror"),
        (" s=s2;", "permerror"),
        (" z=From:x;", "pass"),
    ],
)
async def test_the_tags_of_a_signature_are_honoured(extra, result):
    now = int(NOON.timestamp())
    times = {"past": now - 3600, "before": now - 7200, "future": now + 86_400}
    assert (await one(sign(mail(), extra=extra.format(**times)))).result == result


async def test_a_signature_is_judged_by_the_time_it_came_and_not_by_todays():
    content = sign(mail(), extra=f" x={int(NOON.timestamp()) + 60};")
    assert (await one(content)).result == "pass"
    assert (await one(content, at=NOON + timedelta(days=1))).result == "fail"


@pytest.mark.parametrize(
    ("flags", "extra", "result"),
    [
        ("t=s; ", "", "pass"),
        ("t=s; ", " i=@mail.customer.test;", "permerror"),
        ("t=y; ", "", "policy"),
        ("t=y:s; ", "", "policy"),
        ("h=sha256; ", "", "pass"),
        ("h=sha1; ", "", "permerror"),
        ("h=sha1:sha256; ", "", "pass"),
        ("s=email; ", "", "pass"),
        ("s=*; ", "", "pass"),
        ("s=tlsrpt; ", "", "permerror"),
        ("n=a note; g=*; ", "", "pass"),
    ],
)
async def test_the_flags_of_a_key_are_honoured(flags, extra, result):
    found = await one(sign(mail(), extra=extra), records=[key_record(rsa_key(), flags)])
    assert found.result == result, found


async def test_a_failure_under_a_key_in_test_mode_is_as_no_signature():
    content = sign(mail()).replace(b"leaks", b"works")
    assert (await one(content, records=[key_record(rsa_key(), "t=y; ")])).result == "neutral"


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], "no key"),
        (["v=DKIM1; p="], "revoked"),
        (["v=DKIM2; p=abc"], "not a DKIM key"),
        (["v=spf1 -all"], ""),
        (["v=DKIM1; k=rsa; p=!!!"], "base64"),
        (["v=DKIM1; k=rsa; p=AAAA"], "cannot be read"),
        (["v=DKIM1; k=dsa; p=AAAA"], "key type"),
        (["v=DKIM1; k=ed25519; p=AAAA"], "cannot be read"),
        (["v=DKIM1; p=" + "A" * 8000], "too large"),
        ([b"\xff\xfe=\x00"], ""),
        (["p"], "malformed"),
        ([""], ""),
    ],
)
async def test_a_key_that_is_no_key_is_permerror(records, words):
    found = await one(sign(mail()), records=records)
    assert found.result == "permerror"
    assert words in found.detail


async def test_a_key_of_1024_bits_is_enough_and_a_shorter_one_proves_nothing():
    assert (await one(sign(mail(), key=rsa_key(1024)), records=[key_record(rsa_key(1024))])).result == "pass"
    modulus = b"\x02\x41\x00" + b"\xc1" * 64
    short = base64.b64encode(b"\x30\x48" + modulus + b"\x02\x03\x01\x00\x01").decode()
    found = await one(sign(mail()), records=[f"v=DKIM1; p={short}"])
    assert (found.result, "512 bits" in found.detail) == ("permerror", True), found


async def test_several_keys_under_one_name_are_tried():
    records = [key_record(ed_key()), key_record(rsa_key(3072)), "v=spf1 -all", key_record(rsa_key())]
    assert (await one(sign(mail()), records=records)).result == "pass"


async def test_a_dns_fault_is_temperror():
    assert (await one(sign(mail()), broken={KEY_NAME[0]})).result == "temperror"


@pytest.mark.parametrize(
    "value",
    [
        "",
        ";",
        "v=1",
        "=",
        "v=1; v=1",
        "v=1; a=rsa-sha256; b=!; bh=!; d=customer.test; h=from; s=s1",
        "v=1; a=rsa-sha256; b=AAA; bh=AAAA; d=customer.test; h=from; s=s1",
        "v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=legitimate.test(.evil.test; h=from; s=s1",
        "v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=customer.test.; h=from; s=s1",
        "v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=[127.0.0.1]; h=from; s=s1",
        "v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=customer.test; h=from; s=a b",
        "v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=" + "a." * 300 + "test; h=from; s=s1",
        "v=1; a=rsa-sha256; c=weird; b=AAAA; bh=AAAA; d=customer.test; h=from; s=s1",
        "v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=customer.test; h=" + "x:" * 600 + "from; s=s1",
        "v=1; a=rsa-sha256; l=-1; b=AAAA; bh=AAAA; d=customer.test; h=from; s=s1",
        "v=1; a=rsa-sha256; l=" + "9" * 80 + "; b=AAAA; bh=AAAA; d=customer.test; h=from; s=s1",
        "x" * 20_000,
    ],
)
async def test_a_malformed_signature_is_permerror_and_harmless(value):
    found = await one(f"DKIM-Signature: {value}\r\n".encode() + mail())
    assert found.result == "permerror"


async def test_a_hostile_signature_does_not_hide_a_good_one():
    results = await judge(b"DKIM-Signature: \xff\x00=\r\n" + sign(mail()))
    assert [r.result for r in results] == ["permerror", "pass"]


async def test_a_line_that_is_no_field_does_not_hide_a_good_signature():
    assert (await one("Über uns: x\r\nno field at all\r\n".encode() + sign(mail()))).result == "pass"


async def test_a_bare_cr_in_the_header_makes_signatures_worthless():
    found = await one(sign(mail()).replace(b"To: ", b"X: a\rFrom: ceo@customer.test\r\nTo: "))
    assert (found.result, found.detail) == ("permerror", "a bare CR in the header")


async def test_bare_line_feeds_are_read_as_line_ends():
    assert (await one(sign(mail()).replace(b"\r\n", b"\n"))).result == "pass"


async def test_signatures_beyond_the_cap_are_named_and_not_judged():
    content = sign(mail())
    signature = content[: content.index(b"\r\nFrom") + 2]
    results = await judge(signature * (MAX_SIGNATURES + 3) + content[len(signature) :])
    assert [r.result for r in results] == ["pass"] * MAX_SIGNATURES + ["policy"]
    assert results[-1].detail == "3 more signatures were not looked at"


async def test_each_key_is_fetched_once():
    content = sign(mail())
    signature = content[: content.index(b"\r\nFrom") + 2]
    resolver = DictResolver({KEY_NAME: [key_record(rsa_key())]})
    evidence = AuthEvidence(
        envelope(signature * 5 + content), message("carol@customer.test"), place(), resolver, time.monotonic() + 5
    )
    await CHECK.check(evidence)
    assert resolver.asked == [KEY_NAME]


ATTACKS = {
    "blanks at line ends": (b"x" + b" " * 997 + b"\r\n") * 8_000,
    "blanks in one line": b" \t" * 4_000_000 + b"x\r\n",
    "empty lines": b"\r\n" * 4_000_000,
    "empty lines, then text": b"\r\n" * 4_000_000 + b"x",
    "bare carriage returns": b"\r" * 2_000_000,
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_hostile_body_costs_linear_time(name):
    content = mail(body="").removesuffix(b"\r\n") + b"\r\n" + ATTACKS[name]
    value = "v=1; a=rsa-sha256; c=relaxed/relaxed; b=AAAA; bh=AAAA; d=customer.test; h=from; s=s1"
    started = time.process_time()
    await one(f"DKIM-Signature: {value}\r\n".encode() + content)
    assert time.process_time() - started < 2


async def test_a_hostile_header_costs_linear_time():
    folded = b"DKIM-Signature: b=" + b"\r\n " * 100_000 + b"\r\nX-Long: " + b"\r\n a" * 100_000 + b"\r\n"
    started = time.process_time()
    await judge(folded + sign(mail()))
    assert time.process_time() - started < 2
