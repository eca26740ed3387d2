"""The mail of a session: MAIL, RCPT, DATA, BDAT, RSET (RFC 5321 section 3.3, RFC 3030, RFC 2033), an `Envelope` for the
intake, and a record of every transaction that never came so far.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from gateway import log
from gateway.core.addresses import without_controls
from gateway.core.clock import now
from gateway.core.envelope import Client, Envelope
from gateway.core.errors import StorageFull
from gateway.core.outcome import Accepted, Deferred, Outcome, Parked, Reason
from gateway.core.tokens import new_trace_id
from gateway.smtp import replies
from gateway.smtp.commands import BadCommand, path_as_written, read_bdat, read_mail, read_rcpt
from gateway.smtp.content import Incoming
from gateway.smtp.data import Chunked, Dotted
from gateway.smtp.edge import Edge
from gateway.smtp.goodbye import Goodbye
from gateway.smtp.open_transaction import OpenTransaction, outcome_of
from gateway.smtp.pace import Pace
from gateway.smtp.recipients import Recipient
from gateway.smtp.replies import Reply, final_reply, reply_for
from gateway.smtp.wire import SessionEnded, Wire

MAX_RECIPIENTS = 1000
"""RFC 5321 section 4.5.3.1.8 wants at least 100."""
SLOW_AFTER, ENOUGH_AFTER = 10, 20
"""Unknown recipients of a session: beyond the first number replies come slowly, beyond the second 421 (T27)."""
SLOW_AFTER_OF_NETWORK = 50
"""Those that a client network named lately in all its sessions: a new connection does not begin anew."""
HARVEST_PAUSE_SECONDS = 1.0


class Speaker(Protocol):
    """The session, as its transactions see it."""

    pace: Pace

    @property
    def client(self) -> Client | None: ...

    @property
    def has_greeted(self) -> bool: ...

    @property
    def is_in_clear(self) -> bool: ...

    @property
    def lmtp(self) -> bool: ...

    async def say(self, reply: Reply) -> None: ...

    async def error(self, reply: Reply) -> None: ...

    async def flush(self) -> None: ...

    def require_turn(self) -> None: ...

    def took_a_message(self) -> None: ...


class Transactions:
    """One at a time, each for one account."""

    def __init__(self, session: Speaker, edge: Edge, wire: Wire) -> None:
        self._session = session
        self._edge = edge
        self._wire = wire
        self._open: OpenTransaction | None = None
        self._busy = False
        self._bad_recipients = 0
        self.is_receiving = False
        """Content is being read. A session cannot go on behind what broke there: the rest would be read as commands."""
        self._log = log.get("smtp")

    @property
    def is_open(self) -> bool:
        """From MAIL until the reply to the content is out."""
        return self._open is not None or self._busy

    # --- MAIL ---

    async def mail(self, argument: str) -> None:
        if not self._session.has_greeted or self._open:
            text = "" if self._session.has_greeted else f"send {'LHLO' if self._session.lmtp else 'EHLO'} first"
            await self._session.error(reply_for(Reason.BAD_SEQUENCE, text))
            return
        if self._edge.require_tls and self._session.is_in_clear:
            reply = reply_for(Reason.TLS_REQUIRED)
            self._record(OpenTransaction(new_trace_id()), "refused", Reason.TLS_REQUIRED, reply)
            await self._session.error(reply)
            return
        self._open = OpenTransaction(new_trace_id())
        refusal = self._read_mail(self._open, argument)
        if refusal:
            await self._refuse_transaction(self._open, refusal)
        else:
            await self._session.say(replies.SENDER_OK)

    def _read_mail(self, transaction: OpenTransaction, argument: str) -> BadCommand | None:
        """Raises BadCommand for what is no MAIL at all: then no transaction was begun."""
        try:
            mail = read_mail(argument)
        except BadCommand as bad:
            if bad.reason not in (Reason.BAD_SENDER, Reason.SMTPUTF8_NEEDED):
                self._open = None
                raise
            transaction.reverse_path = path_as_written(argument)
            return bad
        transaction.reverse_path, transaction.smtputf8 = mail.reverse_path, mail.smtputf8
        if mail.size_bytes > self._edge.max_message_bytes:
            return BadCommand(Reason.TOO_BIG, f"at most {self._edge.max_message_bytes} octets are taken")
        client = self._session.client
        if client and not self._edge.clients.takes_from(client.ip):
            return BadCommand(Reason.OVER_CLIENT_RATE)
        return None

    async def _refuse_transaction(self, transaction: OpenTransaction, bad: BadCommand) -> None:
        reply = reply_for(bad.reason, bad.text)
        transaction.refuse("", bad.reason, reply)
        self.finish()
        await self._tell_refusal(reply)

    async def _tell_refusal(self, reply: Reply) -> None:
        """A refusal that passes is no error of the client's."""
        await (self._session.say(reply) if reply.code < 500 else self._session.error(reply))

    # --- RCPT ---

    async def rcpt(self, argument: str) -> None:
        transaction = self._open
        if transaction is None or transaction.incoming:
            await self._session.error(reply_for(Reason.BAD_SEQUENCE, "" if transaction else "send MAIL first"))
            return
        try:
            path = read_rcpt(argument, smtputf8=transaction.smtputf8)
        except BadCommand as bad:
            if bad.reason is Reason.BAD_SYNTAX or bad.reason is Reason.BAD_PARAMETER:
                raise
            await self._refuse_recipient(transaction, path_as_written(argument), bad.reason)
            return
        judged = await self._judge(transaction, path)
        if isinstance(judged, Reason):
            await self._refuse_recipient(transaction, without_controls(path), judged)
        else:
            await self._take_recipient(transaction, judged)

    async def _judge(self, transaction: OpenTransaction, path: str) -> Recipient | Reason:
        judged = await self._edge.recipients.judge(path)
        if isinstance(judged, Reason):
            return judged
        if transaction.account and transaction.account.id != judged.account.id:
            return Reason.SECOND_ACCOUNT
        if transaction.taken >= MAX_RECIPIENTS:
            return Reason.TOO_MANY_RECIPIENTS
        if not transaction.account and not self._edge.clients.takes_for(judged.account.id):
            return Reason.OVER_ACCOUNT_RATE
        return judged

    async def _take_recipient(self, transaction: OpenTransaction, recipient: Recipient) -> None:
        transaction.account = recipient.account
        transaction.taken += 1
        if recipient.address not in transaction.recipients:
            transaction.recipients.append(recipient.address)
        await self._session.say(replies.RECIPIENT_OK)

    async def _refuse_recipient(self, transaction: OpenTransaction, address: str, reason: Reason) -> None:
        reply = reply_for(reason)
        transaction.refuse(address, reason, reply)
        if reply.code >= 500:
            await self._slow_down(transaction)
        await self._tell_refusal(reply)

    async def _slow_down(self, transaction: OpenTransaction) -> None:
        """Whoever tries names gets few answers, and late (T27)."""
        client = self._session.client
        if client is None:
            return
        self._bad_recipients += 1
        lately = self._edge.clients.bad_recipient(client.ip)
        if self._bad_recipients > ENOUGH_AFTER:
            reply = reply_for(Reason.HARVESTING)
            transaction.refuse("", Reason.HARVESTING, reply)
            raise Goodbye(reply, Reason.HARVESTING)
        if self._bad_recipients > SLOW_AFTER or lately > SLOW_AFTER_OF_NETWORK:
            await asyncio.sleep(HARVEST_PAUSE_SECONDS)

    # --- DATA ---

    async def data(self, argument: str) -> None:
        transaction = self._open
        if argument:
            raise BadCommand(Reason.BAD_SYNTAX)
        # content that came already was sent without waiting for the 354: a smuggler's way, or one who ignores replies
        self._session.require_turn()
        if transaction is None or not transaction.taken or transaction.incoming:
            without = transaction is not None and not transaction.taken
            await self._session.error(reply_for(Reason.BAD_SEQUENCE, "no valid recipients" if without else ""))
            return
        with self._at_work():
            incoming = self._incoming(transaction)
            with self._receiving(transaction):
                await self._session.say(replies.START_INPUT)
                await self._read_dotted(Dotted(transaction.framing), incoming)
            await self._end_of_content(transaction, incoming)

    async def _read_dotted(self, dotted: Dotted, incoming: Incoming) -> None:
        while dotted.rest is None:
            block = await self._wire.block()
            self._session.pace.heard_content(len(block))
            await incoming.add(dotted.feed(block))
        self._wire.give_back(dotted.rest)

    # --- BDAT (RFC 3030 section 2) ---

    async def bdat(self, argument: str) -> None:
        try:
            size, last = read_bdat(argument)
        except BadCommand as bad:
            # where the chunk ends nobody knows now, so the next command cannot be told from content
            raise Goodbye(reply_for(bad.reason, bad.text)) from None
        transaction = self._open
        if transaction is None or not transaction.taken:
            await self._skip(size)
            await self._session.error(reply_for(Reason.BAD_SEQUENCE, "no valid recipients" if transaction else ""))
            return
        with self._at_work():
            incoming = self._incoming(transaction)
            with self._receiving(transaction):
                transaction.chunks = transaction.chunks or Chunked(transaction.framing)
                await self._read_chunk(transaction.chunks, incoming, size, last=last)
            if last or incoming.is_too_big or transaction.framing.is_bad:
                await self._end_of_content(transaction, incoming, last=last)
            else:
                self._open = transaction
                await self._session.say(Reply(250, "2.0.0", f"{size} octets received"))

    async def _read_chunk(self, chunks: Chunked, incoming: Incoming, size: int, *, last: bool) -> None:
        while size:
            block = await self._wire.block(size)
            self._session.pace.heard_content(len(block))
            size -= len(block)
            await incoming.add(chunks.feed(block, last=last and not size))
        if last:
            await incoming.add(chunks.feed(b"", last=True))

    async def _skip(self, size: int) -> None:
        """A chunk is read even where nothing is done with it (RFC 3030 section 2)."""
        self._session.pace.begin_content()
        while size:
            block = await self._wire.block(size)
            self._session.pace.heard_content(len(block))
            size -= len(block)
        self._session.pace.end_content()

    # --- content that comes ---

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """The transaction is this command's alone: whatever ends the session meanwhile does not end it twice."""
        self._open, self._busy = None, True
        try:
            yield
        finally:
            self._busy = False

    def _incoming(self, transaction: OpenTransaction) -> Incoming:
        if transaction.incoming is None:
            transaction.incoming = self._edge.spool.incoming(self._edge.max_message_bytes)
        return transaction.incoming

    @contextmanager
    def _receiving(self, transaction: OpenTransaction) -> Iterator[None]:
        """Content is read to its end, or the session is over: what is left of it must never be read as commands."""
        self.is_receiving, broken = True, Reason.INTERNAL
        self._session.pace.begin_content()
        try:
            yield
            self.is_receiving = False
        except (SessionEnded, ConnectionError, asyncio.CancelledError):
            # a client that closes ends the stream; one that resets the connection has this task cancelled
            broken = Reason.CLIENT_GONE
            raise
        except Goodbye as goodbye:
            broken = goodbye.reason or Reason.CLIENT_GONE
            raise
        finally:
            if self.is_receiving:
                self._broken_off(transaction, broken)
        self._session.pace.end_content()

    def _broken_off(self, transaction: OpenTransaction, reason: Reason) -> None:
        if transaction.incoming:
            transaction.incoming.close()
        self._record(transaction, "deferred", reason, reply_for(reason))

    # --- content that is there ---

    async def _end_of_content(self, transaction: OpenTransaction, incoming: Incoming, *, last: bool = True) -> None:
        """The reply to the final dot, or to a chunk; LMTP wants the last one for every recipient (RFC 2033 section 4.2)."""
        times = transaction.taken if self._session.lmtp and last else 1
        refused = _fault_of(transaction, incoming)
        if refused:
            incoming.close()
            reply = reply_for(refused, trace_id=transaction.trace_id)
            self._record(transaction, "refused", refused, reply)
        else:
            reply = final_reply(await self._hand_over(transaction, incoming), transaction.trace_id)
        for _ in range(times):
            await self._session.say(reply)

    async def _hand_over(self, transaction: OpenTransaction, incoming: Incoming) -> Outcome:
        """The line runs as a task of its own: a client that leaves now cancels nothing that has begun."""
        await self._session.flush()
        with self._session.pace.held():
            outcome = await self._edge.shielded(self._take(transaction, incoming))
        if isinstance(outcome, Accepted | Parked):
            self._session.took_a_message()
        return outcome

    async def _take(self, transaction: OpenTransaction, incoming: Incoming) -> Outcome:
        try:
            async with incoming.whole() as content:
                return await self._edge.take(self._envelope(transaction, content, incoming.sha256))
        except StorageFull as error:
            self._log.warning("message deferred", trace=transaction.trace_id, stage="receive", error=str(error))
            self._record(transaction, "deferred", Reason.STORAGE_FULL, reply_for(Reason.STORAGE_FULL))
            return Deferred(Reason.STORAGE_FULL)
        finally:
            incoming.close()

    def _envelope(self, transaction: OpenTransaction, content: bytes, sha256: str) -> Envelope:
        if transaction.account is None:
            raise AssertionError("content is taken for nobody")
        return Envelope(
            trace_id=transaction.trace_id,
            account=transaction.account.name,
            source="lmtp" if self._session.lmtp else "smtp",
            received_at=now(),
            client=self._session.client,
            reverse_path=transaction.reverse_path,
            recipients=tuple(transaction.recipients),
            smtputf8=transaction.smtputf8,
            content=content,
            sha256=sha256,
            refused=tuple(transaction.refused),
        )

    # --- the end of what was begun, and the record of what never reached the line ---

    async def rset(self, _argument: str) -> None:
        self.finish()
        await self._session.say(replies.RESET)

    def finish(self, reason: Reason | None = None) -> bool:
        """RSET, QUIT, EHLO, STARTTLS or the end of the session ends what was begun; what was refused in it goes on
        record, and so does content that was broken off for `reason`. Who gives chunks up on purpose lost nothing.
        True when there was something to record.
        """
        transaction, self._open = self._open, None
        if transaction is None:
            return False
        if transaction.incoming and reason:
            self._broken_off(transaction, reason)
            return True
        if transaction.incoming:
            transaction.incoming.close()
        if transaction.last_refusal:
            last, reply = transaction.last_refusal
            self._record(transaction, outcome_of(reply), last, reply)
        elif reason and reason is not Reason.CLIENT_GONE:
            # the session ends for what was done in this transaction: its log line says to whom and by whom
            self._record(transaction, outcome_of(reply_for(reason)), reason, reply_for(reason))
        return transaction.last_refusal is not None or (reason is not None and reason is not Reason.CLIENT_GONE)

    def record_session(self, goodbye: Goodbye) -> None:
        """A session that ended before any transaction, for a reason worth a line."""
        reason = goodbye.reason or Reason.BAD_SYNTAX
        self._record(OpenTransaction(new_trace_id()), outcome_of(goodbye.reply), reason, goodbye.reply)

    def _record(self, transaction: OpenTransaction, outcome: str, reason: Reason, reply: Reply) -> None:
        self._edge.record(transaction.entry(self._session.client, outcome, reason, reply))


def _fault_of(transaction: OpenTransaction, incoming: Incoming) -> Reason | None:
    """Why content is refused unread, if it is."""
    if incoming.is_too_big:
        return Reason.TOO_BIG
    return Reason.BAD_FRAMING if transaction.framing.is_bad else None
