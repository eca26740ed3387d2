"""The content of a message off the wire (RFC 5321 section 4.1.1.4): framing, transparency, and what we refuse in it.

aiosmtpd's own reader goes line by line (10 MB cost 0.6 s of the event loop) and refuses lines over 1,001 octets, which
real senders write. This one searches blocks for the only end there is: CRLF.CRLF.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.outcome import Reason
from gateway.smtp.wire import Wire

_END = b"\r\n.\r\n"
_NUL_DOT = re.compile(rb"(?<=[\r\n])(?:\x00+\.\x00*|\.\x00+)(?=[\r\n])")


@dataclass(frozen=True, slots=True)
class Received:
    """`content` without dot-stuffing, or the reason why it is not taken."""

    content: bytes
    refused: Reason | None = None


async def read_content(wire: Wire, max_bytes: int, on_block: Callable[[], None]) -> Received:
    """Read to CRLF.CRLF, always to its end so that the session stays in step. Raises SessionEnded.

    `on_block` is called for every block that came: progress resets the session's timer.
    """
    # the CRLF that ended the DATA command is the line before the first: `.` CRLF right behind it ends an empty message
    buffer = bytearray(b"\r\n")
    # doubled dots do not count (RFC 1870 section 3), and every third octet may be the dot of a line that had one
    longest = max_bytes + max_bytes // 3 + len(_END) + 2
    too_big = False
    while True:
        start = max(0, len(buffer) - len(_END) + 1)
        buffer += await wire.block()
        on_block()
        end = buffer.find(_END, start)
        if end >= 0:
            break
        if len(buffer) > longest or too_big:
            # keep only what the end may begin with; memory stays flat whatever the client sends
            too_big = True
            del buffer[: -len(_END)]
    wire.give_back(bytes(buffer[end + len(_END) :]))
    del buffer[end + 2 :]
    if too_big:
        return Received(b"", Reason.TOO_BIG)
    if _is_badly_framed(buffer):
        return Received(b"", Reason.BAD_FRAMING)
    content = _unstuffed(buffer)
    return Received(content) if len(content) <= max_bytes else Received(b"", Reason.TOO_BIG)


def _unstuffed(stuffed: bytearray) -> bytes:
    """Without doubled dots (RFC 5321 section 4.5.2) and the CRLF in front; empties `stuffed`: one copy is kept, not three."""
    begin = 3 if stuffed.startswith(b"\r\n.") else 2
    content = bytes(memoryview(stuffed)[begin:])
    stuffed.clear()
    return content.replace(b"\r\n.", b"\r\n")


def _is_badly_framed(stuffed: bytearray) -> bool:
    """A bare CR anywhere, a bare LF in the header block, or a dot line disguised by NUL: other servers may see two
    messages where we see one (SMTP smuggling). A bare LF in the body stays text.
    """
    crlf = stuffed.count(b"\r\n")
    if stuffed.count(b"\r") != crlf:
        return True
    if b"\0" in stuffed and _NUL_DOT.search(stuffed):
        return True
    if stuffed.count(b"\n") == crlf:
        return False
    end = stuffed.find(b"\r\n\r\n", 2)
    header = stuffed if end < 0 else stuffed[: end + 4]
    return header.count(b"\n") != header.count(b"\r\n")
