"""Who wants to be taken for somebody else: trust.md T13 and T15 to T22, over real sockets and with real DNS packets.

Whatever is tried, the author shown is the one that was judged; he is not verified, is not written to, joins nobody's
ticket, and speaks for no agent.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, select

from gateway.core.forwarder import Form, Forwarder
from gateway.store import changes, message_reading, outbox_reading, ticket_reading
from gateway.store.forwarders import dump
from gateway.store.tables import ForwarderRow, MailboxRow
from tests.servers.inprocess import Client, Gateway, Reply, fresh_ground, numbered, running
from tests.unit.verify.shapes import ed_key, key_record, rsa_key, sign

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOMER, BANK, FORWARDER, EXCHANGER, PROVIDER = "127.0.9.1", "127.0.9.2", "127.0.5.1", "127.0.5.2", "127.0.5.3"
STRANGERS = (f"127.66.{a}.{b}" for a, b in itertools.product(range(1, 255), range(1, 255)))
NUMBERS = itertools.count(1)
NOW = int(datetime.now(UTC).timestamp())
ACME = "support@acme.gw.test"
MODULUS_OF_512_BITS = b"\x30\x48\x02\x41\x00" + b"\xc1" * 64 + b"\x02\x03\x01\x00\x01"


def text(record: str) -> list[str]:
    """One TXT record as a master file writes it: strings of at most 255 octets."""
    return [" ".join(f'"{record[i : i + 250]}"' for i in range(0, len(record), 250))]


def published(name: str, *clients: str, policy: str, key: Any = None) -> dict[tuple[str, str], list[str]]:
    return {
        (name, "TXT"): text("v=spf1 " + "".join(f"ip4:{c} " for c in clients) + "-all"),
        (f"_dmarc.{name}", "TXT"): text(f"v=DMARC1; p={policy}"),
        (f"s1._domainkey.{name}", "TXT"): text(key_record(key or rsa_key())),
    }


EVIL_KEY = rsa_key(1024)
ZONE = {
    **published("customer.test", CUSTOMER, policy="none"),
    **published("bank.test", BANK, policy="reject"),
    **published("bank.co.uk", BANK, policy="reject"),
    **published("acme.test", FORWARDER, PROVIDER, policy="reject"),
    **published("evil.test", "127.0.0.0/8", policy="reject", key=EVIL_KEY),
    **published("xn--bnk-6cd.test", "127.0.0.0/8", policy="reject", key=EVIL_KEY),
    ("acme.test", "MX"): ["10 mx.acme.test."],
    ("mx.acme.test", "A"): [EXCHANGER],
    ("mx.acme.test", "TXT"): text(f"v=spf1 ip4:{FORWARDER} -all"),
    ("tenant.test", "TXT"): text(f"v=spf1 ip4:{PROVIDER} -all"),
    # names above, below and beside the bank's, all held by the attacker
    ("s1._domainkey.test", "TXT"): text(key_record(EVIL_KEY)),
    ("s1._domainkey.co.uk", "TXT"): text(key_record(EVIL_KEY)),
    ("s1._domainkey.notbank.test", "TXT"): text(key_record(EVIL_KEY)),
    ("s1._domainkey.bank.test.evil.test", "TXT"): text(key_record(EVIL_KEY)),
    ("s1._domainkey.strict.bank.test", "TXT"): text(key_record(rsa_key())),
    # keys of the bank's that forbid or limit
    ("strict._domainkey.bank.test", "TXT"): text(key_record(rsa_key(), "t=s; ")),
    ("testing._domainkey.bank.test", "TXT"): text(key_record(rsa_key(), "t=y; ")),
    ("short._domainkey.bank.test", "TXT"): text("v=DMARC1; p=" + base64.b64encode(MODULUS_OF_512_BITS).decode()),
    ("gone._domainkey.bank.test", "TXT"): text("v=DKIM1; p="),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """Keeps forgeries as well, so that what is said of them can be read; Carol has ticket 1."""
    ground = fresh_ground(seed, tmp_path_factory.mktemp("spoofed") / "data")
    async with running(ground, zone=ZONE) as gateway:
        changes.publish_policy(ground.store, gateway.account_id(), "accept: {forged: accept}")
        await gateway.line.store_pool(gateway.line.directory.refresh)
        reply = await sent(gateway, numbered("genuine"), client=CUSTOMER, sender="<carol@customer.test>")
        genuine = shown(gateway, reply)
        assert (genuine["ticket"], genuine["auth"]["by"]) == (1, "spf:customer.test")
        yield gateway


@contextlib.asynccontextmanager
async def session(gateway: Gateway, address: str, hello: str) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=(address, 0)))
    try:
        assert (await client.reply()).code == 220
        assert (await client.say(f"EHLO {hello}")).code == 250
        yield client
    finally:
        await client.close()


async def sent(
    gateway: Gateway, content: bytes, *, client: str = "", hello: str = "mx.evil.test", sender: str = "<x@evil.test>"
) -> Reply:
    async with session(gateway, client or next(STRANGERS), hello) as one:
        return await one.mail(content, ACME, sender=sender)


def shown(gateway: Gateway, reply: Reply) -> dict[str, Any]:
    assert reply.code == 250, reply
    return message_reading.message(gateway.ground.store, gateway.account_id(), gateway.trace(reply.trace)["message"])


def acknowledged(gateway: Gateway) -> list[str]:
    owed = outbox_reading.outbox_rows(gateway.ground.store, "acme")
    return [o["recipient"] for o in owed if o["kind"] in ("acknowledgement", "answer", "refused", "attachment-removed")]


def our_message_id(gateway: Gateway, ticket: dict[str, Any]) -> str:
    """That of a notice we owe about a ticket, as every reader of it will see it."""
    row = ticket["notifications"][0]["id"]
    return f"<{gateway.ground.tokens.message_id(gateway.account_id(), ticket['number'], row, 'acme.gw.test')}>"


def carols_ticket(gateway: Gateway) -> dict[str, Any]:
    return ticket_reading.ticket(gateway.ground.store, gateway.account_id(), 1)


# --- the material ---


def mail(*head: str | bytes, body: bytes = b"Pay at once.\r\n", subject: str = "Re: [#1] Pump genuine") -> bytes:
    """A message with these fields first; it claims to answer Carol's ticket."""
    lines = [line if isinstance(line, bytes) else line.encode() for line in head]
    lines += [b"To: support@acme.test", b"Subject: " + subject.encode(), b"Date: Mon, 02 Feb 2026 10:00:00 +0000"]
    lines += [b"Message-ID: <%d@spoof.test>" % next(NUMBERS), b"In-Reply-To: <genuine@customer.test>"]
    return b"\r\n".join([*lines, b"", body])


