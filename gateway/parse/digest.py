"""A digest of all decoded parts: equal for copies of one message that came by different servers."""

from __future__ import annotations

import hashlib


class BodyDigest:
    """SHA-256 over the SHA-256 of each part, so that parts cannot run into each other."""

    __slots__ = ("_all",)

    def __init__(self) -> None:
        self._all = hashlib.sha256()

    def add(self, octets: bytes) -> None:
        """`octets` decoded. They lose what servers change on the way: line ends, and blank lines at the end.

        Every part, not only text: one server sends a lone LF as it is, the next one encodes CRLF in base64.
        """
        octets = octets.replace(b"\r\n", b"\n").rstrip(b" \t\r\n")
        self._all.update(hashlib.sha256(octets).digest())

    def hexdigest(self) -> str:
        return self._all.hexdigest()
