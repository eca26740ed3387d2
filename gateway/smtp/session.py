"""One connection: who may speak, what was said, when it ends. What the mail commands do is `transactions.py`.

aiosmtpd gives the protocol class and its life; its command loop is replaced: it ends commands at a bare LF, reads DATA
line by line, answers exceptions `500` with their text, and cancels the handler when a client leaves.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import NoReturn, cast

from aiosmtpd.smtp import SMTP

from gateway import log
from gateway.core.addresses import without_controls
from gateway.core.envelope import Client
from gateway.core.errors import StorageFull, Surroundings
from gateway.core.outcome import Reason
from gateway.smtp import replies
from gateway.smtp.commands import BadCommand
from gateway.smtp.edge import Edge, Listener
from gateway.smtp.goodbye import Goodbye
from gateway.smtp.other_protocols import HTTP_VERBS, is_other_protocol, is_undecided
from gateway.smtp.pace import Pace
from gateway.smtp.proxy_header import BadProxyHeader, read_proxy_header
from gateway.smtp.replies import Reply, reply_for
from gateway.smtp.transactions import Transactions
from gateway.smtp.wire import BareLineFeed, LineTooLong, SessionEnded, Wire

MAX_ERRORS = 20
MAX_JUNK = 100
"""Commands that bring no mail nearer, since the last message that was taken."""
GREET_PAUSE_SECONDS = 0.02
"""Programs that do not wait for the 220 have spoken by then; a mail server's session is longer by one round trip at most."""
PROXY_HEADER_SECONDS = 5.0
HANDSHAKE_SECONDS = 30.0
TLS_CLOSE_SECONDS = 2.0
"""So long a client may take to say goodbye within TLS (close_notify) too; asyncio would wait 30 seconds, and a stop with it."""
_JUNK = frozenset({b"NOOP", b"RSET", b"VRFY", b"HELP", b"EHLO", b"HELO", b"LHLO", b"MAIL"})


