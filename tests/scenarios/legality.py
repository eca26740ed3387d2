"""What every octet of ours must be, whatever was sent: legal replies (RFC 5321 section 4.2, RFC 2034 section 4)."""

from __future__ import annotations

import re

_LINE = re.compile(r"([2-5][0-5]\d)([ -])([\x20-\x7e]*)")
_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3} ")
_LEAKS = re.compile(r"Traceback|Exception|\w+Error\b|\bline \d+\b|\.py\b")
LINE_OCTETS = 512
"""RFC 5321 section 4.5.3.1.5, CRLF included."""


class IllegalReply(AssertionError):
    """What came is no SMTP reply; the text says why and shows it."""


def replies_of(stream: bytes) -> list[tuple[str, ...]]:
    """The replies in all that a server said, each as its lines. Raises IllegalReply."""
    lines = stream.split(b"\r\n")
    if lines.pop():
        raise IllegalReply(f"no CRLF at the end: {stream[-200:]!r}")
    replies: list[tuple[str, ...]] = []
    reply: list[str] = []
    for line in lines:
        reply.append(legal_line(line + b"\r\n"))
        if reply[0][:3] != reply[-1][:3]:
            raise IllegalReply(f"one reply, two codes: {reply}")
        if line[3:4] != b"-":
            replies.append(tuple(reply))
            reply = []
    if reply:
        raise IllegalReply(f"a reply without its last line: {reply}")
    return replies


def legal_line(line: bytes) -> str:
    """One reply line without its CRLF. Raises IllegalReply."""
    text = line.removesuffix(b"\r\n").decode("ascii", "backslashreplace")
    found = _LINE.fullmatch(text)
    if not line.endswith(b"\r\n") or not found:
        raise IllegalReply(f"no reply line: {line!r}")
    if len(line) > LINE_OCTETS:
        raise IllegalReply(f"{len(line)} octets: {line!r}")
    code, _, words = found.groups()
    enhanced = _ENHANCED.match(words)
    if enhanced and enhanced[1] != code[0]:
        raise IllegalReply(f"two classes: {text!r}")
    # the greeting and the replies to EHLO and HELO have none (RFC 2034 section 4), nor has 354
    if not enhanced and code not in ("220", "250", "354"):
        raise IllegalReply(f"no enhanced code: {text!r}")
    if _LEAKS.search(words):
        raise IllegalReply(f"the text of an exception: {text!r}")
    return text
