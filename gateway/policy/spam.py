"""Spam is what others call so: rspamd, where there is one, and the known forwarder's own filter."""

from __future__ import annotations

import re

from gateway.core.decision import Disposition, Facts, TicketChoice
from gateway.core.outcome import Reason
from gateway.core.reports import Path, Sender
from gateway.policy.action import Verdict
from gateway.policy.reading import Reading

SPAM_ACTIONS = frozenset({"reject", "add header", "rewrite subject"})
"""Of rspamd's. `greylist` and `soft reject` say that the message should come again, not that it is spam."""
JUNK_LEVEL = 5
"""Microsoft's spam confidence level from which its own mailboxes file mail as junk."""
SCORE = "rspamd.score"

_FLAG = re.compile(r"\s*yes\b", re.IGNORECASE)
_LEVEL = re.compile(r"\s*(\d{1,2})\s*")
_REPORTED = re.compile(r"(?:^|;)\s*SCL:(\d{1,2})\s*(?:;|$)")


def said_of_spam(facts: Facts) -> str:
    """Who calls this message spam, as a sentence (`spam, says rspamd (add header, 7.2 of 15)`); empty where nobody does."""
    return _by_rspamd(facts) or _by_forwarder(facts)


def fact(facts: Facts, name: str) -> float | str | None:
    """What a scanner said beside its verdict."""
    return next((value for key, value in facts.scan.facts if key == name), None)


def verdict_of_spam(reading: Reading, wanted: str) -> Verdict | None:
    """`accept.spam`. An answer that its participant proves to have written, and what comes to an agent's own answer address,
    are never spam: a filter sees quoted spam and many links there, and whose mail it is is known better.
    """
    if wanted == "accept" or _is_expected(reading):
        return None
    said = said_of_spam(reading.facts)
    return Verdict(Disposition(wanted), Reason.SPAM, said) if said else None


def _is_expected(reading: Reading) -> bool:
    belongs = reading.belonging
    proven = reading.facts.auth.sender is Sender.VERIFIED
    return belongs.from_agent or (proven and belongs.ticket is TicketChoice.JOIN)


def _by_rspamd(facts: Facts) -> str:
    action, score = fact(facts, "rspamd.action"), fact(facts, SCORE)
    if action not in SPAM_ACTIONS or not isinstance(score, float | int):
        return ""
    required = fact(facts, "rspamd.required")
    of = f" of {required:g}" if isinstance(required, float | int) else ""
    return f"spam, says rspamd ({action}, {score:g}{of})"


def _by_forwarder(facts: Facts) -> str:
    """Its filter's word, only behind the learnt one: there the mark was put on, or let pass, by a server the company chose.
    Anybody may write such a field, and does not gain by it.
    """
    if facts.auth.path is not Path.FORWARDER:
        return ""
    mark = _mark(facts)
    return f"spam, says the forwarder {_ascii(facts.auth.forwarder or '')} ({mark})" if mark else ""


def _mark(facts: Facts) -> str:
    values = facts.message.header_values
    levels = [m for v in values("X-MS-Exchange-Organization-SCL") if (m := _LEVEL.fullmatch(v))]
    levels += [m for v in values("X-Forefront-Antispam-Report") for m in _REPORTED.finditer(v)]
    highest = max((int(level[1]) for level in levels), default=0)
    if highest >= JUNK_LEVEL:
        return f"SCL {highest}"
    return "X-Spam-Flag: YES" if any(_FLAG.match(v) for v in values("X-Spam-Flag")) else ""


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()[:100]