def evils(*head: str | bytes, domain: str = "evil.test") -> bytes:
    """Signed by the attacker, whose signature is good."""
    return sign(mail(*head), domain, key=EVIL_KEY, signed="to:from:subject:date")


def banks(content: bytes = b"", **how: Any) -> bytes:
    """A message that the bank has really signed, in some way."""
    signed = how.pop("signed", "from:to:subject:date")
    return sign(content or mail("From: The Bank <ceo@bank.test>"), how.pop("domain", "bank.test"), signed=signed, **how)


def above(field: str, content: bytes) -> bytes:
    return field.encode() + b"\r\n" + content


def below(field: str, content: bytes) -> bytes:
    head, _, body = content.partition(b"\r\n\r\n")
    return head + b"\r\n" + field.encode() + b"\r\n\r\n" + body


def word(address: str) -> str:
    return f"=?utf-8?b?{base64.b64encode(address.encode()).decode()}?="


AMBIGUOUS, FORGED, UNVERIFIED = "ambiguous", "forged", "unverified"
REFUSED = "refused"


@dataclass(frozen=True)
class Attack:
    """`then` is what is said of it: refused at the edge, without an author, or with `author` and not proven."""

    content: bytes
    then: str = FORGED
    author: str = "ceo@bank.test"
    client: str = ""
    hello: str = "mx.evil.test"
    sender: str = "<x@evil.test>"


FROM_BANK, FROM_EVIL = "From: ceo@bank.test", "From: x@evil.test"

