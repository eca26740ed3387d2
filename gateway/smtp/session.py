"""One SMTP session: commands in, an `Envelope` for the intake, replies out (RFC 5321 section 3).

aiosmtpd gives the transport, its timer and STARTTLS; its command loop is replaced: it ends commands at a bare LF, reads
DATA line by line, answers exceptions `500` with their text, and cancels the handler when a client leaves.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP

from gateway import log
from gateway.core.addresses import without_controls
from gateway.core.clock import now
from gateway.core.envelope import Client, Envelope
from gateway.core.errors import StorageFull, Surroundings
from gateway.core.outcome import Outcome, Reason
from gateway.core.tokens import new_trace_id
from gateway.core.trace import Step, TransactionRecord
from gateway.offload import INLINE_BYTES, Offload
from gateway.smtp import replies
from gateway.smtp.commands import BadCommand, read_mail, read_rcpt
from gateway.smtp.data import Received, read_content
from gateway.smtp.recipients import Recipient, Recipients
from gateway.smtp.replies import Reply, final_reply, reply_for
from gateway.smtp.wire import LineTooLong, SessionEnded, Wire
from gateway.store.directory import SYSTEM, AccountEntry
from gateway.store.filing import LogEntry

MAX_RECIPIENTS = 1000
"""RFC 5321 section 4.5.3.1.8 wants at least 100."""
MAX_ERRORS = 20
IDLE_SECONDS = 300.0


class Edge(Protocol):
    """What a session needs of its server."""

    hostname: str
    max_message_bytes: int
    recipients: Recipients
    cpu_pool: Offload

    async def take(self, envelope: Envelope) -> Outcome: ...

    def shielded(self, work: Coroutine[Any, Any, Outcome]) -> Awaitable[Outcome]: ...

    def record(self, entry: LogEntry) -> None: ...

    def joined(self, session: GatewaySmtp) -> None: ...

    def left(self, session: GatewaySmtp) -> None: ...


@dataclass(slots=True)
class OpenTransaction:
    """Between MAIL and the final dot: what has been said so far."""

    trace_id: str
    reverse_path: str | None
    smtputf8: bool
    account: AccountEntry | None = None
    recipients: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    last_refusal: Reply | None = None


class GatewaySmtp(SMTP):
    """One connection."""

    line_length_limit = 256 * 1024  # the stream's buffer, not a limit on lines: content is read in blocks

    def __init__(self, edge: Edge, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            object(),
            data_size_limit=edge.max_message_bytes,
            enable_SMTPUTF8=True,
            hostname=edge.hostname,
            ident="ESMTP",
            timeout=IDLE_SECONDS,
            loop=loop,
        )
        self._edge = edge
        self._open: OpenTransaction | None = None
        self._helo = ""
        self._errors = 0
        self._leaving = False
        self._busy = False
        self._log = log.get("smtp")
        self._commands: dict[bytes, Callable[[str], Awaitable[None]]] = {
            b"EHLO": self._ehlo, b"HELO": self._hello, b"MAIL": self._mail, b"RCPT": self._rcpt, b"DATA": self._data,
            b"RSET": self._rset, b"NOOP": self._noop, b"QUIT": self._quit, b"VRFY": self._vrfy, b"HELP": self._help,
            b"EXPN": self._not_offered, b"AUTH": self._not_offered, b"STARTTLS": self._not_offered,
            b"BDAT": self._not_offered, b"ETRN": self._not_offered, b"TURN": self._not_offered,
        }  # fmt: skip

    # --- the library's hooks ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._edge.joined(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._finish_transaction()
        self._edge.left(self)

    def eof_received(self) -> bool | None:
        """A half-close is no reason to cancel: the client may still read the reply to its final dot."""
        return asyncio.StreamReaderProtocol.eof_received(self)

    @property
    def in_transaction(self) -> bool:
        """From MAIL until the reply to the final dot is out."""
        return self._open is not None or self._busy

    def leave(self) -> None:
        """Shut down: at once when idle, else when the begun transaction has ended. Waits for no client."""
        self._leaving = True
        if not self.in_transaction and self.transport and not self.transport.is_closing():
            self._writer.write(f"{reply_for(Reason.SHUTTING_DOWN)}\r\n".encode("ascii"))
            self.transport.close()

    async def _handle_client(self) -> None:
        self._wire = Wire(self._reader)
        await self._say_line(f"220 {self.hostname} ESMTP")
        try:
            while self.transport is not None and not self.transport.is_closing():
                await self._one_command()
                if self._leaving and not self.in_transaction:
                    await self._say(reply_for(Reason.SHUTTING_DOWN))
                    break
        except (SessionEnded, ConnectionError):
            self._finish_transaction()
        finally:
            if self.transport is not None:
                self.transport.close()

    async def _one_command(self) -> None:
        try:
            line = await self._wire.command()
        except LineTooLong:
            await self._error(Reply(500, "5.5.2", "line too long"))
            return
        self._reset_timeout()
        if b"\0" in line:
            await self._error(reply_for(Reason.BAD_SYNTAX))
            return
        verb, _, rest = line.partition(b" ")
        command = self._commands.get(verb.strip().upper())
        try:
            if command is None:
                await self._error(reply_for(Reason.UNKNOWN_COMMAND))
                return
            await command(rest.decode("utf-8", "surrogateescape").strip(" \t"))
        except BadCommand as bad:
            await self._error(reply_for(bad.reason, bad.text))
        except Surroundings as error:
            self._log.warning("command deferred", verb=verb.decode("ascii", "replace"), error=str(error))
            full = isinstance(error, StorageFull)
            await self._say(reply_for(Reason.STORAGE_FULL if full else Reason.STORE_UNAVAILABLE))
        except (SessionEnded, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001  the session's one broad except: a bug is never a 5xx, never told
            self._log.error("command failed", verb=verb.decode("ascii", "replace"), exc_info=error)
            await self._say(reply_for(Reason.INTERNAL))

    # --- replies ---

    async def _say(self, reply: Reply) -> None:
        await self._say_line(str(reply))

    async def _say_line(self, line: str) -> None:
        if self.transport is None or self.transport.is_closing():
            raise SessionEnded
        self._writer.write(line.encode("ascii") + b"\r\n")
        await self._writer.drain()

    async def _error(self, reply: Reply) -> None:
        """A reply to something the client should not have sent; too many of them end the session."""
        self._errors += 1
        await self._say(reply)
        if self._errors >= MAX_ERRORS:
            await self._say(Reply(421, "4.7.0", "too many errors"))
            raise SessionEnded

    # --- commands ---

    async def _ehlo(self, argument: str) -> None:
        if await self._greeted(argument):
            lines = [self.hostname, "PIPELINING", f"SIZE {self._edge.max_message_bytes}", "8BITMIME", "SMTPUTF8"]
            for line in lines:
                await self._say_line(f"250-{line}")
            await self._say_line("250 ENHANCEDSTATUSCODES")

    async def _hello(self, argument: str) -> None:
        if await self._greeted(argument):
            await self._say_line(f"250 {self.hostname}")

    async def _greeted(self, argument: str) -> bool:
        """EHLO and HELO also reset (RFC 5321 section 4.1.4)."""
        name = without_controls(argument).strip()
        if not name or " " in name:
            await self._error(reply_for(Reason.BAD_SYNTAX, "say who you are: EHLO hostname"))
            return False
        self._finish_transaction()
        self._helo = name[:255]
        return True

    async def _mail(self, argument: str) -> None:
        if not self._helo or self._open:
            await self._error(reply_for(Reason.BAD_SEQUENCE, "" if self._helo else "send EHLO first"))
            return
        self._open = OpenTransaction(new_trace_id(), None, smtputf8=False)
        try:
            mail = read_mail(argument)
        except BadCommand as bad:
            if bad.reason not in (Reason.BAD_SENDER, Reason.SMTPUTF8_NEEDED):
                self._open = None
                raise
            self._open.reverse_path = without_controls(argument)[:300]
            await self._refuse_transaction(bad.reason, bad.text)
            return
        self._open.reverse_path, self._open.smtputf8 = mail.reverse_path, mail.smtputf8
        if mail.size_bytes > self._edge.max_message_bytes:
            await self._refuse_transaction(Reason.TOO_BIG, f"at most {self._edge.max_message_bytes} octets are taken")
            return
        await self._say(replies.SENDER_OK)

    async def _refuse_transaction(self, reason: Reason, text: str = "") -> None:
        if self._open is None:
            raise AssertionError("no transaction to refuse")
        reply = reply_for(reason, text)
        self._open.refused.append(("", reason.value))
        self._open.last_refusal = reply
        self._finish_transaction()
        await self._error(reply)

    async def _rcpt(self, argument: str) -> None:
        transaction = self._open
        if transaction is None:
            await self._error(reply_for(Reason.BAD_SEQUENCE, "send MAIL first"))
            return
        try:
            path = read_rcpt(argument, smtputf8=transaction.smtputf8)
        except BadCommand as bad:
            if bad.reason is Reason.BAD_SYNTAX or bad.reason is Reason.BAD_PARAMETER:
                raise
            await self._refuse_recipient(transaction, without_controls(argument)[:300], bad.reason)
            return
        judged = await self._edge.recipients.judge(path)
        if isinstance(judged, Reason):
            await self._refuse_recipient(transaction, without_controls(path), judged)
        elif transaction.account and transaction.account.id != judged.account.id:
            await self._refuse_recipient(transaction, judged.address, Reason.SECOND_ACCOUNT)
        elif len(transaction.recipients) >= MAX_RECIPIENTS:
            await self._refuse_recipient(transaction, judged.address, Reason.TOO_MANY_RECIPIENTS)
        else:
            await self._take_recipient(transaction, judged)

    async def _take_recipient(self, transaction: OpenTransaction, recipient: Recipient) -> None:
        transaction.account = recipient.account
        if recipient.address not in transaction.recipients:
            transaction.recipients.append(recipient.address)
        await self._say(replies.RECIPIENT_OK)

    async def _refuse_recipient(self, transaction: OpenTransaction, address: str, reason: Reason) -> None:
        reply = reply_for(reason)
        transaction.refused.append((address, reason.value))
        transaction.last_refusal = reply
        if reply.code < 500:
            await self._say(reply)
        else:
            await self._error(reply)

    async def _data(self, argument: str) -> None:
        transaction = self._open
        if argument:
            await self._error(reply_for(Reason.BAD_SYNTAX))
            return
        if transaction is None or not transaction.recipients or transaction.account is None:
            await self._error(reply_for(Reason.BAD_SEQUENCE, "no valid recipients" if transaction else ""))
            return
        self._open, self._busy = None, True
        try:
            received = await self._content(transaction)
            if received.refused:
                reply = reply_for(received.refused, trace_id=transaction.trace_id)
                self._record(transaction, "refused", received.refused, reply)
                await self._error(reply)
            else:
                await self._hand_over(transaction, transaction.account, received.content)
        finally:
            self._busy = False

    async def _content(self, transaction: OpenTransaction) -> Received:
        try:
            await self._say(replies.START_INPUT)
            return await read_content(self._wire, self._edge.max_message_bytes, self._reset_timeout)
        except (SessionEnded, ConnectionError, asyncio.CancelledError):
            # a client that closes ends the stream; one that resets the connection has this task cancelled
            self._record(transaction, "deferred", Reason.CLIENT_GONE, reply_for(Reason.CLIENT_GONE))
            raise

    async def _hand_over(self, transaction: OpenTransaction, account: AccountEntry, content: bytes) -> None:
        """The line runs as a task of its own: a client that leaves now cancels nothing that has begun."""
        self._hold_timer()
        outcome = await self._edge.shielded(self._take(transaction, account, content))
        self._reset_timeout()
        await self._say(final_reply(outcome, transaction.trace_id))

    async def _take(self, transaction: OpenTransaction, account: AccountEntry, content: bytes) -> Outcome:
        return await self._edge.take(await self._envelope(transaction, account, content))

    async def _envelope(self, transaction: OpenTransaction, account: AccountEntry, content: bytes) -> Envelope:
        large = len(content) > INLINE_BYTES
        digest = await self._edge.cpu_pool(hashlib.sha256, content) if large else hashlib.sha256(content)
        return Envelope(
            trace_id=transaction.trace_id,
            account=account.name,
            source="smtp",
            received_at=now(),
            client=self._client(),
            reverse_path=transaction.reverse_path,
            recipients=tuple(transaction.recipients),
            smtputf8=transaction.smtputf8,
            content=content,
            sha256=digest.hexdigest(),
            refused=tuple(transaction.refused),
        )

    def _hold_timer(self) -> None:
        """While the line works its own deadlines hold; the idle timer would cut a slow scan."""
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()

    def _client(self) -> Client:
        peer = self.session.peer if self.session else None
        ip = str(peer[0]) if isinstance(peer, tuple) else "127.0.0.1"
        return Client(ip.removeprefix("::ffff:"), self._helo)

    async def _rset(self, _argument: str) -> None:
        self._finish_transaction()
        await self._say(replies.RESET)

    async def _noop(self, _argument: str) -> None:
        await self._say(replies.OK)

    async def _quit(self, _argument: str) -> None:
        self._finish_transaction()
        await self._say(replies.BYE)
        raise SessionEnded

    async def _vrfy(self, _argument: str) -> None:
        await self._say(replies.CANNOT_VERIFY)

    async def _help(self, _argument: str) -> None:
        await self._say(replies.HELP)

    async def _not_offered(self, _argument: str) -> None:
        await self._error(reply_for(Reason.NOT_IMPLEMENTED))

    # --- the delivery log of transactions that never reached the line ---

    def _finish_transaction(self) -> None:
        """RSET, QUIT, EHLO or a lost connection ends what was begun; what was refused in it goes on record."""
        transaction, self._open = self._open, None
        if transaction is None or transaction.last_refusal is None:
            return
        reason = Reason(transaction.refused[-1][1])
        outcome = "deferred" if transaction.last_refusal.code < 500 else "refused"
        self._record(transaction, outcome, reason, transaction.last_refusal)

    def _record(self, transaction: OpenTransaction, outcome: str, reason: Reason, reply: Reply) -> None:
        client = self._client()
        at = now()
        record = TransactionRecord(
            trace_id=transaction.trace_id,
            account=transaction.account.name if transaction.account else SYSTEM,
            at=at,
            outcome=outcome,
            reason=reason.value,
            client_ip=client.ip,
            helo=client.helo,
            tls=client.tls,
            reverse_path=transaction.reverse_path,
            recipients=(*transaction.recipients, *(r for r, _ in transaction.refused if r)),
            reply=str(reply),
        )
        detail = {"refused_recipients": [{"recipient": r, "reason": why} for r, why in transaction.refused if r]}
        self._edge.record(LogEntry(record, (Step(at, "receive", outcome, reason.value, detail),)))
