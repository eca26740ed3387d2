"""Whether a machine wrote the message: RFC 3834, RFC 2919, RFC 2369, RFC 3462, and what came before them.

`X-Auto-Response-Suppress` is no evidence: Outlook and Exchange put it on mail that people write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from gateway.core.message import ParsedMessage
from gateway.parse.fields import Header

_LIST_PRECEDENCE = frozenset({"list", "bulk", "junk"})
_AUTO_PRECEDENCE = frozenset({"auto_reply", "auto-reply"})
_LIST_NAMES = ("list-id", "list-unsubscribe")
LIST_FIELDS = frozenset({*_LIST_NAMES, "precedence"})
"""Fields that may say that a mailing list sent it, lower case."""


def is_list(header: Header, precedence: frozenset[str]) -> bool:
    """Sent by a mailing list or in bulk."""
    if precedence & _LIST_PRECEDENCE:
        return True
    return any(header.values(name) for name in _LIST_NAMES)


def automatic(header: Header, *, listed: bool, report: bool, precedence: frozenset[str]) -> str:
    """Why the message is automatic (`auto-submitted`, `report`, `list`), or nothing."""
    if precedence & _AUTO_PRECEDENCE or _says_so(header):
        return "auto-submitted"
    if report:
        return "report"
    return "list" if listed else ""


def precedences(header: Header) -> frozenset[str]:
    """The values of Precedence fields, in lower case."""
    return frozenset(_keyword(value) for value in header.values("precedence"))


def without_added(message: ParsedMessage, added: Collection[str]) -> ParsedMessage:
    """The message as no list, where all that makes it one are fields its forwarder is known to add (`added`, lower case).

    A forwarder adds one field of a name: where there are several, the author's own is among them (a newsletter to a
    Google Group), and they count. So does `Precedence: auto_reply`, and Auto-Submitted always: no forwarder writes those.
    """
    if not message.is_list or _is_list_without(message, added):
        return message
    return replace(message, is_list=False, automatic="" if message.automatic == "list" else message.automatic)


def _is_list_without(message: ParsedMessage, added: Collection[str]) -> bool:
    says_list = Counter(name.lower() for name, value in message.headers if _says_list(name.lower(), value))
    return any(count > (name in added) for name, count in says_list.items())


def _says_list(name: str, value: str) -> bool:
    return name in _LIST_NAMES or (name == "precedence" and _keyword(value.encode()) in _LIST_PRECEDENCE)


def _says_so(header: Header) -> bool:
    if any(_keyword(value) not in ("", "no") for value in header.values("auto-submitted")):
        return True
    loose = header.values("x-autoreply") + header.values("x-autorespond")
    return any(_keyword(value) not in ("no", "false") for value in loose)


def _keyword(value: bytes) -> str:
    """The first token, without parameters and comments: `auto-replied (vacation)`, `auto-generated; owner-email=...`."""
    words = value.decode("ascii", "replace").replace(";", " ").replace("(", " ").split()
    return words[0].lower() if words else ""