AUTHORS = {
    "two From fields, the attacker's first": evils(FROM_EVIL, FROM_BANK),
    "two From fields, the attacker's last": evils(FROM_BANK, FROM_EVIL),
    "two From fields in other case": evils("fROM: x@evil.test", FROM_BANK),
    "two addresses": evils("From: ceo@bank.test, x@evil.test"),
    "two addresses of one domain": evils("From: x@evil.test, y@evil.test"),
    "a comma that is no second address": evils("From: x@evil.test,"),
    "a group": evils("From: Bank: ceo@bank.test;"),
    "a group with the attacker": evils("From: Bank: ceo@bank.test, x@evil.test;"),
    "an empty group": evils("From: undisclosed:;"),
    "a source route": evils("From: <@evil.test,@mx.evil.test:ceo@bank.test>"),
    "a source route the other way round": evils("From: <@bank.test:x@evil.test>"),
    "an address for a name": evils("From: ceo@bank.test <x@evil.test>"),
    "two angle addresses": evils("From: <ceo@bank.test> <x@evil.test>"),
    "an angle address within another": evils("From: <x@evil.test<ceo@bank.test>>"),
    "a comment within the domain": evils("From: ceo@legitimate.test(.evil.test"),
    "a comment around the at sign": evils("From: ceo(x)@(y)bank.test"),
    "a comment that ends the address for some": evils("From: ceo@bank.test(x)@evil.test"),
    "a quoted local part that is an address": evils('From: "ceo@bank.test"@evil.test'),
    "a quoted local part with an end of address": evils('From: "ceo@bank.test>x"@evil.test'),
    "a quote that never ends": evils('From: "ceo@bank.test <x@evil.test>'),
    "a backslash before the at sign": evils("From: ceo\\@bank.test@evil.test"),
    "an encoded-word that is an address": evils(f"From: {word('ceo@bank.test')}"),
    "an encoded-word within an address": evils(f"From: {word('ceo@bank.test')}@evil.test"),
    "encoded-words that end in NUL (Mailsploit)": evils(f"From: {word('ceo@bank.test')}=?utf-8?q?=00?=@evil.test"),
    "an encoded-word that is an angle address": evils(f"From: {word('<ceo@bank.test>')} <x@evil.test>"),
    "an encoded-word that is a second field": evils(f"From: {word('<ceo@bank.test>' + chr(13) + chr(10) + 'X: y')} <x@evil.test>"),
    "NUL within the address": evils(b"From: ceo@bank.test\0.evil.test"),
    "NUL before a second address": evils(b"From: ceo@bank.test\0 <x@evil.test>"),
    "NUL in the field's name": evils(b"From\0: ceo@bank.test", FROM_EVIL),
    "a blank before the colon": evils("From : ceo@bank.test"),
    "a blank before the colon of one of two": evils("From : ceo@bank.test", FROM_EVIL),
    "a folded name": mail("From\r\n : ceo@bank.test"),
    "a field that begins with a blank": mail(" From: ceo@bank.test", FROM_EVIL),
    "a line that is no field before From": evils("no field at all", FROM_EVIL),
    "an address folded over lines": evils("From: x@evil.test,\r\n ceo@bank.test"),
    "a second address behind a line of blanks": evils("From: x@evil.test\r\n \t\r\n ,ceo@bank.test"),
    "no From but a Sender": evils("Sender: ceo@bank.test"),
    "an empty From": evils("From:", "Sender: ceo@bank.test"),
    "From without a domain": evils("From: ceo"),
    "a trailing dot twice": evils("From: ceo@bank.test.."),
    "an mbox line for a From": b"From ceo@bank.test Mon Feb  2 10:00:00 2026\r\n" + mail("Sender: x@evil.test"),
    "a second From above the signed one": above("From: x@evil.test", banks()),
    "a second From below the signed one": below("From: x@evil.test", banks()),
}  # fmt: skip

NAMES_IN_THE_OPEN = {
    "the bare spoof": Attack(mail(FROM_BANK)),
    "signed by the attacker": Attack(evils(FROM_BANK)),
    "a comment that names the attacker": Attack(evils("From: ceo@bank.test (x@evil.test)"), then=AMBIGUOUS),
    "Sender is the attacker's": Attack(evils(FROM_BANK, "Sender: x@evil.test")),
    "Reply-To is the attacker's": Attack(evils(FROM_BANK, "Reply-To: x@evil.test")),
    "Resent-From is the attacker's": Attack(evils("Resent-From: x@evil.test", "Resent-Sender: x@evil.test", FROM_BANK)),
    "X-Original-From and X-Original-Sender": Attack(evils("X-Original-From: x@evil.test", "X-Original-Sender: x@evil.test", FROM_BANK)),
    "a list's fields": Attack(evils("List-Id: <l.evil.test>", "Precedence: list", FROM_BANK)),
    "full-width letters in the domain are the bank's": Attack(evils("From: ceo@b\uff41nk.test")),
    "an ideographic full stop in the domain is the bank's": Attack(evils("From: ceo@bank\u3002test")),
    "an address literal": Attack(
        evils("From: ceo@[127.0.9.2]"), UNVERIFIED, "ceo@[127.0.9.2]", sender="<x@[127.0.9.2]>"),
    "upper case is the bank's": Attack(evils("From: ceo@BANK.test")),
    "a subdomain of the bank's": Attack(evils("From: ceo@pay.bank.test"), author="ceo@pay.bank.test"),
    "somebody of a domain that only watches": Attack(evils("From: carol@customer.test"), UNVERIFIED, "carol@customer.test"),
    "the same, with a letter that only NFKC calls equal": Attack(
        evils("From: \u217darol@customer.test"), UNVERIFIED, "\u217darol@customer.test"),
}  # fmt: skip

ENVELOPES = {
    "an empty reverse-path and the bank's name for HELO": Attack(mail(FROM_BANK), sender="<>", hello="bank.test"),
    "the bank's name for HELO": Attack(mail(FROM_BANK), hello="bank.test"),
    "an address literal for HELO": Attack(mail(FROM_BANK), sender="<>", hello="[127.0.9.2]"),
    "an IPv6 literal for HELO": Attack(mail(FROM_BANK), sender="<>", hello="[IPv6:::1]"),
    "the bank's reverse-path": Attack(mail(FROM_BANK), sender="<ceo@bank.test>"),
    "a reverse-path below the bank's": Attack(mail(FROM_BANK), sender="<ceo@none.bank.test>"),
    "a quoted address at the attacker's": Attack(mail(FROM_BANK), sender='<"ceo@bank.test"@evil.test>'),
    "a rewritten reverse-path of the attacker's": Attack(
        mail(FROM_BANK), UNVERIFIED, sender="<SRS0=hash=tt=bank.test=ceo@evil.test>"),
    "a rewritten reverse-path that says it is the bank's": Attack(
        mail(FROM_BANK), sender="<SRS0=hash=tt=evil.test=x@bank.test>"),
}  # fmt: skip

