"""A challenge, and what servers make of it on its way back; read by the real parser."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from functools import lru_cache

from shapes import DictResolver, domain_zone, envelope, place, rsa_key, sign

from gateway.core.envelope import Client
from gateway.core.forwarder import Challenge, Lesson
from gateway.parse.message import parse
from gateway.verify.learning import learn
from gateway.verify.verifier import Verifier

INBOUND = "support@acme.gw.test"
RELAY = "127.0.7.7"
TEXT = "This message checks how mail to support@acme.test is forwarded.\r\n"
SENT = datetime(2026, 11, 21, 12, tzinfo=UTC)


@lru_cache
def sent_content() -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = "Check <challenge@gw.test>"
    message["To"] = "support@acme.test"
    message["Subject"] = "Forwarding check K7Q2"
    message["Date"] = "Sat, 21 Nov 2026 12:00:00 +0000"
    message["Message-ID"] = "<check.k7q2@acme.gw.test>"
    message.set_content(TEXT)
    message.add_attachment("attached\r\n", filename="check.txt")
    return sign(message.as_bytes(), "gw.test", key=rsa_key(), signed="from:to:subject:date:message-id")


CHALLENGE = Challenge(
    id="c1",
    token="k7q2",
    mailbox_id="m1",
    mailbox="support@acme.test",
    author="challenge@gw.test",
    reverse_path="challenge+k7q2@acme.gw.test",
    subject="Forwarding check K7Q2",
    message_id="check.k7q2@acme.gw.test",
    body_digest=parse(sent_content()).body_digest,
    sent_at=SENT,
)

BY_COMPANY = Client("127.0.5.1", "mail.acme.test")
RELAYED = (
    b"Received: from relay.gw.test (relay.gw.test [127.0.7.7]) by mail.acme.test (Postfix) with ESMTPS id 4A; x\r\n"
    b"Received: from gateway (gw.test [127.0.7.1]) by relay.gw.test (Postfix) with ESMTPS id 3B; x\r\n"
)
ZONE = {
    **domain_zone("gw.test", RELAY),
    **domain_zone("acme.test", "127.0.5.1"),
    ("1.5.0.127.in-addr.arpa", "PTR"): ["mail.acme.test"],
    ("mail.acme.test", "A"): ["127.0.5.1"],
    ("41.220.85.209.in-addr.arpa", "PTR"): ["mail-sor-f41.google.com"],
    ("mail-sor-f41.google.com", "A"): ["209.85.220.41"],
    ("gmail.com", "TXT"): ["v=spf1 redirect=_spf.google.com"],
    ("_spf.google.com", "TXT"): ["v=spf1 ip4:209.85.128.0/17 ~all"],
    ("tenant.onmicrosoft.com", "TXT"): ["v=spf1 include:spf.protection.outlook.com -all"],
    ("spf.protection.outlook.com", "TXT"): ["v=spf1 ip4:40.92.0.0/15 ip4:40.107.0.0/16 -all"],
}


async def returned(
    content: bytes | None = None,
    *,
    client: Client | None = BY_COMPANY,
    reverse_path: str | None = CHALLENGE.reverse_path,
    **how: object,
) -> Lesson:
    """What is learnt of a challenge that came back with `content`."""
    content = RELAYED + sent_content() if content is None else content

    async def offload(function, *args):
        return function(*args)

    sent = envelope(content, reverse_path=reverse_path, client=client)
    message = parse(content)
    auth = await Verifier(DictResolver(ZONE), 5.0, offload).verify(sent, message, place("support@acme.test"))
    how.setdefault("relay_addresses", {RELAY})
    how.setdefault("sent_text", TEXT)
    how.setdefault("hostname", "gateway")
    return learn(CHALLENGE, sent, message, auth, forwarder_id="f1", **how)
