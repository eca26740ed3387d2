"""A digest of all decoded parts: equal for copies of one message that came by different servers."""

from __future__ import annotations

import hashlib

PIECE_OCTETS = 256 * 1024
"""As in `transfer`: no call into C over all of a large part."""
_TELLING_OCTETS = 8192
"""A file with no NUL in these may be text."""


class BodyDigest:
    """SHA-256 over the SHA-256 of each part, so that parts cannot run into each other."""

    __slots__ = ("_all",)

    def __init__(self) -> None:
        self._all = hashlib.sha256()

    def add(self, octets: bytes) -> None:
        """`octets` decoded. They lose what servers change on the way: line ends, and blank lines at the end.

        Every part, not only text: one server sends a lone LF as it is, the next one encodes CRLF in base64. But what holds a
        NUL near its beginning is no text to any of them, and comes as it is.
        """
        if octets.find(b"\0", 0, _TELLING_OCTETS) >= 0:
            self._all.update(hashlib.sha256(octets).digest())
            return
        part = hashlib.sha256()
        end = _behind_text(octets)
        at = 0
        while at < end:
            cut = min(at + PIECE_OCTETS, end)
            cut -= cut < end and octets[cut - 1] == 0x0D  # its LF may follow
            # a `replace` goes over it twice: once to count
            part.update(b"\n".join(octets[at:cut].split(b"\r\n")))
            at = cut
        self._all.update(part.digest())

    def hexdigest(self) -> str:
        return self._all.hexdigest()


def _behind_text(octets: bytes) -> int:
    """Where the blanks at the end begin."""
    end = len(octets)
    while end:
        piece = octets[max(end - PIECE_OCTETS, 0) : end]
        text = len(piece.rstrip(b" \t\r\n"))
        if text:
            return end - len(piece) + text
        end -= len(piece)
    return 0