SIGNATURES = {
    "by a public suffix": Attack(evils("From: ceo@bank.co.uk", domain="co.uk"), author="ceo@bank.co.uk"),
    "by a top-level domain": Attack(evils(FROM_BANK, domain="test")),
    "by a name that ends alike": Attack(evils(FROM_BANK, domain="notbank.test")),
    "by a name that begins alike": Attack(evils(FROM_BANK, domain="bank.test.evil.test")),
    "NUL in d=": Attack(evils(FROM_BANK, domain="bank.test\0.evil.test")),
    "a comment in d=": Attack(evils(FROM_BANK, domain="bank.test(.evil.test")),
    "NUL in s=": Attack(banks(key=EVIL_KEY, selector="s1\0")),
    "a selector that leads to the attacker": Attack(banks(key=EVIL_KEY, selector="s1._domainkey.evil.test.")),
    "another's key": Attack(banks(key=EVIL_KEY)),
    "text behind the signed length": Attack(banks(length=5)),
    "a length of nothing": Attack(banks(length=0)),
    "From unsigned and changed": Attack(banks(mail("From: x@bank.test"), signed="to:subject").replace(b"x@bank", b"ceo@bank")),
    "Subject changed": Attack(banks().replace(b"Pump", b"Bill")),
    "replayed with another Subject above": Attack(above("Subject: Your bill", banks())),
    "replayed with another Subject below": Attack(below("Subject: Your bill", banks())),
    "replayed to others with another To above": Attack(above("To: billing@acme.test", banks())),
    "replayed with another Date above": Attack(above("Date: Mon, 02 Feb 2026 11:00:00 +0000", banks())),
    "an oversigned Reply-To added": Attack(above("Reply-To: x@evil.test", banks(signed="from:from:to:subject:date:reply-to"))),
    "body changed": Attack(banks().replace(b"Pay at once", b"Pay me")),
    "body appended": Attack(banks() + b"IBAN follows.\r\n"),
    "expired": Attack(banks(extra=f" t={NOW - 7200}; x={NOW - 3600};")),
    "signed tomorrow": Attack(banks(extra=f" t={NOW + 86_400};")),
    "a strict key and i= below": Attack(banks(selector="strict", extra=" i=@strict.bank.test;")),
    "i= beside d=": Attack(banks(extra=" i=ceo@evil.test;")),
    "a key in test mode": Attack(banks(selector="testing")),
    "rsa-sha1": Attack(banks(algorithm="rsa-sha1")),
    "a key of 512 bits": Attack(banks(selector="short")),
    "a revoked key": Attack(banks(selector="gone")),
    "a key of another kind": Attack(banks(key=ed_key())),
    "no key at all": Attack(banks(selector="none")),
    "h= names From within another word": Attack(banks(signed="x-from:to:subject:date")),
    "the attacker's good signature above the broken one": Attack(
        sign(banks().replace(b"Pump", b"Bill"), "evil.test", key=EVIL_KEY)),
}  # fmt: skip

PASSES = "spf=pass smtp.mailfrom=bank.test; dkim=pass header.d=bank.test; dmarc=pass header.from=bank.test"

CLAIMS = {
    "Authentication-Results with our own id": Attack(evils(f"Authentication-Results: mx.gw.test; {PASSES}", FROM_BANK)),
    "Authentication-Results with another's id": Attack(evils(f"Authentication-Results: mx.google.com; {PASSES}", FROM_BANK)),
    "Authentication-Results without an id": Attack(evils(f"Authentication-Results: {PASSES}", FROM_BANK)),
    "Received-SPF": Attack(evils("Received-SPF: pass (bank.test) client-ip=127.0.9.2; envelope-from=ceo@bank.test", FROM_BANK)),
    "ARC results that nobody sealed": Attack(evils(f"ARC-Authentication-Results: i=1; mx.google.com; {PASSES}", FROM_BANK)),
    "a Received line of the bank's": Attack(evils("Received: from bank.test ([127.0.9.2]) by mx.acme.test; Mon, 02 Feb 2026 10:00:00 +0000", FROM_BANK)),
    "X-Forwarded-For and -To": Attack(evils("X-Forwarded-For: support@acme.test support@acme.gw.test", "X-Forwarded-To: support@acme.gw.test", FROM_BANK)),
    "Microsoft's word for mail from within": Attack(evils(
        "X-MS-Exchange-Organization-AuthAs: Internal", "X-MS-Exchange-Organization-SCL: -1", "From: ann@acme.test"), author="ann@acme.test"),
    "an account's and a product's own fields": Attack(evils("X-Gateway-Verified: yes", "X-Zammad-Customer: ceo@bank.test", FROM_BANK)),
    "X-Original-Authentication-Results": Attack(evils(f"X-Original-Authentication-Results: mx.gw.test; {PASSES}", FROM_BANK)),
}  # fmt: skip

