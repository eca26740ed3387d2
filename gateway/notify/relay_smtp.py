"""Submission over SMTP (RFC 5321, RFC 6409) by aiosmtplib, over connections that are kept for the next message."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import aiosmtplib

from gateway.core.addresses import without_controls
from gateway.core.notice import Delivery, DeliveryResult
from gateway.notify.connect import connected
from gateway.notify.patience import Patience
from gateway.notify.smtp_session import Mail, NotOffered, Progress, Refused, Session, Stage
from gateway.notify.wire import Reply

IDLE_SECONDS = 10.0
"""How long a connection waits for the next message. Relays give an idle client minutes; we need it for bursts."""
KEPT_CONNECTIONS = 16
MESSAGES_PER_CONNECTION = 100
_REPLY_CHARS = 500

T = TypeVar("T")

_RELAYS_OWN_TROUBLE = frozenset({421, 530, 534, 535, 538})
"""Replies that speak of the session and not of this mail: STARTTLS or AUTH wanted (RFC 3207, RFC 4954), going away."""


class Security(StrEnum):
    """What stands before `://`. STARTTLS is demanded, never hoped for: no TLS, no mail (T04)."""

    NONE = "smtp"
    STARTTLS = "smtp+starttls"
    TLS = "smtps"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A connection in waiting, and what will end its wait."""

    session: Session
    end: asyncio.TimerHandle


class SmtpRelay:
    """A relay that is spoken to in SMTP. Belongs to one event loop; give it back with `close`.

    `tls` is for relays whose certificate a private authority signed; by default the system's authorities count.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        security: Security,
        username: str | None = None,
        password: str | None = None,
        hostname: str = "localhost",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._username = username
        self._password = password
        self._hostname = hostname
        encrypted = security is not Security.NONE
        self._tls = tls or (ssl.create_default_context() if encrypted else None)
        self._kept: list[_Kept] = []

    def __repr__(self) -> str:
        return f"SmtpRelay({self.name})"

    @property
    def name(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self._security}://{host}:{self._port}"

    async def deliver(
        self, *, reverse_path: str | None, recipient: str, content: bytes, patience: Patience
    ) -> Delivery:
        """One attempt. `uncertain` when its end is unknown after the final dot was handed to the network."""
        progress = Progress(patience)
        reply = await self._ended(self._transfer(Mail(reverse_path or "", recipient, content), progress), progress)
        if isinstance(reply, Delivery):
            return reply
        return Delivery(DeliveryResult.DELIVERED, reply.code, _washed(reply.text), self.name)

    async def knock(self, patience: Patience) -> Delivery | None:
        """Connects, with TLS and login as asked, says EHLO and keeps the connection for the next message."""
        progress = Progress(patience)
        session = await self._ended(self._open(), progress)
        if isinstance(session, Delivery):
            return session
        self._keep(session)
        return None

    async def probe(self, *, timeout_seconds: float) -> str:
        """Knocks and leaves: empty when that went well, else why not."""
        wrong = await self.knock(Patience(timeout_seconds, timeout_seconds))
        await self.close()
        return "" if wrong is None else f"{wrong.code or ''} {wrong.reply}".strip()

    async def _ended(self, doing: Coroutine[Any, Any, T], progress: Progress) -> T | Delivery:
        """What it gave, or what its failure comes to."""
        try:
            async with progress.patience.watched():
                return await doing
        except Refused as refusal:
            return self._refused(refusal, progress)
        except NotOffered as lack:
            return Delivery(DeliveryResult.FAILED, 0, str(lack), self.name)
        except TimeoutError:
            # First: it is an OSError too, and says nothing by itself.
            return self._broken(f"no answer within {progress.patience.seconds:.3g} s", progress)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return self._broken(str(error), progress)

    async def close(self) -> None:
        """Say QUIT on every connection kept."""
        while self._kept:
            self._kept[0].end.cancel()
            self._kept.pop(0).session.quit()
        await asyncio.sleep(0)  # lets the transports send their last words

    async def _transfer(self, mail: Mail, progress: Progress) -> Reply:
        """Over a kept connection if there is one. That it has gone stale meanwhile is not this mail's misfortune: until
        the final dot nothing has happened, and a new connection may try.
        """
        session = self._take()
        if session is not None:
            try:
                return await self._over(session, mail, progress)
            except Refused as refusal:
                if refusal.code != 421 or progress.stage is Stage.DOT_SENT:
                    raise
            except ConnectionError:
                if progress.stage is Stage.DOT_SENT:
                    raise
        progress.stage = Stage.CONNECTING
        return await self._over(await self._open(), mail, progress)

    async def _over(self, session: Session, mail: Mail, progress: Progress) -> Reply:
        try:
            reply = await session.transfer(mail, progress)
        except (Refused, NotOffered):
            self._keep(session)
            raise
        except BaseException:
            # Cancelled too: what the server says from now on would be read as the answer to something else.
            session.abandon()
            raise
        self._keep(session)
        return reply

    async def _open(self) -> Session:
        return await Session.open(self._client(await connected(self._host, self._port)))

    def _client(self, sock: socket.socket) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            sock=sock,
            hostname=self._host,  # the name that the certificate must have
            username=self._username,
            password=self._password,
            local_hostname=self._hostname,
            timeout=None,  # the attempt as a whole has its limit
            use_tls=self._security is Security.TLS,
            start_tls=self._security is Security.STARTTLS,
            tls_context=self._tls,
        )

    def _take(self) -> Session | None:
        while self._kept:
            kept = self._kept.pop()
            kept.end.cancel()
            if kept.session.is_alive:
                return kept.session
        return None

    def _keep(self, session: Session) -> None:
        if len(self._kept) >= KEPT_CONNECTIONS or session.sent >= MESSAGES_PER_CONNECTION or not session.is_alive:
            session.quit()
            return
        end = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._expire, session)
        self._kept.append(_Kept(session, end))

    def _expire(self, session: Session) -> None:
        self._kept = [kept for kept in self._kept if kept.session is not session]
        session.quit()

    def _refused(self, refusal: Refused, progress: Progress) -> Delivery:
        """A 5yz to this mail is final. One to our connection or login is the relay's trouble or ours: it may be mended."""
        own = refusal.code in _RELAYS_OWN_TROUBLE or progress.stage is Stage.CONNECTING
        if 500 <= refusal.code <= 599 and not own:
            return Delivery(DeliveryResult.FAILED, refusal.code, _washed(refusal.text), self.name)
        # After the dot only 4yz and 5yz say that it was not taken; anything else is no answer.
        uncertain = progress.stage is Stage.DOT_SENT and not 400 <= refusal.code <= 599
        words = _washed(refusal.text)
        return Delivery(DeliveryResult.RETRY, refusal.code, words, self.name, uncertain=uncertain, of_the_relay=own)

    def _broken(self, words: str, progress: Progress) -> Delivery:
        """No reply. Before the final dot the relay cannot have taken the mail (RFC 5321 section 4.2.5)."""
        uncertain = progress.stage is Stage.DOT_SENT
        return Delivery(DeliveryResult.RETRY, 0, _washed(f"{progress.stage}: {words}"), self.name, uncertain=uncertain)


def _washed(reply: str) -> str:
    return without_controls(reply[: 2 * _REPLY_CHARS]).strip()[:_REPLY_CHARS]
