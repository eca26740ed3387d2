"""A company's mail server for tests: it takes what our relay brings, and forwards it as its manner says."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Envelope as SmtpEnvelope

from tests.servers.inprocess import Client, Reply

INBOUND = "support@acme.gw.test"
MAILBOX = "support@acme.test"
HOST = "mail.acme.test"
FORWARDER, GMAIL, EXCHANGE, STRANGER = "127.0.5.1", "127.0.8.1", "127.0.5.2", "127.66.0.1"
RECEIVED = (
    b"Received: from relay.gw.test (relay.gw.test [192.0.2.25])\r\n\tby mail.acme.test (Postfix) with ESMTPS id 4AB;"
    b" Mon, 02 Feb 2026 10:00:01 +0000\r\n"
)


@dataclass(frozen=True)
class Sent:
    """What a server hands to the gateway, and from where."""

    content: bytes
    reverse_path: str | None
    client: str = FORWARDER
    helo: str = HOST
    recipient: str = INBOUND


Manner = Callable[[bytes, str], Sent | None]
"""What becomes of a message and its reverse-path; None: it stays where it is."""


@dataclass
class Company:
    """Forwards to the gateway at `gateway_port`; `taken` is all it was brought, `replies` what the gateway said."""

    manner: Manner
    gateway_port: int = 0
    port: int = 0
    taken: list[tuple[bytes, str]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: SmtpEnvelope) -> str:  # noqa: N802  # aiosmtpd's name
        content, reverse_path = bytes(envelope.content or b""), str(envelope.mail_from or "")
        self.taken.append((content, reverse_path))
        self.came.set()
        if sent := self.manner(content, reverse_path):
            task = asyncio.create_task(self._forward(sent))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return "250 2.0.0 taken"

    async def _forward(self, sent: Sent) -> None:
        self.replies.append(await hand_over(self.gateway_port, sent))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Company]:
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(self, hostname=HOST, loop=loop), sock=listening)
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()
            if self._tasks:
                await asyncio.wait(self._tasks)


async def hand_over(port: int, sent: Sent) -> Reply:
    """One transaction from the address that `sent` names."""
    client = Client(*await asyncio.open_connection("127.0.0.1", port, local_addr=(sent.client, 0)))
    try:
        assert (await client.reply()).code == 220
        assert (await client.say(f"EHLO {sent.helo}")).code == 250
        return await client.mail(sent.content, sent.recipient, sender=f"<{sent.reverse_path or ''}>")
    finally:
        await client.close()


# --- manners ---


def unchanged(content: bytes, reverse_path: str) -> Sent:
    """An alias, or a .forward file."""
    return Sent(RECEIVED + content, reverse_path)


def srs(content: bytes, reverse_path: str) -> Sent:
    local, _, domain = reverse_path.rpartition("@")
    return Sent(RECEIVED + content, f"SRS0=aB3d=7Q={domain}={local}@acme.test")


def gmail(content: bytes, _reverse_path: str) -> Sent:
    received = (
        b"Received: by 2002:a17:906:1 with SMTP id k1csp1; Mon, 2 Feb 2026 02:00:01 -0800 (PST)\r\n"
        b"X-Forwarded-To: support@acme.gw.test\r\nX-Forwarded-For: support@acme.test support@acme.gw.test\r\n"
        b"Delivered-To: support@acme.test\r\n"
        b"Received: from relay.gw.test (relay.gw.test. [192.0.2.25])\r\n        by mx.google.com with ESMTPS id a1\r\n"
        b"        for <support@acme.test>; Mon, 02 Feb 2026 02:00:00 -0800 (PST)\r\n"
    )
    caf = "support+caf_=support=acme.gw.test@acme.test"
    return Sent(received + content, caf, GMAIL, "mail-sor-f41.google.com")


def exchange_forward(content: bytes, _reverse_path: str) -> Sent:
    """A new message of the mailbox's user, with the text of the old one."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["To"], message["Subject"] = MAILBOX, INBOUND, f"FW: {subject(content)}"
    message["Message-ID"] = "<AM0PR01@AM0PR01.eurprd01.prod.exchangelabs.com>"
    message["Date"] = "Mon, 02 Feb 2026 10:00:02 +0000"
    message["Thread-Index"] = "AQHZ"
    message["X-MS-Exchange-Inbox-Rules-Loop"] = MAILBOX
    message.set_content(f"________________________________\nFrom: Forwarding check\n\n{text(content)}\n")
    return Sent(RECEIVED + message.as_bytes(), MAILBOX)