COLLEAGUES = {
    "from outside, where SPF passes for the stranger": Attack(evils("From: ann@acme.test"), author="ann@acme.test"),
    "below the own domain": Attack(evils("From: ann@hr.acme.test"), author="ann@hr.acme.test"),
    "a mailbox of the account's": Attack(evils("From: support@acme.test"), author="support@acme.test"),
    "at the gateway's own domain": Attack(evils("From: notice@acme.gw.test"), UNVERIFIED, "notice@acme.gw.test"),
    "the look-alike of an agent": Attack(evils("From: \uff41nn@acme.test"), author="\uff41nn@acme.test"),
    "through the company's forwarder, whose SPF passes": Attack(
        mail("From: ann@acme.test"), UNVERIFIED, "ann@acme.test", FORWARDER, "mail.acme.test", "<ann@acme.test>"),
    "the same with SRS": Attack(
        mail("From: ann@acme.test"), UNVERIFIED, "ann@acme.test", FORWARDER, "mail.acme.test",
        "<SRS0=hash=tt=evil.test=x@acme.test>"),
    "the same with SRS that says it was ours": Attack(
        mail("From: ann@acme.test"), UNVERIFIED, "ann@acme.test", FORWARDER, "mail.acme.test",
        "<SRS0=hash=tt=acme.test=ann@acme.test>"),
    "the same with the stranger's reverse-path": Attack(
        mail("From: ann@acme.test"), UNVERIFIED, "ann@acme.test", FORWARDER, "mail.acme.test", "<x@evil.test>"),
    "the same with an empty reverse-path and a HELO whose SPF passes": Attack(
        mail("From: ann@acme.test"), UNVERIFIED, "ann@acme.test", FORWARDER, "mx.acme.test", "<>"),
    "through the company's mail exchanger": Attack(
        mail("From: ann@acme.test"), UNVERIFIED, "ann@acme.test", EXCHANGER, "mx.acme.test", "<x@evil.test>"),
    "a customer, through the forwarder": Attack(
        mail("From: carol@customer.test"), UNVERIFIED, "carol@customer.test", FORWARDER, "mail.acme.test", "<carol@customer.test>"),
    "another tenant's forward through the same provider": Attack(
        mail(FROM_BANK), UNVERIFIED, client=PROVIDER, hello="out.provider.test", sender="<SRS0=hash=tt=bank.test=ceo@tenant.test>"),
    "another tenant as himself, writing for the company": Attack(
        mail("From: ann@acme.test"), UNVERIFIED, "ann@acme.test", PROVIDER, "out.provider.test", "<ann@tenant.test>"),
    "another tenant with Gmail's form": Attack(
        mail(FROM_BANK), UNVERIFIED, client=PROVIDER, hello="out.provider.test", sender="<u+caf_=support=acme.gw.test@tenant.test>"),
}  # fmt: skip


def all_of(**tables: dict[str, Attack]) -> Iterable[Any]:
    for kind, table in tables.items():
        for name, attack in table.items():
            yield pytest.param(attack, id=f"{kind}: {name}")


ATTACKS = [
    *all_of(
        author={name: Attack(content, AMBIGUOUS) for name, content in AUTHORS.items()},
        named=NAMES_IN_THE_OPEN,
        envelope=ENVELOPES,
        signature=SIGNATURES,
        claim=CLAIMS,
        colleague=COLLEAGUES,
    )
]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nobody_is_verified_as_somebody_else(gateway: Gateway, attack: Attack) -> None:
    before, written = carols_ticket(gateway), acknowledged(gateway)
    reply = await sent(gateway, attack.content, client=attack.client, hello=attack.hello, sender=attack.sender)
    message = shown(gateway, reply)

    auth = message["auth"]
    assert (auth["level"], auth["by"]) == ("none", "")
    assert auth["dmarc"] != "pass"
    if attack.then == AMBIGUOUS:
        assert (auth["sender"], message["author"]["address"]) == ("unverified", "")
        assert "ambiguous-author" in auth["reason"]
        assert (
            ticket_reading.ticket(gateway.ground.store, gateway.account_id(), message["ticket"])["participants"] == []
        )
    else:
        assert (auth["sender"], message["author"]["address"]) == (attack.then, attack.author)
    assert message["ticket"] != 1
    assert carols_ticket(gateway) == before
    assert acknowledged(gateway) == written


