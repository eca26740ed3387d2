"""The forms forwarders give to reverse-paths, and the path they betray."""

from __future__ import annotations

import pytest
from shapes import DictResolver, domain_zone, envelope, place

from gateway.core.envelope import Client
from gateway.core.reports import Path
from gateway.verify.forwarder import MailboxEvidence, judge, mailbox_evidence
from gateway.verify.known import NOBODY
from gateway.verify.rewriting import rewriting_of

OURS = ("support@acme.gw.test",)

FORMS = [
    ("SRS0=HHH=TT=customer.test=carol@fwd.test", "srs0", True, "carol@customer.test"),
    ("srs0=hhh=tt=customer.test=carol@fwd.test", "srs0", True, "carol@customer.test"),
    ("SRS0+HHH=TT=customer.test=carol@fwd.test", "srs0", True, "carol@customer.test"),
    ("SRS0-HHH=TT=customer.test=carol@fwd.test", "srs0", True, "carol@customer.test"),
    ("SRS0=a+/b=TT=customer.test=carol=tag@fwd.test", "srs0", True, "carol=tag@customer.test"),
    ("SRS0=opaque@fwd.test", "srs0", True, None),
    ("SRS1=HHH=one.test==HHH=TT=customer.test=carol@two.test", "srs1", True, "carol@customer.test"),
    ("SRS1+HHH=one.test=+HHH=TT=customer.test=carol@two.test", "srs1", True, "carol@customer.test"),
    ("SRS1=HHH=one.test=-HHH=TT=customer.test=carol@two.test", "srs1", True, "carol@customer.test"),
    ("user+caf_=support=acme.gw.test@gmail.com", "gmail-caf", True, "user@gmail.com"),
    ("user+CAF_=support=acme.gw.test@work.test", "gmail-caf", True, "user@work.test"),
    ("bounces+SRS=XXXXX=YY@tenant.onmicrosoft.com", "microsoft-srs", True, None),
    ("user+SRS=a/b+c=tt=customer.test=carol@tenant.test", "microsoft-srs", True, "carol@customer.test"),
    ("prvs=1234567890=carol@customer.test", "batv", False, "carol@customer.test"),
    ("prvs=carol/1234567890@customer.test", "batv", False, "carol@customer.test"),
    ("btv1==1234567890==carol@customer.test", "batv", False, "carol@customer.test"),
    ("list-bounces+support=acme.gw.test@lists.test", "verp", True, None),
    ("list-return-7-support=acme.gw.test@lists.test", "verp", True, None),
    ("bounce-mc.us1_12-reader=acme.test@mail.test", "verp", False, None),
]


@pytest.mark.parametrize(("reverse_path", "form", "by_forwarder", "original"), FORMS)
def test_rewritten_reverse_paths_are_recognised(reverse_path, form, by_forwarder, original):
    found = rewriting_of(reverse_path, OURS)
    assert (found.form, found.by_forwarder, found.original) == (form, by_forwarder, original)


@pytest.mark.parametrize(
    "reverse_path",
    [None, "carol@customer.test", "carol+tag@customer.test", "srs@customer.test", "srs0@customer.test", "a=b@c.test",
     "caf_=x@gmail.com", "prvs@customer.test", "", "@", "x" * 250 + "@c.test", "=" * 60 + "@c.test"],
)  # fmt: skip
def test_ordinary_reverse_paths_are_left_alone(reverse_path):
    assert rewriting_of(reverse_path, OURS) is None


ZONE = domain_zone("acme.test", "127.0.0.5") | {("mx.acme.test", "AAAA"): ["2001:db8::25"]}


async def evidence(ip: str, *, broken=(), where=None) -> MailboxEvidence:
    where = where or place("support@acme.test")
    return await mailbox_evidence(envelope(client=Client(ip, "h")), where, DictResolver(ZONE, set(broken)))


@pytest.mark.parametrize(
    ("ip", "words"),
    [
        ("127.0.0.5", "SPF of acme.test"),
        ("::ffff:127.0.0.5", "SPF of acme.test"),
        ("127.0.0.250", "mail exchanger"),
        ("2001:db8:0::25", "mail exchanger"),
        ("127.0.0.9", ""),
        ("nonsense", ""),
    ],
)
async def test_the_client_belongs_to_the_mailboxs_domain_by_spf_or_mx(ip, words):
    found = await evidence(ip)
    assert found.certain
    assert words in found.why
    assert bool(words) is bool(found.why)


@pytest.mark.parametrize("broken", ["acme.test", "mx.acme.test"])
async def test_dns_trouble_is_uncertain_and_never_a_forwarder(broken):
    found = await evidence("127.0.0.9", broken={broken})
    assert found == MailboxEvidence("", certain=False)


async def test_trouble_at_one_exchanger_does_not_hide_another():
    zone = ZONE | {("acme.test", "MX"): [(10, "mx.acme.test"), (20, "dead.test")]}
    found = await mailbox_evidence(
        envelope(client=Client("127.0.0.250", "h")), place("support@acme.test"), DictResolver(zone, {"dead.test"})
    )
    assert "mail exchanger" in found.why


async def test_a_second_mailbox_of_the_transaction_counts_too():
    assert (await evidence("127.0.0.5", where=place("a@other.test", "support@acme.test"))).why


@pytest.mark.parametrize(
    ("reverse_path", "spf", "mailbox", "path", "certain"),
    [
        ("a@b.test", "pass", MailboxEvidence("", certain=True), Path.DIRECT, True),
        ("a@b.test", "pass", MailboxEvidence("", certain=False), Path.DIRECT, False),
        ("a@b.test", "pass", MailboxEvidence("its SPF", certain=True), Path.PROBABLE, True),
        ("a@b.test", "fail", MailboxEvidence("", certain=True), Path.UNKNOWN, True),
        ("a@b.test", "temperror", MailboxEvidence("", certain=True), Path.UNKNOWN, True),
        ("SRS0=h=t=c.test=l@b.test", "pass", MailboxEvidence("", certain=False), Path.PROBABLE, True),
        ("SRS0=h=t=c.test=l@b.test", "fail", MailboxEvidence("", certain=True), Path.UNKNOWN, True),
        ("SRS0=h=t=c.test=l@b.test", "temperror", MailboxEvidence("", certain=True), Path.UNKNOWN, False),
        ("prvs=1=l@b.test", "pass", MailboxEvidence("", certain=True), Path.DIRECT, True),
        (None, "pass", MailboxEvidence("", certain=True), Path.DIRECT, True),
    ],
)
def test_the_path(reverse_path, spf, mailbox, path, certain):
    found = judge(envelope(reverse_path=reverse_path), spf, mailbox, NOBODY)
    assert (found.path, found.certain) == (path, certain)
