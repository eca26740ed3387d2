"""Who is the forwarder a challenge taught, what its border proves, and what drifts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from forwarding import (
    CAF,
    COMPANY,
    CUSTOMER,
    EVIL,
    GMAIL,
    GOOGLE,
    MICROSOFT,
    NEIGHBOUR,
    OWN,
    SECOND,
    SRS,
    STRANGER,
    TENANT,
    at,
    gmails,
    hop,
    microsofts,
    report,
    with_fields,
)  # fmt: skip
from sealing import arc_zone, seal
from shapes import mail, sign

from gateway.core.envelope import Client
from gateway.core.forwarder import Form
from gateway.core.reports import Level, Path, ProofOutcome, Sender

CAROL = "carol@customer.test"
SRS_CAROL = "SRS0=HHH=TT=customer.test=carol@acme.test"


@pytest.mark.parametrize(
    ("forwarder", "client", "reverse_path", "path"),
    [
        # a server of one's own: the address settles it
        (OWN, COMPANY, CAROL, Path.FORWARDER),
        (OWN, Client("::ffff:127.0.5.1", "x"), CAROL, Path.FORWARDER),
        (OWN, COMPANY, None, Path.FORWARDER),
        (OWN, COMPANY, SRS_CAROL, Path.FORWARDER),
        (SRS, COMPANY, SRS_CAROL, Path.FORWARDER),
        (SRS, COMPANY, CAROL, Path.FORWARDER),
        # in its network, and vouched for by the learnt SPF domain
        (OWN, SECOND, CAROL, Path.FORWARDER),
        # in its network, a stranger that says its name
        (OWN, NEIGHBOUR, CAROL, Path.UNKNOWN),
        (replace(OWN, address=""), NEIGHBOUR, CAROL, Path.FORWARDER),
        (replace(OWN, spf_domain=""), NEIGHBOUR, CAROL, Path.UNKNOWN),
        (replace(OWN, spf_domain=""), SECOND, CAROL, Path.PROBABLE),
        (OWN, STRANGER, CAROL, Path.UNKNOWN),
        (OWN, Client("nonsense", "x"), CAROL, Path.UNKNOWN),
        (OWN, None, CAROL, Path.UNKNOWN),
        (replace(OWN, networks=()), Client("127.0.8.8", "x"), CAROL, Path.UNKNOWN),
        # a provider: the reverse-path as well
        (GMAIL, GOOGLE, CAF, Path.FORWARDER),
        (GMAIL, GOOGLE, CAF.upper(), Path.FORWARDER),
        (GMAIL, Client("127.0.3.200", "x"), CAF, Path.FORWARDER),
        (GMAIL, GOOGLE, "other+caf_=support=acme.gw.test@gmail.com", Path.PROBABLE),
        (GMAIL, GOOGLE, "acme.help+caf_=sales=acme.gw.test@gmail.com", Path.PROBABLE),
        (GMAIL, GOOGLE, "acme.help@gmail.com", Path.DIRECT),
        (GMAIL, GOOGLE, CAROL, Path.UNKNOWN),
        (GMAIL, GOOGLE, None, Path.UNKNOWN),
        (GMAIL, STRANGER, CAF, Path.UNKNOWN),
        (replace(GMAIL, reverse_path=""), GOOGLE, CAROL, Path.UNKNOWN),
        (TENANT, MICROSOFT, "bounces+SRS=ab/D+=XY@acme.onmicrosoft.com", Path.FORWARDER),
        (TENANT, MICROSOFT, "bounces+SRS=ab/D+=XY@evil.onmicrosoft.com", Path.PROBABLE),
        (TENANT, MICROSOFT, "bounces+SRS=@x+SRS=a@acme.onmicrosoft.com", Path.PROBABLE),
        (TENANT, MICROSOFT, "ann@acme.onmicrosoft.com", Path.DIRECT),
    ],
)
async def test_the_known_forwarder_is_asked_for_first(forwarder, client, reverse_path, path):
    found = await report(mail(CAROL), client, reverse_path, at(forwarder))
    assert found.path is path
    assert found.forwarder == (forwarder.name if path is Path.FORWARDER else None)


async def test_an_own_servers_address_is_vouched_for_and_a_providers_is_not():
    assert (await report(mail(CAROL), COMPANY, CAROL, at(replace(OWN, spf_domain="")))).client_vouched
    assert not (await report(mail(CAROL), GOOGLE, CAF, at(GMAIL))).client_vouched


async def test_each_forwarder_of_each_mailbox_is_known():
    where = at(GMAIL)
    where = replace(where, mailboxes=(*where.mailboxes, *at(TENANT, SRS, mailbox="sales@acme.test").mailboxes))
    assert (await report(mail(CAROL), COMPANY, SRS_CAROL, where)).forwarder == "mail.acme.test"
    assert (await report(mail(CAROL), GOOGLE, CAF, where)).forwarder == "google"


async def test_a_mailbox_without_this_forwarder_knows_nothing_of_it():
    assert (await report(mail(CAROL), COMPANY, CAROL, at())).path is Path.PROBABLE


async def test_dns_trouble_never_makes_a_forwarder_known():
    neighbour = await report(mail(CAROL), NEIGHBOUR, CAROL, at(OWN), broken=("acme.test",))
    assert (neighbour.path, neighbour.sender) == (Path.UNKNOWN, Sender.INDETERMINATE)
    google = await report(mail(CAROL), GOOGLE, CAF, at(GMAIL), broken=("_spf.google.com",))
    assert google.path is Path.UNKNOWN
    moved = await report(
        mail(CAROL), Client("127.0.3.200", "x"), CAF, at(GMAIL), broken=("_spf.google.com",),
        more={("gmail.com", "TXT"): ["v=spf1 ip4:127.0.3.0/24 -all"]},
    )  # fmt: skip
    assert (moved.path, moved.drifts) == (Path.PROBABLE, ())


async def test_a_failed_dmarc_through_the_known_forwarder_is_unverified_never_forged():
    found = await report(mail(CAROL), COMPANY, "x@other.test", at(OWN))
    assert (found.sender, found.result_of("dmarc")) == (Sender.UNVERIFIED, "fail")
    assert "the forwarder mail.acme.test brought it" in found.reason


async def test_a_signature_proves_through_a_forwarder_as_everywhere():
    found = await report(with_fields([hop(EVIL)], sign(mail(CAROL))), COMPANY, CAROL, at(OWN))
    assert (found.by, found.level) == ("dkim:customer.test", Level.VERIFIED)


FORGED_BELOW = [hop(EVIL, helo="mx.evil.test"), hop(CUSTOMER)]
RESULTS = "Authentication-Results: mail.acme.test; dmarc=pass header.from=customer.test"
BARE_RESULTS = "Authentication-Results: spf=pass (sender IP is 127.0.9.1) smtp.mailfrom=customer.test;dmarc=pass action=none header.from=customer.test"  # fmt: skip

PROVEN = {
    "unchanged": (OWN, COMPANY, CAROL, [hop(CUSTOMER)]),
    "unchanged, HELO a literal": (OWN, COMPANY, CAROL, [hop(CUSTOMER, helo=f"[{EVIL}]")]),
    "unchanged, with forged fields below": (OWN, COMPANY, CAROL, [hop(CUSTOMER), hop(EVIL), "Received: garbage"]),
    "BATV": (OWN, COMPANY, "prvs=1234567890=carol@customer.test", [hop(CUSTOMER)]),
    "SRS0": (SRS, COMPANY, SRS_CAROL, [hop(CUSTOMER)]),
    "SRS1": (SRS, COMPANY, "SRS1=H=one.test==HHH=TT=customer.test=carol@acme.test", [hop(CUSTOMER)]),
    "SRS where none was learnt": (OWN, COMPANY, SRS_CAROL, [hop(CUSTOMER)]),
    "behind a filter on the same host": (
        replace(OWN, trail=("mail.acme.test<127.0.0.1", "localhost<127.0.0.1")), COMPANY, CAROL,
        [hop("127.0.0.1"), hop("127.0.0.1", "localhost"), hop(CUSTOMER)]),
    "Gmail": (GMAIL, GOOGLE, CAF, gmails(CUSTOMER)),
    "Gmail, one hop more": (GMAIL, GOOGLE, CAF, [*gmails(CUSTOMER)[:4], gmails("")[3], *gmails(CUSTOMER)[4:]]),
    "Microsoft": (TENANT, MICROSOFT, "bounces+SRS=a=b@acme.onmicrosoft.com", [BARE_RESULTS, *microsofts(EVIL)]),
    "Microsoft, SRS": (
        replace(TENANT, reverse_path="user+srs=*@acme.onmicrosoft.com"), MICROSOFT,
        "user+SRS=h/a=tt=customer.test=carol@acme.onmicrosoft.com", microsofts(CUSTOMER)),
    "the forwarder's results": (OWN, COMPANY, "x@other.test", [RESULTS, hop(EVIL)]),
    "the forwarder's results, between": (
        replace(OWN, trail=("~mail.acme.test",)), COMPANY, None,
        ["Received: by mail.acme.test (Postfix) id 1; x", RESULTS, hop(EVIL)]),
    "the lowest results above the border": (
        OWN, COMPANY, "x@other.test",
        ["Authentication-Results: mail.acme.test; dmarc=fail header.from=customer.test", RESULTS, hop(EVIL)]),
    "a replaced reverse-path, kept in Return-Path": (
        replace(OWN, form=Form.REPLACED, reverse_path="support@acme.test", keeps_return_path=True), COMPANY,
        "support@acme.test", ["Return-Path: <carol@customer.test>", hop(CUSTOMER)]),
}  # fmt: skip


@pytest.mark.parametrize("what", PROVEN)
async def test_the_border_of_the_known_forwarder_proves_an_author(what):
    forwarder, client, reverse_path, fields = PROVEN[what]
    found = await report(with_fields(fields), client, reverse_path, at(forwarder))
    assert (found.sender, found.level, found.by, found.path) == (
        Sender.VERIFIED, Level.VIA_FORWARDER, f"border-spf:{forwarder.name}", Path.FORWARDER)  # fmt: skip
    assert found.result_of("dmarc") == "fail"
    (won,) = (c for c in found.candidates if c.outcome is ProofOutcome.WON)
    assert won.proof in ("border-spf", "border-results")
    assert won.domain == "customer.test"


@pytest.mark.parametrize("what", [w for w in PROVEN if PROVEN[w][0].provider == ""])
async def test_the_same_bytes_from_a_stranger_prove_nothing(what):
    forwarder, _, reverse_path, fields = PROVEN[what]
    found = await report(with_fields(fields), STRANGER, reverse_path, at(forwarder))
    assert (found.level, found.by, found.path) == (Level.NONE, "", Path.UNKNOWN)
    assert found.sender is Sender.FORGED


async def test_a_subdomain_at_the_border_is_aligned_as_dmarc_says():
    more = {("mail.customer.test", "TXT"): [f"v=spf1 ip4:{CUSTOMER} -all"]}
    content = with_fields([hop(CUSTOMER)])
    relaxed = await report(content, COMPANY, "b@mail.customer.test", at(OWN), more=more)
    assert relaxed.by == "border-spf:mail.acme.test"
    strict = more | {("_dmarc.customer.test", "TXT"): ["v=DMARC1; p=reject; aspf=s"]}
    assert (await report(content, COMPANY, "b@mail.customer.test", at(OWN), more=strict)).by == ""


async def test_dns_trouble_at_the_border_is_indeterminate():
    found = await report(with_fields([hop(CUSTOMER)]), COMPANY, CAROL, at(OWN), broken=("customer.test",))
    assert (found.sender, found.by) == (Sender.INDETERMINATE, "")


async def test_an_author_without_dmarc_is_proven_at_the_border_too():
    found = await report(with_fields([hop("127.0.8.1")], author="o@other.test"), COMPANY, "o@other.test", at(OWN))
    assert (found.by, found.result_of("dmarc")) == ("border-spf:mail.acme.test", "none")


async def test_a_seal_through_the_known_forwarder_counts():
    content = seal(
        with_fields(gmails(EVIL, "x@evil.test")), "google.com", "mx.google.com; dmarc=pass header.from=customer.test"
    )
    found = await report(content, GOOGLE, CAF, at(GMAIL), more=arc_zone("google.com"))
    assert (found.by, found.level) == ("arc:google.com", Level.VIA_FORWARDER)
    assert (await report(content, GOOGLE, CAF, at(), more=arc_zone("google.com"))).by == ""


# --- drift ---


@pytest.mark.parametrize(
    ("forwarder", "client", "reverse_path", "author", "drift"),
    [
        (OWN, COMPANY, CAROL, CAROL, None),
        (OWN, COMPANY, None, CAROL, None),
        (OWN, COMPANY, "ann@acme.test", "ann@acme.test", None),
        (SRS, COMPANY, SRS_CAROL, CAROL, None),
        (SRS, COMPANY, "ann@acme.test", "ann@acme.test", None),
        (SRS, COMPANY, "SRS1=H=a.test==H=T=b.test=x@acme.test", CAROL, None),
        # a customer's own forwarder rewrote it before: SPF does not pass for our client
        (OWN, COMPANY, "SRS0=H=T=a.test=x@customer.test", CAROL, None),
        (OWN, COMPANY, SRS_CAROL, CAROL, ("reverse-path", "unchanged", "srs0")),
        (replace(SRS, form=Form.REPLACED, reverse_path="support@acme.test"), COMPANY, CAROL, CAROL,
         ("reverse-path", "replaced support@acme.test", "unchanged")),
        (OWN, COMPANY, CAROL, "support@acme.test", ("author", "kept", "replaced by support@acme.test")),
        (replace(OWN, keeps_author=False), COMPANY, CAROL, "support@acme.test", None),
        (GMAIL, GOOGLE, CAF, CAROL, None),
        # a provider's other servers are known by its own SPF
        (GMAIL, Client("127.0.3.200", "x"), CAF, CAROL, None),
        (SRS, Client("127.0.6.1", "new.acme.test"), SRS_CAROL, CAROL, ("network", "127.0.5.0/24", "127.0.6.0/24")),
        (GMAIL, Client("127.0.6.1", "x"), CAF, CAROL, ("network", "127.0.3.0/25", "127.0.6.0/24")),
        # nobody raises it by claiming
        (SRS, STRANGER, SRS_CAROL, CAROL, None),
        (SRS, STRANGER, "x@evil.test", CAROL, None),
    ],
)  # fmt: skip
async def test_a_forwarder_that_behaves_otherwise_is_told_with_before_and_after(
    forwarder, client, reverse_path, author, drift
):
    more = {
        ("acme.test", "TXT"): ["v=spf1 ip4:127.0.5.1 ip4:127.0.6.1 -all"],
        ("gmail.com", "TXT"): ["v=spf1 ip4:127.0.3.0/24 ip4:127.0.6.1 -all"],
    }
    found = await report(mail(author), client, reverse_path, at(forwarder), more=more)
    assert [(d.forwarder_id, d.what, d.before, d.after) for d in found.drifts] == (
        [(forwarder.id, *drift)] if drift else []
    )
    if found.drifts:
        assert found.path in (Path.FORWARDER, Path.PROBABLE)
        assert found.sender is Sender.UNVERIFIED


async def test_an_author_replaced_beside_the_original_is_a_drift():
    content = with_fields(["X-Original-From: Carol <carol@customer.test>"], author="carol.via@acme.test")
    found = await report(content, COMPANY, CAROL, at(OWN))
    assert [d.what for d in found.drifts] == ["author"]


async def test_drift_is_told_of_ambiguous_mail_too():
    content = mail("a@x.test, b@y.test")
    found = await report(content, COMPANY, SRS_CAROL, at(OWN))
    assert [d.what for d in found.drifts] == ["reverse-path"]
    assert found.dns


async def test_a_forwarder_of_a_replaced_form_that_moved_is_probable_never_forged():
    forwarder = replace(
        SRS, form=Form.REPLACED, reverse_path="support@acme.test", networks=("127.0.7.0/24",), address="127.0.7.1"
    )
    found = await report(mail(CAROL), Client("127.0.6.1", "x"), "support@acme.test", at(forwarder),
                         more={("acme.test", "TXT"): ["v=spf1 ip4:127.0.6.1 -all"]})  # fmt: skip
    assert (found.path, found.sender) == (Path.PROBABLE, Sender.UNVERIFIED)
    assert [d.what for d in found.drifts] == ["network"]