ITSELF = {
    "an address for a quoted name": ('From: "ceo@bank.test" <x@evil.test>', "x@evil.test"),
    "an encoded address for a name": (f"From: {word('ceo@bank.test')} <x@evil.test>", "x@evil.test"),
    "an address in a comment": ("From: x@evil.test (ceo at bank.test)", "x@evil.test"),
    "blanks that push the address out of sight": ("From: The Bank" + " " * 300 + "<x@evil.test>", "x@evil.test"),
    "right-to-left marks in the name": ("From: \u202etset.knab@oec <x@evil.test>", ""),
    "a homograph of the bank's domain": ("From: ceo@b\u0430nk.test", "ceo@xn--bnk-6cd.test"),
}


@pytest.mark.parametrize("what", ITSELF)
async def test_who_only_looks_like_another_is_shown_as_the_one_that_was_judged(gateway: Gateway, what: str) -> None:
    """Names are free for all (T15): what is proven is the address, and that one is shown, the domain in A-labels (T13)."""
    field, author = ITSELF[what]
    domain = author.rpartition("@")[2] or "evil.test"
    message = shown(gateway, await sent(gateway, evils(field, domain=domain), sender=f"<x@{domain}>"))
    assert message["author"]["address"] == author
    assert message["auth"]["by"] == (f"dkim:{domain}" if author else "")
    assert message["ticket"] != 1
    assert not any(c in message["author"]["name"] for c in "\r\n\0")
    assert "ceo@bank.test" not in acknowledged(gateway)


EDGE = {
    "a bare carriage return in From": b"From: x@evil.test\rFrom: ceo@bank.test",
    "a bare carriage return in another field": b"X: a\rFrom: ceo@bank.test\r\nFrom: x@evil.test",
    "a bare line feed before a second From": b"From: x@evil.test\nFrom: ceo@bank.test",
}


@pytest.mark.parametrize("what", EDGE)
async def test_line_ends_that_are_none_are_refused(gateway: Gateway, what: str) -> None:
    before = len(gateway.messages())
    reply = await sent(gateway, evils(EDGE[what]))
    assert (reply.code, reply.enhanced) == (550, "5.6.0")
    assert len(gateway.messages()) == before


async def test_a_source_route_in_the_envelope_lends_no_name(gateway: Gateway) -> None:
    async with session(gateway, next(STRANGERS), "mx.evil.test") as client:
        reply = await client.say("MAIL FROM:<@bank.test:x@evil.test>")
        assert reply.code in (501, 553)


@pytest.mark.parametrize(
    "content", [evils(FROM_EVIL, FROM_BANK), evils("From: carol@customer.test, x@evil.test"), evils(FROM_BANK)]
)
async def test_our_own_message_id_makes_a_stranger_no_participant(gateway: Gateway, content: bytes) -> None:
    """Every reader of a thread has seen it: what comes with it from somebody else stays inside, as a note."""
    before = carols_ticket(gateway)
    reply = await sent(gateway, content.replace(b"<genuine@customer.test>", our_message_id(gateway, before).encode()))
    message = shown(gateway, reply)
    after = carols_ticket(gateway)
    assert (message["ticket"], message["internal"]) == (1, True)
    assert after["participants"] == before["participants"]
    assert [p["address"] for p in after["participants"]] == ["carol@customer.test"]
    assert (after["state"], after["assignee"]) == (before["state"], before["assignee"])


async def test_a_forger_of_a_participant_is_none_with_our_message_id_too(gateway: Gateway) -> None:
    """The bank's own man has a ticket; whoever is proven not to be him leaves a note there."""
    genuine = shown(
        gateway, await sent(gateway, banks(mail(FROM_BANK, subject="Loan")), client=BANK, sender="<ceo@bank.test>")
    )
    assert genuine["auth"]["by"] == "dkim:bank.test"
    before = ticket_reading.ticket(gateway.ground.store, gateway.account_id(), genuine["ticket"])
    reply = await sent(gateway, mail(FROM_BANK, f"References: {our_message_id(gateway, before)}"))
    message = shown(gateway, reply)
    assert (message["auth"]["sender"], message["ticket"], message["internal"]) == ("forged", genuine["ticket"], True)


@pytest.mark.parametrize("author", ["ann@acme.test", "\uff41nn@acme.test", "x@evil.test"])
@pytest.mark.parametrize("client", ["", FORWARDER])
async def test_an_agents_answer_address_makes_nobody_an_agent(gateway: Gateway, author: str, client: str) -> None:
    """Whoever learnt the address of an agent's notice leaves a note there; no customer reads it."""
    before, written = carols_ticket(gateway), acknowledged(gateway)
    local = gateway.ground.tokens.answer_local(gateway.account_id(), 1, 1)
    async with session(gateway, client or next(STRANGERS), "mx.evil.test") as one:
        reply = await one.mail(evils(f"From: {author}"), f"{local}@acme.gw.test", sender="<x@evil.test>")
    message = shown(gateway, reply)
    assert (message["ticket"], message["internal"]) == (1, True)
    assert carols_ticket(gateway)["participants"] == before["participants"]
    assert acknowledged(gateway) == written


