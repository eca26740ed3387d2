"""A company whose server is known, one whose mailbox Google forwards, one at Microsoft; and mail through them."""

from __future__ import annotations

from dataclasses import replace

from shapes import NOON, DictResolver, domain_zone, envelope, mail, place

from gateway.core.envelope import Client
from gateway.core.forwarder import Form, Forwarder
from gateway.core.place import Place
from gateway.core.reports import AuthReport
from gateway.parse.message import parse
from gateway.verify.verifier import Verifier

CUSTOMER, BANK, EVIL = "127.0.9.1", "127.0.9.2", "127.0.66.1"
COMPANY = Client("127.0.5.1", "mail.acme.test")
NEIGHBOUR = Client("127.0.5.66", "mail.acme.test")
SECOND = Client("127.0.5.2", "out2.acme.test")
GOOGLE = Client("127.0.3.1", "mail-sor-f41.google.com")
MICROSOFT = Client("127.0.4.1", "eur05.outbound.protection.outlook.com")
STRANGER = Client(EVIL, "mail.acme.test")

OWN = Forwarder(
    id="f1",
    name="mail.acme.test",
    networks=("127.0.5.0/24",),
    provider="",
    spf_domain="acme.test",
    form=Form.UNCHANGED,
    reverse_path="",
    border="mail.acme.test",
    arc_sealer="",
    dkim_domain="",
    adds=(),
    keeps_author=True,
    keeps_subject=True,
    keeps_message_id=True,
    keeps_body=True,
    learnt_at=NOON,
    address="127.0.5.1",
)
SRS = replace(OWN, id="f2", form=Form.SRS0, reverse_path="@acme.test")
CAF = "acme.help+caf_=support=acme.gw.test@gmail.com"
GMAIL = replace(
    OWN,
    id="f3",
    name="google",
    networks=("127.0.3.0/25",),
    provider="google",
    spf_domain="gmail.com",
    form=Form.GMAIL_CAF,
    reverse_path=CAF,
    border="mx.google.com",
    address="127.0.3.1",
    trail=("~mail-*.google.com", "~*"),
    keeps_return_path=True,
)
TENANT = replace(
    OWN,
    id="f4",
    name="microsoft",
    networks=("127.0.4.0/24",),
    provider="microsoft",
    spf_domain="acme.onmicrosoft.com",
    form=Form.MICROSOFT_SRS,
    reverse_path="bounces+srs=*@acme.onmicrosoft.com",
    border="*.mail.protection.outlook.com",
    address="127.0.4.1",
    trail=("*.prod.outlook.com",),
)

ZONE = {
    **domain_zone("customer.test", CUSTOMER, policy="reject"),
    **domain_zone("bank.test", BANK, policy="reject"),
    **domain_zone("acme.test", "127.0.5.1", "127.0.5.2"),
    **domain_zone("evil.test", EVIL, policy=""),
    **domain_zone("other.test", "127.0.8.1", policy=""),
    ("gmail.com", "TXT"): ["v=spf1 redirect=_spf.google.com"],
    ("_spf.google.com", "TXT"): ["v=spf1 ip4:127.0.3.0/24 ~all"],
    ("acme.onmicrosoft.com", "TXT"): ["v=spf1 include:spf.protection.outlook.com -all"],
    ("evil.onmicrosoft.com", "TXT"): ["v=spf1 include:spf.protection.outlook.com -all"],
    ("spf.protection.outlook.com", "TXT"): ["v=spf1 ip4:127.0.4.0/24 -all"],
}


def at(*forwarders: Forwarder, mailbox: str = "support@acme.test") -> Place:
    where = place(mailbox)
    return replace(where, mailboxes=(replace(where.mailbox, forwarders=forwarders),))


def hop(client: str, by: str = "mail.acme.test", helo: str = "mx.sender.test", name: str = "unknown") -> str:
    """As Postfix writes it."""
    return f"Received: from {helo} ({name} [{client}]) by {by} (Postfix) with ESMTPS id 4A; Sat, 21 Nov 2026 12:00:00 +0000"


def gmails(client: str, return_path: str = "carol@customer.test") -> list[str]:
    return [
        "Received: by mail-lf1-f50.google.com with SMTP id 2; x",
        "X-Forwarded-To: support@acme.gw.test",
        "X-Forwarded-For: acme.help@gmail.com support@acme.gw.test",
        "Received: by 2002:a05:6a20:1234:b0:1 with SMTP id x20csp; x",
        f"Return-Path: <{return_path}>",
        f"Received: from mx.sender.test (mx.sender.test. [{client}]) by mx.google.com with ESMTPS id d20si; x",
    ]


def microsofts(client: str, helo: str = "mx.sender.test") -> list[str]:
    server = "with Microsoft SMTP Server id 15.20.1"
    inside, outside = "eurprd08.prod.outlook.com", "mail.protection.outlook.com"
    return [
        f"Received: from AM9PR08MB1.{inside} (2603:10a6:20b:1::1) by DB8PR08MB9.{inside} (2603:10a6:10:1::2) {server}; x",
        f"Received: from {helo} ({client}) by DB5EUR03FT99.{outside} (10.152.1.1) {server} via Frontend Transport; x",
    ]


def with_fields(fields: list[str], content: bytes | None = None, author: str = "carol@customer.test") -> bytes:
    """A message with these fields on top."""
    return "".join(f"{field}\r\n" for field in fields).encode() + (content or mail(author))


async def report(
    content: bytes,
    client: Client | None,
    reverse_path: str | None,
    where: Place,
    *,
    broken: tuple[str, ...] = (),
    more: dict | None = None,
    sealers: tuple[str, ...] = ("google.com", "microsoft.com"),
) -> AuthReport:
    async def offload(function, *args):
        return function(*args)

    verifier = Verifier(DictResolver(ZONE | (more or {}), set(broken)), 5.0, offload, sealers)
    return await verifier.verify(envelope(content, reverse_path=reverse_path, client=client), parse(content), where)
