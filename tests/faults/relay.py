"""The relay our notifications go to, which can be told to misbehave; and what it has taken."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.servers.ports import free_port


@dataclass(frozen=True)
class Taken:
    """A notification at its final dot, whatever was answered to it."""

    recipient: str
    content: bytes
    reply: str

    @property
    def message_id(self) -> str:
        return str(BytesHeaderParser().parsebytes(self.content)["Message-ID"])

    @property
    def unsigned(self) -> bytes:
        """Without its first field, the DKIM-Signature, which every attempt makes anew."""
        lines = self.content.split(b"\r\n")
        assert lines[0].startswith(b"DKIM-Signature:"), lines[0]
        end = next(i for i, line in enumerate(lines[1:], 1) if line[:1] not in (b" ", b"\t"))
        return b"\r\n".join(lines[end:])


TAKE = "250 2.0.0 taken"
CUT = "cut"
HANG = "hang"


class Relay:
    """`answer` gives the reply at the final dot for a recipient: a reply line, CUT (reset after the dot) or HANG.

    `times_taken` counts by Message-ID what was answered 250, or perhaps was; `taken_otherwise` names what came again with
    other bytes. `seen` has everything, unless `remembers` is false.
    """

    def __init__(self, *, remembers: bool = True) -> None:
        self._remembers = remembers
        self.times_taken: Counter[str] = Counter()
        self.taken_otherwise: list[str] = []
        self._digests: dict[str, bytes] = {}
        self.port = free_port()
        self.answer: Callable[[str], str] = lambda _recipient: TAKE
        self.seen: list[Taken] = []
        self._released = threading.Event()
        self._controller: _Controller | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def taken(self) -> list[Taken]:
        """What was answered 250, or perhaps was: the cut ones count."""
        return [t for t in self.seen if t.reply in (TAKE, CUT)]

    def to(self, recipient: str) -> list[Taken]:
        return [t for t in self.seen if t.recipient == recipient]

    def start(self) -> None:
        self._released.clear()
        self._controller = _Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self) -> None:
        """Connections are refused from now on."""
        self._released.set()
        if self._controller:
            self._controller.stop()
            self._controller = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _see(self, taken: Taken) -> None:
        if self._remembers:
            self.seen.append(taken)
        if taken.reply not in (TAKE, CUT):
            return
        name, digest = taken.message_id.strip("<>"), hashlib.sha256(taken.unsigned).digest()
        self.times_taken[name] += 1
        if self._digests.setdefault(name, digest) != digest:
            self.taken_otherwise.append(name)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        recipient, content = envelope.rcpt_tos[0], envelope.content
        assert isinstance(content, bytes)
        reply = self.answer(recipient)
        self._see(Taken(recipient, content, reply))
        if reply == HANG:
            await asyncio.to_thread(self._released.wait)
            return "421 4.3.2 too late"
        if reply == CUT:
            assert server.transport
            server.transport.abort()
            return "250 never heard"
        return reply


class _Controller(Controller):
    def factory(self) -> SMTP:
        options: dict[str, Any] = {"enable_SMTPUTF8": True}
        return SMTP(self.handler, hostname="relay.test", **options)
