"""The whole verdict, as the main job meets it: direct mail, forwarded mail, spoofs, and DNS that will not say."""

from __future__ import annotations

import asyncio

import pytest
from shapes import DictResolver, domain_zone, envelope, key_record, mail, message, place, rsa_key, sign

from gateway.core.envelope import Client
from gateway.core.reports import Level, Path, Sender
from gateway.verify.verifier import Verifier

FORWARDER = Client("127.0.0.5", "mail.acme.test")
CUSTOMER = Client("127.0.0.9", "mx.customer.test")
STRANGER = Client("127.0.0.66", "mx.evil.test")


@pytest.fixture
def zone():
    found = {
        **domain_zone("customer.test", "127.0.0.9"),
        **domain_zone("acme.test", "127.0.0.5"),
        **domain_zone("evil.test", "127.0.0.66"),
    }
    found["s1._domainkey.evil.test", "TXT"] = [key_record(rsa_key(1024))]
    return found


async def offload(function, *args):
    return await asyncio.to_thread(function, *args)


async def judge(zone, content, author, client, sender="same", *, broken=(), budget=5.0, where=None, recipients=None):
    sender = author if sender == "same" else sender
    transaction = envelope(
        content, reverse_path=sender, client=client, recipients=recipients or ("support@acme.gw.test",)
    )
    resolver = zone if not isinstance(zone, dict) else DictResolver(zone, set(broken))
    verifier = Verifier(resolver, budget, offload)
    return await verifier.verify(transaction, message(author), where or place("support@acme.test"))


async def test_forwarded_signed_mail_is_verified_by_dkim_although_spf_breaks(zone):
    report = await judge(zone, sign(mail()), "carol@customer.test", FORWARDER)
    assert (report.sender, report.level, report.by, report.path) == (
        Sender.VERIFIED, Level.VERIFIED, "dkim:customer.test", Path.PROBABLE)  # fmt: skip
    assert [r.method for r in report.results] == ["spf", "spf", "dkim", "arc", "iprev", "dmarc"]
    assert report.result_of("spf") == "fail"
    assert report.result_of("dmarc") == "pass"
    assert report.published_policy == "reject"
    assert report.reason == "the author's domain customer.test signed it (DKIM, selector s1)"


async def test_direct_mail_is_verified_by_spf(zone):
    report = await judge(zone, mail(), "carol@customer.test", CUSTOMER)
    assert (report.sender, report.by, report.path) == (Sender.VERIFIED, "spf:customer.test", Path.DIRECT)


async def test_a_spoof_that_no_forwarder_explains_is_forged(zone):
    content = sign(mail("ceo@customer.test"), "evil.test", key=rsa_key(1024))
    report = await judge(zone, content, "ceo@customer.test", STRANGER, "x@evil.test")
    assert (report.sender, report.level, report.path) == (Sender.FORGED, Level.NONE, Path.DIRECT)
    assert report.result_of("dmarc") == "fail"
    assert report.result_of("dkim") == "pass"
    assert report.reason == (
        "customer.test publishes p=reject and neither DKIM nor SPF proves it; no forwarder explains that"
    )


async def test_a_colleague_through_the_companys_own_forwarder_is_not_verified_by_its_spf(zone):
    report = await judge(zone, mail("ann@acme.test"), "ann@acme.test", FORWARDER)
    assert (report.sender, report.level, report.path) == (Sender.UNVERIFIED, Level.NONE, Path.PROBABLE)
    assert report.result_of("spf") == "pass"
    assert "own domains" in report.reason


async def test_a_colleague_is_verified_by_dkim(zone):
    report = await judge(zone, sign(mail("ann@acme.test"), "acme.test"), "ann@acme.test", FORWARDER)
    assert (report.sender, report.by) == (Sender.VERIFIED, "dkim:acme.test")


async def test_a_colleague_spoofed_from_elsewhere_is_forged(zone):
    report = await judge(zone, mail("ann@acme.test"), "ann@acme.test", STRANGER, "x@evil.test")
    assert report.sender is Sender.FORGED


async def test_own_domain_mail_with_passing_spf_is_never_called_forged(zone):
    zone |= domain_zone("second.test", "127.0.0.77")
    where = place("support@acme.test", own=("acme.test", "second.test"))
    report = await judge(zone, mail("x@second.test"), "x@second.test", Client("127.0.0.77", "h"), where=where)
    assert (report.sender, report.path) == (Sender.UNVERIFIED, Path.DIRECT)


async def test_a_subdomain_of_an_own_domain_needs_dkim_too(zone):
    zone |= domain_zone("mail.acme.test", "127.0.0.77", policy="")
    report = await judge(zone, mail("x@mail.acme.test"), "x@mail.acme.test", Client("127.0.0.77", "h"))
    assert report.sender is Sender.UNVERIFIED