class GatewaySmtp(SMTP, asyncio.BufferedProtocol):
    """One session of SMTP, or of LMTP where its listener says so."""

    def __init__(self, edge: Edge, listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(object(), hostname=edge.hostname, loop=loop)
        self._edge = edge
        self._listener = listener
        self._wire = Wire(self.flush)
        self.pace = Pace(self._on_deadline)
        self._transactions = Transactions(self, edge, self._wire)
        self._out = bytearray()
        self._flow: asyncio.Transport | None = None
        self._peer: str | None = None
        self._admitted: str | None = None
        self.helo = ""
        self.tls: str | None = None
        self._errors = 0
        self._junk = 0
        self._leaving = False
        self._log = log.get("smtp")
        self._commands = self._verbs()

    def _verbs(self) -> dict[bytes, Callable[[str], Awaitable[None]]]:
        mail, hello = self._transactions, {b"EHLO": self._ehlo, b"HELO": self._hello}
        not_offered = (b"EXPN", b"AUTH", b"ETRN", b"TURN", b"SEND", b"SOML", b"SAML")
        return {
            **({b"LHLO": self._ehlo} if self._listener.lmtp else hello),
            b"MAIL": mail.mail, b"RCPT": mail.rcpt, b"DATA": mail.data, b"BDAT": mail.bdat, b"RSET": mail.rset,
            b"NOOP": self._noop, b"QUIT": self._quit, b"VRFY": self._vrfy, b"HELP": self._help,
            b"STARTTLS": self._starttls, **dict.fromkeys(not_offered, self._not_offered),
            **dict.fromkeys(HTTP_VERBS, self._wrong_protocol), b"PROXY": self._wrong_protocol,
        }  # fmt: skip

    # --- the library's hooks ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = self.session.peer if self.session else None
        self._peer = str(peer[0]).removeprefix("::ffff:") if isinstance(peer, tuple) else None
        self._begin_flow(cast("asyncio.Transport", transport))
        self._edge.joined(self)

    def _begin_flow(self, transport: asyncio.Transport) -> None:
        self._flow = transport
        self._wire.begin(transport)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """All sessions of the loop have one: what asyncio receives by itself takes 256 KiB for each."""
        return self._edge.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._wire.feed(self._edge.buffer[:nbytes].tobytes())

    def eof_received(self) -> bool | None:
        """A half-close is no reason to cancel: the client may still read the reply to its final dot. TLS has none."""
        self._wire.end()
        return not self.tls

    def connection_lost(self, error: Exception | None) -> None:
        self._wire.end(SessionEnded())
        super().connection_lost(error)
        self._give_back()

    def _give_back(self) -> None:
        """What the connection held: may be called twice."""
        self.pace.close()
        self._transactions.finish(Reason.CLIENT_GONE)
        if self._admitted:
            self._edge.clients.leave(self._admitted)
            self._admitted = None
        self._edge.left(self)

    def _reset_timeout(self, _duration: float | None = None) -> None:
        """The library's own timer closes without a word; ours is `pace`. It wants one to cancel, though."""
        if self._timeout_handle is None:
            self._timeout_handle = self.loop.call_later(0, _nothing)

    # --- who is it ---

    @property
    def client(self) -> Client | None:
        """None where no network address is known: on a unix socket a front server speaks for its clients."""
        return Client(self._peer, self.helo, self.tls) if self._peer else None

    @property
    def lmtp(self) -> bool:
        return self._listener.lmtp

    @property
    def has_greeted(self) -> bool:
        return bool(self.helo)

    @property
    def is_in_clear(self) -> bool:
        """Over a network and without TLS; a unix socket needs none."""
        return self.tls is None and not self._listener.local

    # --- its life ---

    @property
    def in_transaction(self) -> bool:
        """From MAIL until the reply to the final dot is out."""
        return self._transactions.is_open

    def leave(self) -> None:
        """Shut down: at once when idle, else when the begun transaction has ended. Waits for no client."""
        self._leaving = True
        self.pace.hurry()
        if not self.in_transaction and self.transport and not self.transport.is_closing():
            self._wire.end(Goodbye(reply_for(Reason.SHUTTING_DOWN)))
            if not self._wire.is_waiting:
                self._writer.write(bytes(self._out) + f"{reply_for(Reason.SHUTTING_DOWN)}\r\n".encode("ascii"))
                self.transport.close()

    def _on_deadline(self, reason: Reason) -> None:
        """The client was too slow. One that does not read its replies either is cut."""
        if self._wire.is_waiting:
            self._wire.end(Goodbye(reply_for(reason), reason))
        elif self._flow:
            self._flow.abort()

    async def _handle_client(self) -> None:
        try:
            await self._greet()
            while not self._leaving or self.in_transaction:
                await self._one_command()
            await self._part(Goodbye(reply_for(Reason.SHUTTING_DOWN)))
        except Goodbye as goodbye:
            await self._part(goodbye)
        except (SessionEnded, ConnectionError):
            self._transactions.finish(Reason.CLIENT_GONE)
        finally:
            if self.transport is not None:
                self.transport.close()

    async def _part(self, goodbye: Goodbye) -> None:
        told = self._transactions.finish(goodbye.reason)
        if goodbye.recorded and not told:
            self._transactions.record_session(goodbye)
        try:
            await self.say(goodbye.reply)
            await self.flush()
        except (SessionEnded, ConnectionError) as error:
            self._log.info("client left before our last reply", reply=str(goodbye.reply), error=repr(error))

    async def _greet(self) -> None:
        if self._peer and self._edge.is_proxy(self._peer):
            await self._read_proxy_header()
        if self._peer:
            self._admit(self._peer)
            await asyncio.sleep(GREET_PAUSE_SECONDS)
        if self._wire.has_pending:
            start = await self._wire.start(16)
            raise _refusal(Reason.WRONG_PROTOCOL if is_other_protocol(start) else Reason.EARLY_TALKER)
        await self._say_lines(f"220 {self.hostname} {'LMTP' if self.lmtp else 'ESMTP'}")
        start = await self._wire.start(16)
        if is_undecided(start):
            start = (await self._wire.grow())[:16]
        if is_other_protocol(start):
            raise _refusal(Reason.WRONG_PROTOCOL)

    def _admit(self, ip: str) -> None:
        if not self._edge.clients.enter(ip):
            raise _refusal(Reason.TOO_MANY_CONNECTIONS)
        self._admitted = ip

    async def _read_proxy_header(self) -> None:
        try:
            async with asyncio.timeout(PROXY_HEADER_SECONDS):
                octets = await self._wire.start(1 << 16)
                while (found := read_proxy_header(octets)) is None:
                    octets = await self._wire.grow()
        except (BadProxyHeader, TimeoutError) as error:
            self._log.warning("PROXY header", peer=self._peer, error=str(error) or "none came in time")
            raise _refusal(Reason.BAD_PROXY_HEADER) from None
        client, length = found
        self._wire.skip(length)
        if client:
            self._peer = client.ip

    async def _one_command(self) -> None:
        self.pace.heard()
        try:
            line = await self._wire.command()
        except LineTooLong as line_too_long:
            if line_too_long.verb == b"BDAT":  # its chunk follows, and would be read as commands
                raise Goodbye(Reply(500, "5.5.2", "line too long")) from None
            await self.error(Reply(500, "5.5.2", "line too long"))
            return
        except BareLineFeed:
            raise _refusal(Reason.BARE_LINE_FEED) from None
        verb, _, rest = line.strip(b" \t").replace(b"\t", b" ", 1).partition(b" ")
        verb = verb.upper()
        self._count_junk(verb)
        await self._obey(verb, line, rest.decode("utf-8", "surrogateescape").strip(" \t"))

    def _count_junk(self, verb: bytes) -> None:
        if verb in _JUNK:
            self._junk += 1
            if self._junk > MAX_JUNK:
                reply = reply_for(Reason.TOO_MANY_ERRORS, "too many commands without mail")
                raise Goodbye(reply, Reason.TOO_MANY_ERRORS, recorded=True)

    async def _obey(self, verb: bytes, line: bytes, argument: str) -> None:
        command = self._commands.get(verb)
        try:
            if (b"\0" in line or b"\r" in line) and verb != b"BDAT":  # which ends the session: content would follow
                await self.error(reply_for(Reason.BAD_SYNTAX))
            elif command is None:
                await self.error(reply_for(Reason.UNKNOWN_COMMAND))
            else:
                await command(argument)
        except BadCommand as bad:
            await self.error(reply_for(bad.reason, bad.text))
        except Surroundings as error:
            self._log.warning("command deferred", verb=verb.decode("ascii", "replace"), error=str(error))
            full = isinstance(error, StorageFull)
            await self.say(reply_for(Reason.STORAGE_FULL if full else Reason.STORE_UNAVAILABLE))
        except (SessionEnded, ConnectionError, Goodbye):
            raise
        except Exception as error:  # noqa: BLE001  the session's one broad except: a bug is never a 5xx, never told
            self._log.error("command failed", verb=verb.decode("ascii", "replace"), exc_info=error)
            if self._transactions.is_receiving:
                raise Goodbye(reply_for(Reason.INTERNAL)) from None
            await self.say(reply_for(Reason.INTERNAL))

    # --- replies ---

    async def say(self, reply: Reply) -> None:
        """Sent when the client is waited for next: a pipelined group is answered in one piece."""
        await self._say_lines(str(reply))

    async def _say_lines(self, *lines: str) -> None:
        if self.transport is None or self.transport.is_closing():
            raise SessionEnded
        for line in lines:
            self._out += line.encode("ascii") + b"\r\n"
        if not self._wire.has_pending or len(self._out) > 4096:
            await self.flush()

    async def flush(self) -> None:
        if self._out:
            self._writer.write(bytes(self._out))
            self._out.clear()
            await self._writer.drain()

    async def error(self, reply: Reply) -> None:
        """A reply to something the client should not have sent; too many of them end the session."""
        self._errors += 1
        if self._errors > MAX_ERRORS:
            raise _refusal(Reason.TOO_MANY_ERRORS)
        await self.say(reply)

    def took_a_message(self) -> None:
        """A busy forwarder may be wrong now and then: what is counted is counted anew."""
        self._junk = self._errors = 0

    def require_turn(self) -> None:
        """Nothing may have come behind a command whose reply decides how to go on (RFC 2920 section 3.1).

        Raises Goodbye.
        """
        if self._wire.has_pending:
            raise _refusal(Reason.EARLY_TALKER)

    # --- commands ---

    async def _ehlo(self, argument: str) -> None:
        if await self._greeted(argument):
            offers = ["PIPELINING", f"SIZE {self._edge.max_message_bytes}", "8BITMIME", "SMTPUTF8", "CHUNKING"]
            if self._edge.tls_context and self.is_in_clear:
                offers.append("STARTTLS")
            lines = [self.hostname, *offers, "ENHANCEDSTATUSCODES"]
            await self._say_lines(*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")

    async def _hello(self, argument: str) -> None:
        if await self._greeted(argument):
            await self._say_lines(f"250 {self.hostname}")

    async def _greeted(self, argument: str) -> bool:
        """EHLO and HELO also reset (RFC 5321 section 4.1.4)."""
        self.require_turn()
        name = without_controls(argument).strip()
        if not name or " " in name:
            verb = "LHLO" if self.lmtp else "EHLO"
            await self.error(reply_for(Reason.BAD_SYNTAX, f"say who you are: {verb} hostname"))
            return False
        self._transactions.finish()
        self.helo = name[:255]
        return True

    async def _starttls(self, argument: str) -> None:
        context = self._edge.tls_context
        if argument:
            await self.error(reply_for(Reason.BAD_SYNTAX))
        elif not self.is_in_clear:
            await self.error(reply_for(Reason.BAD_SEQUENCE))
        elif context is None:
            await self.error(reply_for(Reason.TLS_UNAVAILABLE))
        else:
            self.require_turn()
            self._transactions.finish()
            await self.say(replies.READY_FOR_TLS)
            await self._begin_tls(context)

    async def _begin_tls(self, context: ssl.SSLContext) -> None:
        """Whatever was said in clear is forgotten (RFC 3207 section 4.2)."""
        if self._flow is None:
            raise SessionEnded
        # before the handshake: a client's first command may come with the end of it, ahead of this coroutine
        self._wire.forget()
        try:
            upgraded = await self.loop.start_tls(
                self._flow, self, context, server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS, ssl_shutdown_timeout=TLS_CLOSE_SECONDS,
            )  # fmt: skip
        except (OSError, ssl.SSLError) as error:
            self._log.info("TLS handshake failed", error=str(error) or type(error).__name__)
            self._break_off(self._flow)
        if not isinstance(upgraded, asyncio.Transport):
            self._break_off(self._flow)  # the client left in the middle of the handshake
        self.transport = upgraded
        self._writer = asyncio.StreamWriter(upgraded, self, None, self.loop)
        self._begin_flow(upgraded)
        cipher = upgraded.get_extra_info("cipher") or ("", "", 0)
        self.tls, self.helo = f"{cipher[1]} {cipher[0]}".strip(), ""

    def _break_off(self, flow: asyncio.Transport) -> NoReturn:
        """Of a connection lost in its handshake asyncio tells the protocol nothing: `connection_lost` may never come."""
        flow.abort()
        self._give_back()
        raise SessionEnded

    async def _noop(self, _argument: str) -> None:
        await self.say(replies.OK)

    async def _quit(self, _argument: str) -> None:
        raise Goodbye(replies.BYE)

    async def _vrfy(self, _argument: str) -> None:
        await self.say(replies.CANNOT_VERIFY)

    async def _help(self, _argument: str) -> None:
        await self.say(replies.HELP)

    async def _not_offered(self, _argument: str) -> None:
        await self.error(reply_for(Reason.NOT_IMPLEMENTED))

    async def _wrong_protocol(self, _argument: str) -> None:
        raise _refusal(Reason.WRONG_PROTOCOL)


def _nothing() -> None:
    return


def _refusal(reason: Reason) -> Goodbye:
    """The end of a session that should not have begun: it goes on record though no transaction did."""
    return Goodbye(reply_for(reason), reason, recorded=True)