@pytest.mark.parametrize("claim", ["Authentication-Results", "AUTHENTICATION-RESULTS", "Authentication-Results "])
async def test_a_result_in_our_name_is_not_ours(gateway: Gateway, claim: str) -> None:
    """RFC 8601 section 5: what bears our id and is not ours must not be shown as ours. The bytes are kept as they came."""
    content = evils(FROM_BANK, f"{claim}: mx.gw.test; dmarc=pass header.from=bank.test; x-claim=pass")
    reply = await sent(gateway, content)
    message = shown(gateway, reply)
    ours = message["authentication_results"]
    assert ours.startswith("mx.gw.test;")
    assert "dmarc=fail" in ours
    assert "x-claim" not in ours
    assert b"x-claim=pass" in (gateway.raw(message["id"]) or b"")


async def test_a_genuine_signature_is_verified_here(gateway: Gateway) -> None:
    """Without this, whatever is wrong with this file's signer would make every test above pass."""
    for content in (
        banks(),
        banks(selector="strict"),
        banks(extra=f" t={NOW - 60}; x={NOW + 86_400};"),
        banks(length=14),
    ):
        message = shown(gateway, await sent(gateway, content))
        assert (message["auth"]["sender"], message["auth"]["by"]) == ("verified", "dkim:bank.test")


# --- through forwarders that are known ---

