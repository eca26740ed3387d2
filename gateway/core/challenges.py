"""How a forwarding challenge is marked, so that it is known again whatever a forwarder makes of it."""

from __future__ import annotations

from collections.abc import Iterable

LOCAL = "challenge+"
"""Before the token in the local part of the challenge's reverse-path."""
MARK = "challenge."
"""Before the token in its Message-ID, in its own header field and in its text."""
FIELD = "X-Forwarding-Check"
"""The header field of its own: forwarders that make a new Message-ID keep it."""
WORD = r"\b[A-Z2-7]{5}-[A-Z2-7]{5}\b"
"""The word in its subject: the end of its token, which is all that is left when a server empties the body."""


def word_of(token: str) -> str:
    end = token[-10:].upper()
    return f"{end[:5]}-{end[5:]}"


def is_for_challenge(recipients: Iterable[str]) -> bool:
    """Whether mail came to reverse-paths of challenges only: a report, or an automatic answer."""
    return all(r.lower().startswith(LOCAL) for r in recipients)
