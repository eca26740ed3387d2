"""rspamd's opinion of a message (`POST /checkv2`), as facts: what becomes of spam, the policy says (`accept.spam`, `spam`).

It judges no viruses and keeps no message back: where it is away, slow or talks nonsense, that is the fact `rspamd.state`.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any

from gateway import log
from gateway.core.addresses import without_controls
from gateway.core.ports import Mail, Resolver, Scanner, ScannerResult
from gateway.resolver import DnsResolver
from gateway.scan.scanners import _client_name
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.scan.scanners._checkv2 import Conversation

NAME = "rspamd"
RECIPIENTS = 50
"""How many are told: enough for its rules, and its header has a limit."""
SYMBOLS = 20
NAME_SECONDS = 2.0
"""For the client's name. Without one it gives the client some points, but an opinion without it is better than none."""

_NONSENSE = (ValueError, OverflowError, RecursionError)

_log = log.get("scan")


class Rspamd:
    """A `Scanner` that gives facts. The timeout covers everything, the look-up of the client's name too."""

    name = NAME
    judges = False

    def __init__(self, conversation: Conversation, timeout_seconds: float, resolver: Resolver) -> None:
        self._conversation = conversation
        self._timeout_seconds = timeout_seconds
        self._resolver = resolver

    async def scan(self, content: bytes, mail: Mail) -> ScannerResult:
        """Raises TimeoutError and OSError."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                said = await self._conversation.check(content, await self._fields(mail))
            return ScannerResult(None, facts=facts_of(said))
        except _NONSENSE as error:
            _log.warning("rspamd talks nonsense", error=str(error)[:200])
            return ScannerResult(None, facts=((f"{NAME}.state", "protocol"),))

    async def version(self) -> str:
        """Raises OSError, TimeoutError, and ValueError where it is no rspamd that answers."""
        async with asyncio.timeout(self._timeout_seconds):
            return await self._conversation.version()

    async def close(self) -> None:
        await self._conversation.close()

    async def _fields(self, mail: Mail) -> list[tuple[bytes, bytes]]:
        """What it wants to know of the transaction (rspamd's protocol, "HTTP headers")."""
        fields = [("Queue-Id", mail.trace_id)] if mail.trace_id else []
        if mail.client:
            fields += [("IP", mail.client.ip), ("Helo", mail.client.helo)]
            if name := await self._client_name(mail.client.ip):
                fields.append(("Hostname", name))
        if mail.recipients:
            fields.append(("From", mail.reverse_path or "<>"))
            fields += [("Rcpt", recipient) for recipient in mail.recipients[:RECIPIENTS]]
        return [(n.encode(), without_controls(v).strip().encode("utf-8", "replace")) for n, v in fields if v]

    async def _client_name(self, ip: str) -> str:
        try:
            async with asyncio.timeout(min(NAME_SECONDS, self._timeout_seconds / 2)):
                return await _client_name.confirmed(ip, self._resolver)
        except TimeoutError:
            return ""


def facts_of(said: bytes) -> tuple[tuple[str, float | str], ...]:
    """Score, required score, action and symbols of its JSON. Raises ValueError where they are not there, OverflowError and
    RecursionError for JSON that is meant to hurt.
    """
    reply = json.loads(said)
    action = reply.get("action") if isinstance(reply, dict) else None
    if not isinstance(action, str):
        raise ValueError(  # noqa: TRY004 - a wrong value of theirs, no wrong type of ours
            f"no verdict: {said[:80]!r}"
        )
    return (
        (f"{NAME}.score", _number(reply.get("score"))),
        (f"{NAME}.required", _number(reply.get("required_score"))),
        (f"{NAME}.action", _word(action)),
        (f"{NAME}.symbols", _symbols(reply.get("symbols"))),
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(float(value)):
        raise ValueError(f"no score: {str(value)[:40]!r}")
    return round(float(value), 2)


def _symbols(value: Any) -> str:
    """`GTUBE 15, MISSING_MID 2.5`: those that weigh most, first."""
    found = value if isinstance(value, dict) else {}
    scores = {name: _number(s.get("score", 0)) for name, s in found.items() if isinstance(s, dict)}
    heaviest = sorted(scores, key=lambda name: (-abs(scores[name]), name))[:SYMBOLS]
    return ", ".join(f"{_word(name)} {scores[name]:g}" for name in heaviest)


def _word(value: str) -> str:
    return without_controls(value[:60]).encode("ascii", "replace").decode()


class _Found:
    name = NAME

    def make(self, settings: Settings) -> Scanner | None:
        if not settings.rspamd.url:
            return None
        from gateway.scan.scanners._checkv2 import Conversation

        dns, rspamd = settings.dns, settings.rspamd
        resolver = DnsResolver(dns.nameservers or None, dns.port, dns.timeout_seconds, dns.zone_file)
        conversation = Conversation(rspamd.url, rspamd.password, rspamd.timeout_seconds)
        return Rspamd(conversation, rspamd.timeout_seconds, resolver)


SCANNER: Any = _Found()
