"""One SMTP connection and the mail transactions on it.

aiosmtplib makes the connection: TLS, STARTTLS with the buffer dropped, AUTH. The transaction's commands are put together
here: its `mail` and `rcpt` send addresses through `email.utils.parseaddr`, which reads `"a@b c"@d` as another address
(T59), and its `data` neither tells whether the final dot was sent nor leaves stray line ends to us.
"""

from __future__ import annotations

from asyncio import WriteTransport
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import aiosmtplib


class Stage(StrEnum):
    """How far an attempt came, in words for the delivery log."""

    CONNECTING = "while connecting"
    ENVELOPE = "before the message was sent"
    DOT_SENT = "after the message was sent"


@dataclass(slots=True)
class Progress:
    """How far it came, told also when the attempt ends by an exception."""

    stage: Stage = Stage.CONNECTING


class Refused(Exception):
    """The server answered something else than go on."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class NotOffered(Exception):
    """The server lacks an extension without which this mail cannot be sent (RFC 6152, RFC 6531)."""


@dataclass(frozen=True, slots=True)
class Mail:
    """What one transaction sends. `reverse_path` is empty for the null reverse-path; `content` is CR LF clean."""

    reverse_path: str
    recipient: str
    content: bytes

    @property
    def needs_smtputf8(self) -> bool:
        """RFC 6531 section 3.4: addresses or header fields beyond ASCII."""
        head = self.content.partition(b"\r\n\r\n")[0]
        return not (self.reverse_path.isascii() and self.recipient.isascii() and head.isascii())

    @property
    def stuffed(self) -> bytes:
        """With the transparency of RFC 5321 section 4.5.2 and the final dot."""
        dotted = b"." + self.content if self.content.startswith(b".") else self.content
        return dotted.replace(b"\r\n.", b"\r\n..") + b".\r\n"


class Session:
    """A connection that was greeted, encrypted and logged in as asked. `sent` counts its transactions."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._client = client
        self._begun = False
        self.sent = 0

    @classmethod
    async def open(cls, client: aiosmtplib.SMTP) -> Session:
        """Connect, and say EHLO (HELO to a server that knows no other). Raises Refused, SMTPException, OSError."""
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await _greet(client)
        except aiosmtplib.SMTPResponseException as error:
            client.close()
            raise Refused(error.code, error.message) from error
        except BaseException:
            client.close()
            raise
        return cls(client)

    @property
    def is_alive(self) -> bool:
        return self._client.is_connected

    async def transfer(self, mail: Mail, progress: Progress) -> aiosmtplib.SMTPResponse:
        """MAIL, RCPT, DATA and the content. Returns the reply to the final dot.

        Raises Refused where a reply does not let us go on, NotOffered, SMTPException and OSError.
        """
        progress.stage = Stage.ENVELOPE
        self.sent += 1
        if self._begun:
            await self._command(2, "RSET")
        parameters = self._parameters(mail)
        self._begun = True
        await self._command(2, f"MAIL FROM:<{mail.reverse_path}>{parameters}")
        await self._command(2, f"RCPT TO:<{mail.recipient}>")
        await self._command(3, "DATA")
        reply = await self._content(mail.stuffed, progress)
        self._begun = False
        if reply.code // 100 != 2:
            raise Refused(reply.code, reply.message)
        return reply

    def quit(self) -> None:
        """QUIT without waiting for the answer: nothing depends on it any more."""
        if self._client.is_connected:
            cast("WriteTransport", self._client.transport).write(b"QUIT\r\n")
        self._client.close()

    def abandon(self) -> None:
        """Close at once: the server may be in the middle of something."""
        self._client.close()

    def _parameters(self, mail: Mail) -> str:
        """SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), each only where the server offers it."""
        offers = self._client.supports_extension
        words = [f"SIZE={len(mail.content)}"] if offers("size") else []
        if not mail.content.isascii():
            if not offers("8bitmime"):
                raise NotOffered("not sent: the message is 8-bit and the relay does not offer 8BITMIME")
            words.append("BODY=8BITMIME")
        if mail.needs_smtputf8:
            if not offers("smtputf8"):
                raise NotOffered("not sent: an address is not ASCII and the relay does not offer SMTPUTF8")
            words.append("SMTPUTF8")
        return "".join(f" {word}" for word in words)

    async def _command(self, wanted: int, line: str) -> None:
        reply = await self._client.execute_command(line.encode("utf-8"))
        if reply.code // 100 != wanted:
            raise Refused(reply.code, reply.message)

    async def _content(self, stuffed: bytes, progress: Progress) -> aiosmtplib.SMTPResponse:
        """From `write` on the final dot is on its way: part of it may wait in our own buffer, but nobody can tell us."""
        protocol = self._client.protocol
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        protocol.write(stuffed)
        progress.stage = Stage.DOT_SENT
        return await protocol.read_response()


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo()
