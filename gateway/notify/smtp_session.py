"""One SMTP connection and the mail transactions on it.

aiosmtplib makes the connection: TLS, STARTTLS with the buffer dropped, AUTH. The transaction goes over a wire of our own:
the library's `mail` and `rcpt` send addresses through `email.utils.parseaddr`, which reads `"a@b c"@d` as another address
(T59), its `data` neither tells whether the final dot was sent nor leaves stray line ends to us, and it knows no
PIPELINING: three commands sent as one save two round trips of four.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import aiosmtplib

from gateway.notify import wire
from gateway.notify.patience import Patience
from gateway.notify.wire import Reply, Wire

_EXTENSIONS = ("pipelining", "size", "8bitmime", "smtputf8")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class Stage(StrEnum):
    """How far an attempt came, in words for the delivery log."""

    CONNECTING = "while connecting"
    ENVELOPE = "before the message was sent"
    DOT_SENT = "after the message was sent"


@dataclass(slots=True)
class Progress:
    """How far it came, told also when the attempt ends by an exception."""

    patience: Patience
    stage: Stage = Stage.CONNECTING

    def content_sent(self) -> None:
        self.stage = Stage.DOT_SENT
        self.patience.content_sent()


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

    def __init__(self, over: Wire, offers: frozenset[str]) -> None:
        self._wire = over
        self._offers = offers
        self._begun = False
        self._at_its_end = False
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
        if client.transport is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        return cls(wire.over(client.transport), frozenset(e for e in _EXTENSIONS if client.supports_extension(e)))

    @property
    def is_alive(self) -> bool:
        return self._wire.is_quiet and not self._at_its_end

    async def transfer(self, mail: Mail, progress: Progress) -> Reply:
        """MAIL, RCPT, DATA and the content. Returns the reply to the final dot.

        Raises Refused where a reply does not let us go on, NotOffered, BadReply and OSError.
        """
        progress.stage = Stage.ENVELOPE
        self.sent += 1
        parameters = self._parameters(mail)
        commands = [
            (2, f"MAIL FROM:<{mail.reverse_path}>{parameters}"),
            (2, f"RCPT TO:<{mail.recipient}>"),
            (3, "DATA"),
        ]
        if self._begun:
            commands.insert(0, (2, "RSET"))
        self._begun = True
        if "pipelining" in self._offers:
            await self._together(commands)
        else:
            for command in commands:
                await self._together([command])
        # from here the final dot is on its way: part of it may wait in our own buffer, but nobody can tell us
        self._wire.write(mail.stuffed)
        progress.content_sent()
        reply = await self._wire.reply()
        self._begun = False
        self._at_its_end = reply.code == 421
        if reply.code // 100 != 2:
            raise Refused(reply.code, reply.text)
        return reply

    def quit(self) -> None:
        """QUIT without waiting for the answer: nothing depends on it any more."""
        if self.is_alive:
            self._wire.write(b"QUIT\r\n")
        self._wire.close()

    def abandon(self) -> None:
        """Close at once: the server may be in the middle of something."""
        self._wire.abort()

    def _parameters(self, mail: Mail) -> str:
        """SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), each only where the server offers it."""
        words = [f"SIZE={len(mail.content)}"] if "size" in self._offers else []
        if not mail.content.isascii():
            if "8bitmime" not in self._offers:
                raise NotOffered("not sent: the message is 8-bit and the relay does not offer 8BITMIME")
            words.append("BODY=8BITMIME")
        if mail.needs_smtputf8:
            if "smtputf8" not in self._offers:
                raise NotOffered("not sent: an address is not ASCII and the relay does not offer SMTPUTF8")
            words.append("SMTPUTF8")
        return "".join(f" {word}" for word in words)

    async def _together(self, commands: Sequence[tuple[int, str]]) -> None:
        """Commands in one piece, each with the first digit of the reply that lets us go on. Raises Refused with the first
        other one, when all have been read: the replies to the rest belong to this mail too.
        """
        if any(_CONTROLS.search(line) for _, line in commands):
            raise ValueError("a command with control characters")
        self._wire.write("".join(f"{line}\r\n" for _, line in commands).encode("utf-8"))
        refusal: Reply | None = None
        for wanted, line in commands:
            reply = await self._wire.reply()
            if refusal is None and reply.code // 100 != wanted:
                refusal = reply
            # after 421 no more comes; and a 354 behind a refusal asks for content that must not be sent (RFC 2920, 3.1)
            if reply.code == 421 or (refusal and line == "DATA" and reply.code // 100 == 3):
                self._at_its_end = True
                break
        if refusal:
            raise Refused(refusal.code, refusal.text)


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo()