def rewritten_author(content: bytes, _reverse_path: str) -> Sent:
    changed = re.sub(
        rb"(?m)^From: .*\r\n", b'From: "Forwarding check via Support" <support@acme.test>\r\n', content, count=1
    )
    fields = b"List-Id: <support.acme.test>\r\nPrecedence: list\r\nX-Original-From: Forwarding check <postmaster@gw.test>\r\n"
    return Sent(RECEIVED + fields + changed, "support-bounces@acme.test")


def broken_signature(content: bytes, reverse_path: str) -> Sent:
    """What re-folds and re-encodes."""
    return Sent(RECEIVED + content.replace(b"quoted-printable", b"Quoted-Printable"), reverse_path)


def changed_subject(content: bytes, reverse_path: str) -> Sent:
    return Sent(RECEIVED + content.replace(b"Subject: ", b"Subject: [EXTERN] ", 1), reverse_path)


def without_file(content: bytes, reverse_path: str) -> Sent:
    """A filter that takes attachments off."""
    attached = rb"(--=_[0-9a-f]+)\r\n(?:Content-(?:Type|Transfer-Encoding): [^\r]+\r\n)+Content-Disposition: attachment"
    start = re.search(attached, content)
    if start is None:
        raise AssertionError("the challenge has no attachment")
    mark = start.group(1)
    head, rest = content[: start.start()], content[start.end() :]
    return Sent(RECEIVED + head + rest[rest.index(mark) :], reverse_path)


def bounce(status: str, words: str) -> Manner:
    """The mailbox's provider takes the message, and refuses to pass it on."""

    def report(content: bytes, reverse_path: str) -> Sent:
        lines = [
            "From: Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@acme.test>",
            f"To: {reverse_path}", f"Subject: Undeliverable: {subject(content)}", "Auto-Submitted: auto-replied",
            "MIME-Version: 1.0", 'Content-Type: multipart/report; report-type=delivery-status; boundary="b"', "",
            "--b", "Content-Type: text/plain", "", f"Your message couldn't be delivered. Remote server returned {words}", "",
            "--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns;AM0PR01.eurprd01.prod.outlook.com", "",
            f"Final-Recipient: rfc822;{INBOUND}", "Action: failed", f"Status: {status}",
            f"Diagnostic-Code: smtp;{words}", "",
            "--b", "Content-Type: message/rfc822", "", *text_lines(content), "--b--", "",
        ]  # fmt: skip
        return Sent("\r\n".join(lines).encode(), None, EXCHANGE, "outlook.acme.test", recipient=reverse_path)

    return report


def stays(_content: bytes, _reverse_path: str) -> None:
    """Nobody has set up the forwarding."""


def loop(content: bytes, reverse_path: str) -> Sent:
    """It was at the gateway before, and again."""
    ours = b"Received: from mail.acme.test (mail.acme.test [192.0.2.9]) by mx.gw.test with ESMTP; Mon, 02 Feb 2026 10:00:00 +0000\r\n"
    return Sent(2 * (RECEIVED + ours) + content, reverse_path)


# --- what a challenge holds ---


def subject(content: bytes) -> str:
    return str(message_from_bytes(content, policy=policy.SMTP)["Subject"])


def text(content: bytes) -> str:
    message = message_from_bytes(content, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain",))
    assert body
    return str(body.get_content())


def text_lines(content: bytes) -> list[str]:
    return content.decode("ascii").split("\r\n")