async def test_a_dmarc_failure_behind_a_probable_forwarder_is_unverified_never_forged(zone):
    report = await judge(zone, mail(), "carol@customer.test", FORWARDER)
    assert (report.sender, report.path) == (Sender.UNVERIFIED, Path.PROBABLE)
    assert report.result_of("dmarc") == "fail"
    assert "forwarder" in report.reason


async def test_a_mail_exchanger_of_the_mailbox_is_a_probable_forwarder(zone):
    report = await judge(zone, mail(), "carol@customer.test", Client("127.0.0.250", "mx.acme.test"))
    assert (report.sender, report.path) == (Sender.UNVERIFIED, Path.PROBABLE)


async def test_a_rewritten_reverse_path_with_passing_spf_is_a_probable_forwarder(zone):
    zone |= domain_zone("provider.test", "127.0.0.40", policy="")
    sender = "SRS0=abcd=XY=customer.test=carol@provider.test"
    report = await judge(zone, mail(), "carol@customer.test", Client("127.0.0.40", "h"), sender)
    assert (report.sender, report.path) == (Sender.UNVERIFIED, Path.PROBABLE)


async def test_a_rewritten_reverse_path_without_spf_explains_nothing(zone):
    sender = "SRS0=abcd=XY=customer.test=carol@acme.test"
    report = await judge(zone, mail(), "carol@customer.test", STRANGER, sender)
    assert (report.sender, report.path) == (Sender.FORGED, Path.UNKNOWN)


async def test_a_rewritten_reverse_path_in_the_authors_own_domain_is_no_proof(zone):
    sender = "SRS0=abcd=XY=victim.test=ceo@customer.test"
    report = await judge(zone, mail(), "carol@customer.test", CUSTOMER, sender)
    assert report.sender is Sender.UNVERIFIED


async def test_spf_of_a_shared_provider_proves_nothing_when_it_is_the_mailboxes_own(zone):
    zone["customer.test", "TXT"] = ["v=spf1 ip4:127.0.0.5 -all"]
    report = await judge(zone, mail(), "carol@customer.test", FORWARDER)
    assert report.sender is Sender.UNVERIFIED


async def test_an_author_without_dmarc_is_verified_by_an_aligned_signature_of_a_subdomain(zone):
    zone |= domain_zone("plain.test", policy="")
    zone["s1._domainkey.mail.plain.test", "TXT"] = zone["s1._domainkey.plain.test", "TXT"]
    report = await judge(zone, sign(mail("a@plain.test"), "mail.plain.test"), "a@plain.test", FORWARDER)
    assert (report.sender, report.by) == (Sender.VERIFIED, "dkim:mail.plain.test")
    assert report.result_of("dmarc") == "none"


async def test_an_author_without_any_record_is_unverified(zone):
    report = await judge(zone, mail("a@nobody.test"), "a@nobody.test", STRANGER, "x@evil.test")
    assert (report.sender, report.published_policy) == (Sender.UNVERIFIED, "")


@pytest.mark.parametrize("policy", ["quarantine", "none"])
async def test_the_published_policy_decides_between_forged_and_unverified(zone, policy):
    zone["_dmarc.customer.test", "TXT"] = [f"v=DMARC1; p={policy}"]
    report = await judge(zone, mail(), "carol@customer.test", STRANGER, "x@evil.test")
    assert report.sender is (Sender.FORGED if policy == "quarantine" else Sender.UNVERIFIED)
    assert report.published_policy == policy


async def test_an_ambiguous_author_is_unverified_whatever_is_signed(zone):
    report = await judge(zone, sign(mail()), None, CUSTOMER, "carol@customer.test")
    assert report.sender is Sender.UNVERIFIED
    assert "ambiguous-author" in report.reason
    assert report.result_of("dmarc") == "permerror"


async def test_without_a_client_there_is_no_spf_and_nothing_is_forged(zone):
    report = await judge(zone, mail(), "carol@customer.test", None)
    assert (report.sender, report.path, report.result_of("spf")) == (Sender.UNVERIFIED, Path.UNKNOWN, "none")


async def test_without_a_client_dkim_still_proves(zone):
    report = await judge(zone, sign(mail()), "carol@customer.test", None)
    assert report.sender is Sender.VERIFIED


async def test_the_null_reverse_path_is_judged_by_helo(zone):
    zone["mx.customer.test", "TXT"] = ["v=spf1 ip4:127.0.0.9 -all"]
    report = await judge(zone, mail(), "carol@customer.test", CUSTOMER, None)
    assert (report.sender, report.by) == (Sender.VERIFIED, "spf:mx.customer.test")
    assert dict(report.results[0].properties) == {"smtp.helo": "mx.customer.test"}


