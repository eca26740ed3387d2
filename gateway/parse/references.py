"""Message-IDs (RFC 5322 section 3.6.4), as they are found and not as they should be."""

from __future__ import annotations

import re

from gateway.core.addresses import without_controls

MOST = 100
"""References kept of one message: the first and the newest. A thread needs few, a bomb brings thousands."""
_OCTETS = 998
_BRACKETED = re.compile(r"<([^<>]+)>")


def message_ids(text: str) -> list[str]:
    """The ids in a field, without angle brackets and without the blanks that folding left inside, in order."""
    found = _BRACKETED.findall(text) or [token.strip("<>,;") for token in text.split() if "@" in token]
    ids = (without_controls("".join(item.split())) for item in found)
    return [item for item in ids if item and len(item) <= _OCTETS]


def references(fields: list[str], in_reply_to: list[str]) -> tuple[str, ...]:
    """Ids of References, then In-Reply-To, each once, oldest first.

    In-Reply-To counts only in brackets: old mail programs wrote prose there ("Your message of ...").
    """
    found: dict[str, None] = {}
    for text in fields:
        found.update(dict.fromkeys(message_ids(text)))
    for text in in_reply_to:
        if "<" in text or " " not in text.strip():
            found.update(dict.fromkeys(message_ids(text)))
    kept = list(found)
    return tuple(kept if len(kept) <= MOST else [kept[0], *kept[-MOST + 1 :]])
