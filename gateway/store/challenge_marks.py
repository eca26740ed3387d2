"""Where a message names a forwarding challenge. Ordinary mail costs three searches in memory, and no statement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.challenges import FIELD, LOCAL, MARK, WORD
from gateway.core.envelope import Envelope
from gateway.core.message import ParsedMessage

SEARCHED_OCTETS = 262_144
"""A challenge has four thousand; with a footer, a banner and the header of twenty servers it is still far below this."""
_MOST = 10
_TOKEN = re.compile(re.escape(MARK) + r"([a-z2-7]{37})(?![a-z2-7])", re.IGNORECASE)
_RAW_TOKEN = re.compile(re.escape(MARK).encode() + rb"([a-z2-7]{37})(?![a-z2-7])")
_WORD = re.compile(WORD)


@dataclass(frozen=True, slots=True)
class Marks:
    """Tokens as written, not yet known to be ours: `proper` where only a challenge itself carries them (its Message-ID and
    our own header field), or what comes to its reverse-path; `quoted` anywhere else. `words` are those of subjects.
    """

    proper: tuple[str, ...]
    quoted: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def marks_of(envelope: Envelope, message: ParsedMessage, recipients: Sequence[str]) -> Marks | None:
    """None for ordinary mail. `recipients` are the local parts of the transaction."""
    if recipients and all(r.lower().startswith(LOCAL) for r in recipients):
        # beside a mailbox it would be mail for the mailbox
        return Marks(tuple(r[len(LOCAL) :].lower() for r in recipients[:_MOST]))
    words = tuple(_WORD.findall(message.subject)[:_MOST])
    in_content = envelope.content.find(MARK.encode(), 0, SEARCHED_OCTETS) >= 0
    in_text = message.text.find(MARK, 0, SEARCHED_OCTETS) >= 0
    in_id = (message.message_id or "")[: len(MARK)].lower() == MARK
    if not (words or in_content or in_text or in_id):
        return None
    ids = " ".join((message.message_id or "", *message.header_values(FIELD)))
    # the octets as well: they hold what was attached whole
    found = _tokens(" ".join((*message.references, message.text[:SEARCHED_OCTETS])))
    found += [t.decode("ascii") for t in _RAW_TOKEN.findall(envelope.content, 0, SEARCHED_OCTETS)]
    proper = tuple(dict.fromkeys(_tokens(ids)))[:_MOST]
    quoted = () if message.is_report else tuple(t for t in dict.fromkeys(found) if t not in proper)[:_MOST]
    return Marks(proper, quoted, () if message.is_report else words)


def _tokens(text: str) -> list[str]:
    return [t.lower() for t in _TOKEN.findall(text)]
