"""Time and time-ordered identifiers."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


class _Entropy(threading.local):
    """Random octets for many ids from one system call: each such call lets go of the interpreter, and waits for it again."""

    octets = b""

    def take(self, number: int) -> bytes:
        if len(self.octets) < number:
            self.octets = os.urandom(1024)
        taken, self.octets = self.octets[:number], self.octets[number:]
        return taken


_entropy = _Entropy()


def new_id() -> str:
    """A UUIDv7 (RFC 9562 section 5.7) as 32 hex digits: ids sort by the millisecond they were made in."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= int.from_bytes(_entropy.take(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return f"{value:032x}"


def first_id_of(at: datetime) -> str:
    """No id of this millisecond or later sorts before it."""
    return f"{max(0, int(at.timestamp() * 1000)) & ((1 << 48) - 1):012x}"
