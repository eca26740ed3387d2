"""What a session needs of its server: the port between one connection and everything all connections share."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gateway.core.envelope import Envelope
from gateway.core.outcome import Outcome
from gateway.smtp.clients import Clients
from gateway.smtp.content import Spool
from gateway.smtp.recipients import Recipients
from gateway.store.filing import LogEntry

if TYPE_CHECKING:
    from gateway.smtp.session import GatewaySmtp


@dataclass(frozen=True, slots=True)
class Listener:
    """`local`: a unix socket, whose peer has no network address. `lmtp`: RFC 2033 is spoken on it."""

    local: bool = False
    lmtp: bool = False


class Edge(Protocol):
    """The server as its sessions see it."""

    hostname: str
    max_message_bytes: int
    require_tls: bool
    recipients: Recipients
    clients: Clients
    spool: Spool
    buffer: memoryview

    @property
    def tls_context(self) -> ssl.SSLContext | None: ...

    def is_proxy(self, ip: str) -> bool: ...

    async def take(self, envelope: Envelope) -> Outcome: ...

    def shielded(self, work: Coroutine[Any, Any, Outcome]) -> Awaitable[Outcome]: ...

    def record(self, entry: LogEntry) -> None: ...

    def joined(self, session: GatewaySmtp) -> None: ...

    def left(self, session: GatewaySmtp) -> None: ...