async def test_a_helo_that_is_an_address_literal_proves_nothing(zone):
    report = await judge(zone, mail(), "carol@customer.test", Client("127.0.0.9", "[127.0.0.9]"), None)
    assert (report.sender, report.result_of("spf")) == (Sender.FORGED, "none")


async def test_of_several_signatures_the_aligned_one_proves(zone):
    content = sign(sign(mail()), "evil.test", key=rsa_key(1024))
    report = await judge(zone, content, "carol@customer.test", STRANGER, "x@evil.test")
    assert (report.sender, report.by) == (Sender.VERIFIED, "dkim:customer.test")


@pytest.mark.parametrize(
    ("broken", "client", "sender", "what"),
    [
        ({"s1._domainkey.customer.test"}, FORWARDER, "same", "signed"),
        ({"_dmarc.customer.test"}, STRANGER, "x@evil.test", "DMARC policy"),
        ({"_dmarc.customer.test"}, FORWARDER, "same", "DMARC policy"),
        ({"customer.test"}, STRANGER, "same", "may send"),
        ({"acme.test"}, CUSTOMER, "same", "forwarder"),
        ({"acme.test"}, STRANGER, "x@evil.test", "forwarder"),
        ({"mx.acme.test"}, STRANGER, "x@evil.test", "forwarder"),
    ],
)
async def test_what_dns_would_not_say_is_neither_proof_nor_forgery(zone, broken, client, sender, what):
    content = sign(mail()) if "s1._domainkey.customer.test" in broken else mail()
    report = await judge(zone, content, "carol@customer.test", client, sender, broken=broken)
    assert (report.sender, report.level) == (Sender.INDETERMINATE, Level.NONE)
    assert what in report.reason
    assert report.path is not Path.PROBABLE or client is FORWARDER


async def test_a_broken_key_of_a_stranger_leaves_a_forgery_a_forgery(zone):
    content = sign(mail("ceo@customer.test"), "evil.test")
    report = await judge(
        zone, content, "ceo@customer.test", STRANGER, "x@evil.test", broken={"s1._domainkey.evil.test"}
    )
    assert report.sender is Sender.FORGED


async def test_trouble_at_the_top_level_domain_does_not_undo_a_record(zone):
    report = await judge(zone, mail(), "carol@customer.test", STRANGER, "x@evil.test", broken={"_dmarc.test"})
    assert report.sender is Sender.FORGED


class SilentResolver:
    async def txt(self, name):
        await asyncio.Event().wait()

    async def records(self, name, kind):
        await asyncio.Event().wait()

    def known(self, name, kind):
        return None


async def test_dead_dns_costs_the_budget_and_no_more(zone):
    async with asyncio.timeout(20):
        report = await judge(SilentResolver(), sign(mail()), "carol@customer.test", STRANGER, budget=0.1)
    assert report.sender is Sender.INDETERMINATE
    assert {r.result for r in report.results if r.method != "arc"} == {"temperror"}
    assert report.result_of("arc") == "none"


async def test_a_large_message_is_hashed_in_a_thread(zone):
    calls = []

    async def counting(function, *args):
        calls.append(function.__name__)
        return await asyncio.to_thread(function, *args)

    content = sign(mail(body="x" * 70 + "\r\n" * 70_000))
    verifier = Verifier(DictResolver(zone), 5, counting)
    report = await verifier.verify(
        envelope(content, client=FORWARDER), message("carol@customer.test"), place("support@acme.test")
    )
    assert report.sender is Sender.VERIFIED
    assert "body_hashes" in calls


async def test_a_thread_that_hangs_is_a_temperror(zone):
    async def never(function, *args):
        await asyncio.Event().wait()

    content = sign(mail(body="x" * 70_000))
    verifier = Verifier(DictResolver(zone), 0.1, never)
    report = await verifier.verify(
        envelope(content, client=FORWARDER), message("carol@customer.test"), place("support@acme.test")
    )
    assert report.sender is Sender.INDETERMINATE


async def test_the_gateways_own_addresses_are_no_mailbox_that_forwards(zone):
    zone |= domain_zone("acme.gw.test", "127.0.0.66")
    where = place("support@acme.gw.test")
    report = await judge(zone, mail(), "carol@customer.test", STRANGER, "x@evil.test", where=where)
    assert report.sender is Sender.FORGED


@pytest.mark.parametrize("author", ["x@[127.0.0.1]", "x@legitimate.test(.evil.test", "x@", "x@..", "x@" + "a" * 300])
async def test_an_author_whose_domain_cannot_be_asked_is_unverified(zone, author):
    report = await judge(zone, mail(), author, CUSTOMER, "carol@customer.test")
    assert report.sender is Sender.UNVERIFIED
    assert report.result_of("dmarc") == "permerror"