LEARNT = Forwarder(
    id="f1",
    name="mail.acme.test",
    networks=("127.0.5.0/24",),
    provider="",
    spf_domain="",
    form=Form.SRS0,
    reverse_path="@acme.test",
    border="mail.acme.test",
    arc_sealer="",
    dkim_domain="",
    adds=(),
    keeps_author=True,
    keeps_subject=True,
    keeps_message_id=True,
    keeps_body=True,
    learnt_at=datetime(2026, 2, 1, tzinfo=UTC),
    address=FORWARDER,
)
GMAIL, CAF = "127.0.3.1", "acme.help+caf_=support=acme.gw.test@gmail.com"
LEARNT_AT_GOOGLE = replace(
    LEARNT,
    id="f2",
    name="google",
    networks=("127.0.3.0/24",),
    provider="google",
    form=Form.GMAIL_CAF,
    reverse_path=CAF,
    border="mx.google.com",
    address=GMAIL,
    keeps_return_path=True,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def knowing(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A gateway that has learnt of support@acme.test: the company's server with SRS, and a Gmail user's forward."""
    ground = fresh_ground(seed, tmp_path_factory.mktemp("known") / "data")
    zone = ZONE | {
        ("gmail.com", "TXT"): text("v=spf1 ip4:127.0.3.0/24 -all"),
        ("_spf.google.com", "TXT"): text("v=spf1 ip4:127.0.3.0/24 -all"),
    }
    async with running(ground, zone=zone) as gateway:
        mine = {"account_id": gateway.account_id(), "challenge_id": "c1", "drifts": {}}
        with ground.store.write() as connection:
            mailbox = connection.execute(
                select(MailboxRow.id).where(MailboxRow.address == "support@acme.test")
            ).scalar()
            for one in (LEARNT, LEARNT_AT_GOOGLE):
                row = {"id": one.id, "mailbox_id": mailbox, "learnt_at": one.learnt_at, "value": dump(one)}
                connection.execute(insert(ForwarderRow).values(**mine, **row))
        await gateway.line.store_pool(gateway.line.directory.refresh)
        yield gateway


def hop(client: str, *, by: str = "mail.acme.test", hello: str = "mx.evil.test") -> str:
    return f"Received: from {hello} (unknown [{client}]) by {by} (Postfix) with ESMTPS id 4A; Mon, 02 Feb 2026 10:00:00 +0000"


EVIL_CLIENT = "127.66.0.1"
FROM_CAROL, FROM_ANN = "From: carol@customer.test", "From: ann@acme.test"


def srs(reverse_path: str) -> str:
    local, _, domain = reverse_path.partition("@")
    return f"<SRS0=hash=tt={domain}={local}@acme.test>"


def company(*head: str, path: str = "<x@evil.test>") -> Attack:
    return Attack(mail(*head), client=FORWARDER, hello="mail.acme.test", sender=path)


def google(*head: str, path: str = f"<{CAF}>") -> Attack:
    return Attack(mail(*head), client=GMAIL, hello="mail-lf1-f50.google.com", sender=path)


THROUGH = {
    "a colleague, his own reverse-path": company(hop(EVIL_CLIENT), FROM_ANN, path="<ann@acme.test>"),
    "a colleague, from the company's own address": company(hop(FORWARDER), FROM_ANN, path="<ann@acme.test>"),
    "a colleague, with SRS": company(hop(EVIL_CLIENT), FROM_ANN, path=srs("x@evil.test")),
    "a colleague, with SRS that says it was he": company(hop(FORWARDER), FROM_ANN, path=srs("ann@acme.test")),
    "a colleague, with the forwarder's word for it": company(
        "Authentication-Results: mail.acme.test; dmarc=pass header.from=acme.test", hop(EVIL_CLIENT), FROM_ANN),
    "a colleague, through Google": google(hop(FORWARDER, by="mx.google.com"), "Return-Path: <ann@acme.test>", FROM_ANN),
    "the bank, a forged field below the border": company(hop(EVIL_CLIENT), hop(BANK), FROM_BANK, path=srs("ceo@bank.test")),
    "the bank's address as HELO": company(hop(EVIL_CLIENT, hello=f"[{BANK}]"), FROM_BANK, path=srs("ceo@bank.test")),
    "the bank's address in a comment of HELO": company(
        hop(EVIL_CLIENT, hello=f"x (y [{BANK}])"), FROM_BANK, path=srs("ceo@bank.test")),
    "another way into the company": company(
        hop(EVIL_CLIENT, by="mx2.acme.test"), hop(BANK), FROM_BANK, path=srs("ceo@bank.test")),
    "forged results below the border": company(hop(EVIL_CLIENT), f"Authentication-Results: mail.acme.test; {PASSES}", FROM_BANK),
    "the attacker's reverse-path": company(hop(EVIL_CLIENT), FROM_BANK, path=srs("x@evil.test")),
    "an empty reverse-path": company(hop(EVIL_CLIENT, hello="bank.test"), FROM_BANK, path="<>"),
    "another user of Google's": google(
        "Return-Path: <ceo@bank.test>", hop(BANK, by="mx.google.com"), FROM_BANK,
        path="<evil+caf_=support=acme.gw.test@gmail.com>"),
    "a Return-Path below Google's border": google(
        "Return-Path: <x@evil.test>", hop(EVIL_CLIENT, by="mx.google.com"), "Return-Path: <ceo@bank.test>", FROM_BANK),
    "Carol, from the attacker's address": company(hop(EVIL_CLIENT), FROM_CAROL, path=srs("carol@customer.test")),
    "a neighbour of the forwarder's": replace(
        company(hop(BANK), FROM_BANK, path="<ceo@bank.test>"), client="127.0.5.77"),
    "a stranger with the forwarder's HELO": replace(
        company(hop(BANK), FROM_BANK, path=srs("ceo@bank.test")), client="127.66.0.2"),
    "a stranger with the literal of the forwarder's address": replace(
        company(hop(BANK), FROM_BANK, path=srs("ceo@bank.test")), client="127.66.0.3", hello=f"[{FORWARDER}]"),
    "the learnt Gmail form from elsewhere": replace(
        google("Return-Path: <ceo@bank.test>", hop(BANK, by="mx.google.com"), FROM_BANK), client="127.66.0.4"),
}  # fmt: skip


@pytest.mark.parametrize("what", THROUGH)
async def test_a_known_forwarder_lends_nobody_a_name(knowing: Gateway, what: str) -> None:
    attack = THROUGH[what]
    written = acknowledged(knowing)
    reply = await sent(knowing, attack.content, client=attack.client, hello=attack.hello, sender=attack.sender)
    if reply.code != 250:
        # refused, and only who is no forwarder hears so
        assert (reply.code, reply.enhanced, attack.client in (FORWARDER, GMAIL)) == (550, "5.7.26", False)
    else:
        auth = shown(knowing, reply)["auth"]
        assert auth["sender"] in ("unverified", "forged")
        assert (auth["level"], auth["by"]) == ("none", "")
    assert acknowledged(knowing) == written


TRUE = {
    "SRS, at the company's border": (company(hop(CUSTOMER), FROM_CAROL, path=srs("carol@customer.test")), "mail.acme.test"),
    "unchanged, at the company's border": (company(hop(BANK), FROM_BANK, path="<ceo@bank.test>"), "mail.acme.test"),
    "the forwarder's own results": (
        company("Authentication-Results: mail.acme.test; dmarc=pass header.from=bank.test", hop(EVIL_CLIENT), FROM_BANK),
        "mail.acme.test"),
    "Return-Path, at Google's border": (
        google("Return-Path: <ceo@bank.test>", hop(BANK, by="mx.google.com"), FROM_BANK), "google"),
}  # fmt: skip


@pytest.mark.parametrize("what", TRUE)
async def test_who_really_wrote_is_proven_at_the_border_and_no_agent_by_that(knowing: Gateway, what: str) -> None:
    attack, forwarder = TRUE[what]
    reply = await sent(knowing, attack.content, client=attack.client, hello=attack.hello, sender=attack.sender)
    auth = shown(knowing, reply)["auth"]
    assert (auth["sender"], auth["level"], auth["by"]) == ("verified", "via-forwarder", f"border-spf:{forwarder}")
    assert (auth["path"], auth["forwarder"]) == ("forwarder", forwarder)
