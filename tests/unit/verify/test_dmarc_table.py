"""DMARC from the message to its result: one case for each rule of RFC 9989, by section.

`test_dmarc.py` has how one record is read and which one applies; here whole messages are judged, with SPF, signatures
and all, and what is asserted is what stands in Authentication-Results: the result, and the policy it was judged by.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from dnsserver import NameServer
from shapes import DictResolver, envelope, key_record, mail, message, place, rsa_key, sign

from gateway.core.envelope import Client
from gateway.core.reports import AuthReport, Sender
from gateway.resolver import DnsResolver
from gateway.verify.verifier import Verifier

IP = "127.0.0.9"
R, Q, N = "v=DMARC1; p=reject", "v=DMARC1; p=quarantine", "v=DMARC1; p=none"


@dataclass(frozen=True)
class Case:
    """A message from `author` with these `signers` (a `!` before one: its signature is broken) and this reverse-path.

    `spf` is the domain of the reverse-path, for which SPF says `spf_says`; `records` are those at `_dmarc.`.
    """

    author: str
    records: dict[str, str | list[str]]
    dmarc: str
    policy: str = ""
    signers: tuple[str, ...] = ()
    spf: str = "mail.elsewhere.test"
    spf_says: str = "pass"
    helo: str = "client.test"
    broken: tuple[str, ...] = ()
    exists: tuple[str, ...] = ()
    sender: Sender | None = None


QUALIFIERS = {
    "pass": f"ip4:{IP} -all",
    "fail": "-all",
    "softfail": "~all",
    "neutral": "?all",
    "permerror": "ip4:x -all",
}


def a_label(name: str) -> str:
    return name.encode("idna").decode("ascii").lower()


def zone_of(case: Case) -> dict:
    zone = {
        (f"_dmarc.{domain}", "TXT"): [texts] if isinstance(texts, str) else texts
        for domain, texts in case.records.items()
    }
    for domain in (d for d in (case.spf, case.helo) if d and "[" not in d):
        zone[domain, "TXT"] = [
            "v=spf1 " + (QUALIFIERS[case.spf_says] if domain == case.spf or not case.spf else QUALIFIERS["pass"])
        ]
    for signer in case.signers:
        zone[f"s1._domainkey.{a_label(signer.strip('!'))}", "TXT"] = [key_record(rsa_key())]
    return zone | {(domain, "A"): ["192.0.2.1"] for domain in case.exists}


def content_of(case: Case) -> bytes:
    content = mail(f"a@{case.author}")
    for signer in case.signers:
        content = sign(content, signer.strip("!"))
        if signer.startswith("!"):
            head, _, rest = content.partition(b"; b=")
            content = head + b"; b=AAAA" + rest[4:]
    return content


async def judged(case: Case) -> AuthReport:
    transaction = envelope(
        content_of(case), reverse_path=f"b@{case.spf}" if case.spf else None, client=Client(IP, case.helo)
    )
    verifier = Verifier(DictResolver(zone_of(case), set(case.broken)), 5, asyncio.to_thread)
    return await verifier.verify(transaction, message(f"a@{case.author}"), place("support@acme.test"))


DKIM_ALIGNMENT = {
    "4.4.1 the author's own signature": Case("a.example", {"a.example": R}, "pass", "reject", ("a.example",)),
    "4.4.1 relaxed: the organization's for a subdomain": Case("s.a.example", {"a.example": R}, "pass", "reject", ("a.example",)),
    "4.4.1 relaxed: a subdomain's for the organization": Case("a.example", {"a.example": R}, "pass", "reject", ("s.a.example",)),
    "4.4.1 relaxed: from beside": Case("s.a.example", {"a.example": R}, "pass", "reject", ("t.a.example",)),
    "4.4.1 relaxed: from beside, with a record of the author's own": Case(
        "s.a.example", {"s.a.example": Q, "a.example": R}, "pass", "quarantine", ("t.a.example",)),
    "4.4.1 strict: the same domain": Case("a.example", {"a.example": R + "; adkim=s"}, "pass", "reject", ("a.example",)),
    "4.4.1 strict: a subdomain is another": Case("a.example", {"a.example": R + "; adkim=s"}, "fail", "reject", ("s.a.example",)),
    "4.4.1 strict: so is the organization": Case("s.a.example", {"a.example": R + "; adkim=s"}, "fail", "reject", ("a.example",)),
    "4.4.1 strict: says nothing of SPF": Case("a.example", {"a.example": R + "; adkim=s"}, "pass", "reject", spf="s.a.example"),
    "4.4.1 strict comes from the record that applies": Case(
        "s.a.example", {"s.a.example": R, "a.example": R + "; adkim=s"}, "pass", "reject", ("a.example",)),
    "4.4.1 another's signature": Case("a.example", {"a.example": R}, "fail", "reject", ("b.example",)),
    "4.4.1 a name that ends alike": Case("a.example", {"a.example": R}, "fail", "reject", ("ba.example",)),
    "4.4.1 one of several": Case("a.example", {"a.example": R}, "pass", "reject", ("a.example", "b.example", "c.example")),
    "4.4.1 one of several, whichever": Case("a.example", {"a.example": R}, "pass", "reject", ("b.example", "a.example")),
    "4.4.1 one that holds beside one that does not": Case("a.example", {"a.example": R}, "pass", "reject", ("a.example", "!a.example")),
    "4.4.1 the aligned one broken, another's good": Case("a.example", {"a.example": R}, "fail", "reject", ("!a.example", "b.example")),
    "4.4.1 a public suffix signs for nobody": Case("a.co.uk", {"a.co.uk": R}, "fail", "reject", ("co.uk",)),
    "4.4.1 nor with a record of its own": Case("a.co.uk", {"a.co.uk": R, "co.uk": R}, "fail", "reject", ("co.uk",)),
    "4.4.1 a top-level domain signs for nobody": Case("a.example", {"a.example": R}, "fail", "reject", ("example",)),
    "4.4.1 upper case in d=": Case("a.example", {"a.example": R}, "pass", "reject", ("A.Example",)),
}  # fmt: skip

SPF_ALIGNMENT = {
    "4.4.2 the author's own reverse-path": Case("a.example", {"a.example": R}, "pass", "reject", spf="a.example"),
    "4.4.2 relaxed: a bounce domain below": Case("a.example", {"a.example": R}, "pass", "reject", spf="bounce.a.example"),
    "4.4.2 relaxed: the organization's for a subdomain": Case("s.a.example", {"a.example": R}, "pass", "reject", spf="a.example"),
    "4.4.2 strict: the same domain": Case("a.example", {"a.example": R + "; aspf=s"}, "pass", "reject", spf="a.example"),
    "4.4.2 strict: a bounce domain below": Case("a.example", {"a.example": R + "; aspf=s"}, "fail", "reject", spf="bounce.a.example"),
    "4.4.2 strict: says nothing of DKIM": Case("a.example", {"a.example": R + "; aspf=s"}, "pass", "reject", ("s.a.example",)),
    "4.4.2 another's reverse-path": Case("a.example", {"a.example": R}, "fail", "reject", spf="b.example"),
    "4.4.2 SPF that fails": Case("a.example", {"a.example": R}, "fail", "reject", spf="a.example", spf_says="fail"),
    "4.4.2 SPF that fails softly": Case("a.example", {"a.example": R}, "fail", "reject", spf="a.example", spf_says="softfail"),
    "4.4.2 SPF that is neutral": Case("a.example", {"a.example": R}, "fail", "reject", spf="a.example", spf_says="neutral"),
    "4.4.2 SPF that cannot be read": Case("a.example", {"a.example": R}, "fail", "reject", spf="a.example", spf_says="permerror"),
    "4.4.2 MAIL FROM alone counts, not HELO": Case("a.example", {"a.example": R}, "fail", "reject", helo="a.example"),
    "7208 2.4 the null reverse-path is that of HELO": Case("a.example", {"a.example": R}, "pass", "reject", spf="", helo="a.example"),
    "7208 2.4 HELO below the author's domain": Case("a.example", {"a.example": R}, "pass", "reject", spf="", helo="mx.a.example"),
    "7208 2.4 HELO below, strict": Case("a.example", {"a.example": R + "; aspf=s"}, "fail", "reject", spf="", helo="mx.a.example"),
    "7208 2.4 HELO that is an address literal": Case("a.example", {"a.example": R}, "fail", "reject", spf="", helo=f"[{IP}]"),
    "5.3.5 either is enough: SPF fails, DKIM passes": Case(
        "a.example", {"a.example": R}, "pass", "reject", ("a.example",), spf="a.example", spf_says="fail"),
    "5.3.5 either is enough: DKIM fails, SPF passes": Case(
        "a.example", {"a.example": R}, "pass", "reject", ("!a.example",), spf="a.example"),
    "5.3.5 neither": Case("a.example", {"a.example": R}, "fail", "reject", sender=Sender.FORGED),
}  # fmt: skip

TREE_WALK = {
    "4.10.2 the topmost record names the organization": Case(
        "s.m.a.example", {"m.a.example": N, "a.example": R}, "pass", "reject", ("t.a.example",)),
    "4.10.1 a record between author and organization is not asked": Case(
        "s.m.a.example", {"m.a.example": N, "a.example": R}, "fail", "reject"),
    "4.10.2 psd=n: what lies above is another's": Case(
        "s.m.a.example", {"m.a.example": R + "; psd=n", "a.example": R}, "fail", "reject", ("a.example",)),
    "4.10.2 psd=n: what lies below is one": Case(
        "s.m.a.example", {"m.a.example": R + "; psd=n", "a.example": R}, "pass", "reject", ("t.m.a.example",)),
    "4.10.2 psd=n at the author": Case(
        "m.a.example", {"m.a.example": Q + "; psd=n", "a.example": R}, "fail", "quarantine", ("a.example",)),
    "4.10.2 psd=n at the signer": Case(
        "a.example", {"s.a.example": R + "; psd=n", "a.example": R}, "fail", "reject", ("s.a.example",)),
    "4.10.2 psd=y: one label below is the organization": Case(
        "s.a.pool.example", {"pool.example": R + "; psd=y"}, "pass", "reject", ("t.a.pool.example",)),
    "4.10.2 psd=y: its customers are strangers": Case(
        "a.pool.example", {"pool.example": R + "; psd=y"}, "fail", "reject", ("b.pool.example",)),
    "4.10.2 psd=y: and the operator is none of them": Case(
        "a.pool.example", {"pool.example": R + "; psd=y"}, "fail", "reject", ("pool.example",)),
    "4.10.2 psd=y: nor are they the operator": Case(
        "pool.example", {"pool.example": R + "; psd=y"}, "fail", "reject", ("a.pool.example",)),
    "4.10.2 psd=y at the author: it is its own organization": Case(
        "pool.example", {"pool.example": R + "; psd=y"}, "pass", "reject", ("pool.example",)),
    "4.10 step 2: psd=y ends a walk where it starts": Case(
        "pool.a.example", {"pool.a.example": Q + "; psd=y", "a.example": R}, "fail", "quarantine", ("a.example",)),
    "4.10 step 2: at the signer too": Case(
        "a.example", {"pool.a.example": R + "; psd=y", "a.example": R}, "fail", "reject", ("pool.a.example",)),
    "4.7 psd=u is the default": Case("s.a.example", {"a.example": R + "; psd=u"}, "pass", "reject", ("a.example",)),
    "4.7 psd: what is none of the three is the default": Case(
        "s.a.example", {"a.example": R + "; psd=yes"}, "pass", "reject", ("a.example",)),
    "4.10 eight questions: a cut above them is never seen": Case(
        "mail.a.b.c.d.e.f.g.a.example", {"b.c.d.e.f.g.a.example": Q + "; psd=n", "a.example": R}, "fail", "reject"),
    "4.10 eight questions: the author's own is always one": Case(
        "mail.a.b.c.d.e.f.g.a.example", {"mail.a.b.c.d.e.f.g.a.example": Q, "a.example": R}, "fail", "quarantine"),
    "4.10 eight labels are all asked": Case(
        "1.2.3.4.5.6.a.example", {"2.3.4.5.6.a.example": Q + "; psd=n", "a.example": R}, "fail", "quarantine"),
    "4.10 eight questions for a deep signer too": Case(
        "a.example", {"a.example": R}, "pass", "reject", ("1.2.3.4.5.6.7.8.9.a.example",)),
    "4.10 several records at the organization are none": Case(
        "s.a.example", {"a.example": [R, Q]}, "none", sender=Sender.UNVERIFIED),
    "4.10 several records at the signer leave the organization": Case(
        "a.example", {"a.example": R, "s.a.example": [R, Q]}, "pass", "reject", ("s.a.example",)),
    "7489 3.2 without records the suffix list joins": Case(
        "a.co.uk", {}, "none", "", ("s.a.co.uk",), sender=Sender.VERIFIED),
    "7489 3.2 without records the suffix list separates": Case(
        "a.co.uk", {}, "none", "", ("b.co.uk",), sender=Sender.UNVERIFIED),
    "7489 3.2 a suffix without psd= joins nobody": Case("a.co.uk", {"co.uk": R}, "fail", "reject", ("b.co.uk",)),
    "7489 3.2 nor a private suffix": Case("a.github.io", {"github.io": R}, "fail", "reject", spf="b.github.io"),
    "5.3.1 a public suffix may be an author": Case("co.uk", {"co.uk": R}, "fail", "reject"),
    "5.3.1 a public suffix without a record": Case("co.uk", {}, "none", sender=Sender.UNVERIFIED),
    "5.3.1 one label": Case("intranet", {}, "none", sender=Sender.UNVERIFIED),
}  # fmt: skip

POLICY = {
    "4.7 p=quarantine": Case("a.example", {"a.example": Q}, "fail", "quarantine", sender=Sender.FORGED),
    "4.7 p=none": Case("a.example", {"a.example": N}, "fail", "none", sender=Sender.UNVERIFIED),
    "4.7 sp for a subdomain": Case("s.a.example", {"a.example": R + "; sp=none"}, "fail", "none", sender=Sender.UNVERIFIED),
    "4.7 np for what does not exist": Case("s.a.example", {"a.example": N + "; sp=none; np=reject"}, "fail", "reject"),
    "4.7 sp for what exists": Case("s.a.example", {"a.example": N + "; sp=quarantine; np=reject"}, "fail", "quarantine", exists=("s.a.example",)),
    "4.7 sp of a record that is not the organization's": Case(
        "s.m.a.example", {"m.a.example": R + "; sp=reject", "a.example": N}, "fail", "none"),
    "4.7 sp of the author's own record": Case("s.a.example", {"s.a.example": N + "; sp=reject", "a.example": R}, "fail", "none"),
    "4.7 np of a suffix": Case("a.example", {"example": N + "; np=reject; psd=y"}, "fail", "reject"),
    "4.7 t=y takes reject to quarantine": Case("a.example", {"a.example": R + "; t=y"}, "fail", "quarantine", sender=Sender.FORGED),
    "4.7 t=y takes quarantine to none": Case("a.example", {"a.example": Q + "; t=y"}, "fail", "none", sender=Sender.UNVERIFIED),
    "4.7 t=y changes no result": Case("a.example", {"a.example": R + "; t=y"}, "pass", "quarantine", ("a.example",)),
    "4.7 t=y at the organization, for np": Case("s.a.example", {"a.example": N + "; np=reject; t=y"}, "fail", "quarantine"),
    "4.7 t: anything else is n": Case("a.example", {"a.example": R + "; t=yes"}, "fail", "reject"),
    "7489 6.3 pct=0 is t=y": Case("s.a.example", {"a.example": R + "; pct=0"}, "fail", "quarantine"),
    "A.7 pct=1 is not": Case("a.example", {"a.example": R + "; pct=1"}, "fail", "reject"),
    "4.7 adkim: anything else is relaxed": Case("a.example", {"a.example": R + "; adkim=x"}, "pass", "reject", ("s.a.example",)),
    "4.7 aspf: upper case is heard": Case("a.example", {"a.example": R + "; ASPF=S"}, "fail", "reject", spf="s.a.example"),
    "4.10.1 an invalid p without reports: no DMARC at all": Case(
        "a.example", {"a.example": "v=DMARC1; p=refuse"}, "none", sender=Sender.UNVERIFIED),
    "4.10.1 an invalid p with reports is none": Case(
        "a.example", {"a.example": "v=DMARC1; p=refuse; rua=mailto:d@a.example"}, "fail", "none"),
    "4.10.1 a report address that is none does not help": Case(
        "a.example", {"a.example": "v=DMARC1; p=refuse; rua=d@a.example"}, "none"),
    "4.7 a tag without a value": Case("a.example", {"a.example": R + "; sp; adkim="}, "pass", "reject", ("s.a.example",)),
    "4.7 the wrong version is no record": Case("a.example", {"a.example": "v=DMARC2; p=reject"}, "none"),
}  # fmt: skip

TROUBLE = {
    "5.3.6 the key of an aligned signature": Case(
        "a.example", {"a.example": R}, "temperror", "reject", ("a.example",), broken=("s1._domainkey.a.example",),
        sender=Sender.INDETERMINATE),
    "5.3.6 the key of another's signature": Case(
        "a.example", {"a.example": R}, "fail", "reject", ("b.example",), broken=("s1._domainkey.b.example",)),
    "5.3.6 SPF of an aligned reverse-path": Case(
        "a.example", {"a.example": R}, "temperror", "reject", spf="a.example", broken=("a.example",),
        sender=Sender.INDETERMINATE),
    "5.3.6 SPF of another's": Case("a.example", {"a.example": R}, "fail", "reject", broken=("mail.elsewhere.test",)),
    "5.3.6 SPF of HELO beside a reverse-path": Case("a.example", {"a.example": R}, "fail", "reject", helo="mx.a.example", broken=("mx.a.example",)),
    "5.3.6 trouble with one does not hide the other": Case(
        "a.example", {"a.example": R}, "pass", "reject", ("a.example",), spf="a.example", broken=("a.example",)),
    "5.3.6 the author's record, with a proof": Case(
        "a.example", {}, "temperror", "", ("a.example",), broken=("_dmarc.a.example",), sender=Sender.VERIFIED),
    "5.3.6 the author's record, without": Case(
        "a.example", {}, "temperror", broken=("_dmarc.a.example",), sender=Sender.INDETERMINATE),
    "5.3.6 the organization's record": Case(
        "s.a.example", {}, "temperror", broken=("_dmarc.a.example",), sender=Sender.INDETERMINATE),
    "5.3.6 whether a signer is of the organization": Case(
        "a.example", {"a.example": R}, "temperror", "reject", ("s.a.example",), broken=("_dmarc.s.a.example",),
        sender=Sender.INDETERMINATE),
    "5.3.6 strict alignment needs no walk": Case(
        "a.example", {"a.example": R + "; adkim=s"}, "fail", "reject", ("s.a.example",), broken=("_dmarc.s.a.example",)),
    "5.3.6 whether the author's domain exists": Case(
        "s.a.example", {"a.example": N + "; np=reject"}, "temperror", broken=("s.a.example",), sender=Sender.INDETERMINATE),
    "5.3.6 a suffix above a record changes nothing": Case(
        "a.example", {"a.example": R}, "fail", "reject", broken=("_dmarc.example",), sender=Sender.FORGED),
}  # fmt: skip

INTERNATIONAL = {
    "5.3.1 a U-label is asked as A-label": Case("b\u00fccher.example", {"xn--bcher-kva.example": R}, "fail", "reject"),
    "5.3.1 a U-label author, an A-label signer": Case(
        "b\u00fccher.example", {"xn--bcher-kva.example": R}, "pass", "reject", ("xn--bcher-kva.example",)),
    "5.3.1 an A-label author, a U-label reverse-path": Case(
        "xn--bcher-kva.example", {"xn--bcher-kva.example": R}, "pass", "reject", spf="xn--bcher-kva.example"),
    "5.3.1 letters that look alike are others": Case(
        "b\u00fccher.example", {"xn--bcher-kva.example": R, "bucher.example": R}, "fail", "reject", ("bucher.example",)),
    "5.3.1 an international public suffix": Case(
        "a.xn--55qx5d.cn", {"a.xn--55qx5d.cn": R}, "fail", "reject", ("b.xn--55qx5d.cn",)),
}  # fmt: skip

TABLE = DKIM_ALIGNMENT | SPF_ALIGNMENT | TREE_WALK | POLICY | TROUBLE | INTERNATIONAL


@pytest.mark.parametrize("rule", TABLE)
async def test_the_result_and_the_policy_it_was_judged_by(rule):
    case = TABLE[rule]
    report = await judged(case)
    assert (report.result_of("dmarc"), report.published_policy) == (case.dmarc, case.policy), report
    if case.sender is not None:
        assert report.sender is case.sender, report
    if case.dmarc in ("fail", "none") and not case.signers:
        assert report.sender is not Sender.VERIFIED


async def test_the_author_domain_is_told_in_a_labels():
    report = await judged(TABLE["5.3.1 a U-label is asked as A-label"])
    assert dict(report.results[-1].properties)["header.from"] == "xn--bcher-kva.example"


@pytest.mark.parametrize("labels", [1, 2, 7, 8, 9, 30, 120])
async def test_no_walk_asks_more_than_eight_questions(labels):
    """4.10: a long name must not be a way to make us ask."""
    domain = ".".join(["a"] * (labels - 1) + ["example"])
    resolver = DictResolver({})
    await Verifier(resolver, 5, asyncio.to_thread).verify(
        envelope(client=None), message(f"x@{domain}"), place("support@acme.test")
    )
    asked = [name for name, _ in resolver.asked if name.startswith("_dmarc.")]
    assert len(asked) == min(labels, 8)
    assert len(set(asked)) == len(asked)


async def test_records_are_read_through_real_dns():
    """4.5: the strings of one TXT record are joined; aliases are followed; other types at the name are nothing."""
    zone = {
        ("_dmarc.a.example", "TXT"): ['"v=DMARC1; p=re" "ject; adk" "im=s"'],
        ("_dmarc.b.example", "CNAME"): ["_dmarc.a.example."],
        ("_dmarc.c.example", "A"): ["192.0.2.1"],
        ("_dmarc.d.example", "TXT"): ['"v=spf1 -all"', '"v=DMARC1; p=quarantine"', '"google-site=x"'],
        ("_dmarc.e.example", "CNAME"): ["_dmarc.e.example."],
    }
    wanted = {"a.example": ("fail", "reject"), "b.example": ("fail", "reject"), "c.example": ("none", ""),
              "d.example": ("fail", "quarantine"), "e.example": ("temperror", "")}  # fmt: skip
    async with NameServer(zone).running() as server:
        verifier = Verifier(DnsResolver(["127.0.0.1"], server.port, 2, None), 5, asyncio.to_thread)
        for domain, expected in wanted.items():
            report = await verifier.verify(envelope(client=None), message(f"x@{domain}"), place("support@acme.test"))
            assert (report.result_of("dmarc"), report.published_policy) == expected, domain
