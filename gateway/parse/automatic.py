"""Whether a machine wrote the message: RFC 3834, RFC 2919, RFC 2369, RFC 3462, and what came before them.

`X-Auto-Response-Suppress` is no evidence: Outlook and Exchange put it on mail that people write.
"""

from __future__ import annotations

from gateway.parse.fields import Header

_LIST_PRECEDENCE = frozenset({"list", "bulk", "junk"})
_AUTO_PRECEDENCE = frozenset({"auto_reply", "auto-reply"})


def is_list(header: Header, precedence: frozenset[str]) -> bool:
    """Sent by a mailing list or in bulk."""
    if precedence & _LIST_PRECEDENCE:
        return True
    return bool(header.values("list-id") or header.values("list-unsubscribe"))


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


def _says_so(header: Header) -> bool:
    if any(_keyword(value) not in ("", "no") for value in header.values("auto-submitted")):
        return True
    loose = header.values("x-autoreply") + header.values("x-autorespond")
    return any(_keyword(value) not in ("no", "false") for value in loose)


def _keyword(value: bytes) -> str:
    """The first token, without parameters and comments: `auto-replied (vacation)`, `auto-generated; owner-email=...`."""
    words = value.decode("ascii", "replace").replace(";", " ").replace("(", " ").split()
    return words[0].lower() if words else ""
