"""Submission over SMTP (RFC 5321, RFC 6409) by aiosmtplib, over connections that are kept for the next message."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from enum import StrEnum

import aiosmtplib

from gateway.core.addresses import without_controls
from gateway.core.notice import Delivery, DeliveryResult
from gateway.notify.smtp_session import Mail, NotOffered, Progress, Refused, Session, Stage

IDLE_SECONDS = 10.0
"""How long a connection waits for the next message. Relays give an idle client minutes; we need it for bursts."""
KEPT_CONNECTIONS = 8
MESSAGES_PER_CONNECTION = 100
_REPLY_CHARS = 500

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
        self, *, reverse_path: str | None, recipient: str, content: bytes, timeout_seconds: float
    ) -> Delivery:
        """One attempt. `uncertain` when its end is unknown after the final dot was handed to the network."""
        progress = Progress()
        try:
            async with asyncio.timeout(timeout_seconds):
                reply = await self._transfer(Mail(reverse_path or "", recipient, content), progress)
        except Refused as refusal:
            return self._refused(refusal, progress)
        except NotOffered as lack:
            return Delivery(DeliveryResult.FAILED, 0, str(lack), self.name)
        except TimeoutError:
            # First: it is an OSError too, and says nothing by itself.
            return self._broken(f"no answer within {timeout_seconds:g} s", progress)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return self._broken(str(error), progress)
        return Delivery(DeliveryResult.DELIVERED, reply.code, _washed(reply.message), self.name)

    async def probe(self, *, timeout_seconds: float) -> str:
        """Connects, with TLS and login as asked, says EHLO and leaves: empty when that went well, else why not."""
        try:
            async with asyncio.timeout(timeout_seconds):
                session = await Session.open(self._client())
        except Refused as refusal:
            return _washed(f"{refusal.code} {refusal.text}")
        except TimeoutError:
            return f"no answer within {timeout_seconds:g} s"
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return _washed(str(error))
        session.quit()
        await asyncio.sleep(0)  # lets the transport send its last word
        return ""

    async def close(self) -> None:
        """Say QUIT on every connection kept."""
        while self._kept:
            self._kept[0].end.cancel()
            self._kept.pop(0).session.quit()
        await asyncio.sleep(0)  # lets the transports send their last words

    async def _transfer(self, mail: Mail, progress: Progress) -> aiosmtplib.SMTPResponse:
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
            except (aiosmtplib.SMTPServerDisconnected, ConnectionError):
                if progress.stage is Stage.DOT_SENT:
                    raise
        progress.stage = Stage.CONNECTING
        return await self._over(await Session.open(self._client()), mail, progress)

    async def _over(self, session: Session, mail: Mail, progress: Progress) -> aiosmtplib.SMTPResponse:
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

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
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
        final = 500 <= refusal.code <= 599 and refusal.code not in _RELAYS_OWN_TROUBLE
        if final and progress.stage is not Stage.CONNECTING:
            return Delivery(DeliveryResult.FAILED, refusal.code, _washed(refusal.text), self.name)
        # After the dot only 4yz and 5yz say that it was not taken; anything else is no answer.
        uncertain = progress.stage is Stage.DOT_SENT and not 400 <= refusal.code <= 599
        return Delivery(DeliveryResult.RETRY, refusal.code, _washed(refusal.text), self.name, uncertain=uncertain)

    def _broken(self, words: str, progress: Progress) -> Delivery:
        """No reply. Before the final dot the relay cannot have taken the mail (RFC 5321 section 4.2.5)."""
        uncertain = progress.stage is Stage.DOT_SENT
        return Delivery(DeliveryResult.RETRY, 0, _washed(f"{progress.stage}: {words}"), self.name, uncertain=uncertain)


def _washed(reply: str) -> str:
    return without_controls(reply[: 2 * _REPLY_CHARS]).strip()[:_REPLY_CHARS]
