"""Received fields as mail servers really write them (RFC 5321 section 4.4): who took a message, and from which address.

Only the address the server saw counts. What the client called itself (HELO) stands in the same field, is the client's to
choose, and may be an address literal; servers do not agree on where they put it. So a field is taken apart into its clauses
and comments, each comment must be of a form that some server is known to write, and whatever could be read in two
ways has no address at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from gateway.core.networks import unmapped

FIELD_OCTETS = 4096

_WORD = re.compile(r"[^\s();]+")
_ADDRESS = r"\[(?:ipv6:)?(?P<ip>[0-9a-f.:]+)\]"
_SEEN = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # Postfix, sendmail, Gmail, Haraka, Amazon: (name [192.0.2.1]), ([192.0.2.1]); sendmail adds (may be forged)
        rf"(?:[^\s()\[\]=]+ )?{_ADDRESS}(?: \([^()\[\]]*\))?",
        # Exim: ([192.0.2.1]:4711 helo=name ident=name)
        rf"{_ADDRESS}(?::\d+)?(?: (?:helo|ident|port)=[^\s()]+)*",
        # Exchange, qmail, Zimbra, Yahoo: (192.0.2.1), (user@192.0.2.1)
        r"(?:[^\s()\[\]@]+@)?(?P<ip>\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f.:]*)",
    )
)
_SAID = (
    # qmail, Yahoo, CommuniGate, Zimbra: (HELO name)
    re.compile(r"(?:account [^\s()]+ )?(?:HELO|EHLO|LHLO)(?: [^\s()]+)?", re.IGNORECASE),
    # Exim that knows no name: from [192.0.2.1] (port=4711 helo=name)
    # the blank between two is required: where it may be missing, "helo=helo=…" can be divided in 2^n ways, and each is tried
    re.compile(r"(?:helo|ident|port)=[^\s()]+(?: (?:helo|ident|port)=[^\s()]+)*", re.IGNORECASE),
)
_SUBMITTED = re.compile(r"\buserid \d+|\bwith local\b|/submit\b|\binvoked by uid \d+", re.IGNORECASE)
"""Postfix, Exim, sendmail, qmail: mail that a program on the same machine handed in."""
_LITERAL = re.compile(_ADDRESS, re.IGNORECASE)
_LOOKS_LIKE_ADDRESS = re.compile(r"[\[\]]|\d\.\d{1,3}\.\d|:[0-9a-f]{0,4}:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Received:
    """One hop. `by` is who took the message, lower case; empty where the field does not say so in one way only.

    `client` is the address the server saw, None where it says none or is ambiguous. `said` is the word behind `from`: in
    most servers the HELO, in some the client's name; never a proof of anything. `submitted` is who on the server itself
    handed it in (`userid 33`, `local`), empty where that is not said.
    """

    by: str
    client: str | None = None
    said: str = ""
    submitted: str = ""


def read_received(value: str) -> Received:
    """Take one field's value apart. Never raises: what cannot be read says nothing."""
    if len(value) > FIELD_OCTETS:
        return Received("")
    local = _SUBMITTED.search(value)
    submitted = " ".join(local.group().lower().split()) if local else ""
    pieces = list(_pieces(value))
    words = [n for n, piece in enumerate(pieces) if not piece.startswith("(")]
    if "" in pieces or not words:
        return Received("", submitted=submitted)
    has_from = words[0] == 0 and pieces[0].lower() == "from" and len(words) > 1
    # the word behind `from` is a name even where it is spelled `by`
    clauses = [n for n in words if pieces[n].lower() == "by" and not (has_from and n == words[1])]
    if len(clauses) != 1 or clauses[0] == words[-1]:
        return Received("", submitted=submitted)
    start = clauses[0]
    by = pieces[words[words.index(start) + 1]].strip("[]").rstrip(".").lower()
    if not has_from:
        return Received(by, submitted=submitted)
    return Received(by, _client(pieces[1:start]), pieces[words[1]], submitted)


def _pieces(value: str) -> Iterator[str]:
    """Words and whole comments in order; an empty piece for a comment that does not end, or ends without beginning."""
    at = 0
    while at < len(value):
        char = value[at]
        if char == "(":
            end = _end_of_comment(value, at)
            yield value[at:end]
            at = end or len(value)
        elif char == ")":
            yield ""
            at += 1
        elif word := _WORD.match(value, at):
            yield word.group()
            at = word.end()
        else:
            at += 1


def _end_of_comment(value: str, start: int) -> int:
    """Behind its last parenthesis, 0 where it has none."""
    depth = 0
    for at in range(start, len(value)):
        if value[at] == "(":
            depth += 1
        elif value[at] == ")":
            depth -= 1
            if depth == 0:
                return at + 1
    return 0


def _client(clause: Sequence[str]) -> str | None:
    """The address in the `from` clause: the word behind `from` and its comments."""
    words = [piece for piece in clause if not piece.startswith("(")]
    if len(words) != 1 or any("\\" in piece or '"' in piece for piece in clause):
        return None
    comments = [" ".join(piece[1:-1].split()) for piece in clause if piece.startswith("(")]
    said = [comment for comment in comments if _matches(_SAID, comment)]
    rest = [comment for comment in comments if comment not in said]
    found = {_seen(comment) for comment in rest if _matches(_SEEN, comment) or _LOOKS_LIKE_ADDRESS.search(comment)}
    literal = _LITERAL.fullmatch(words[0])
    if said and literal:
        # Exim and CommuniGate name a client without a name by its address, and put its HELO into a comment
        found.add(_address(literal["ip"]))
    return found.pop() if len(found) == 1 else None


def _matches(patterns: Sequence[re.Pattern[str]], comment: str) -> bool:
    return any(pattern.fullmatch(comment) for pattern in patterns)


def _seen(comment: str) -> str | None:
    """The address a comment tells in a form that is known, None otherwise."""
    match = next((m for m in (pattern.fullmatch(comment) for pattern in _SEEN) if m), None)
    return _address(match["ip"]) if match else None


def _address(text: str) -> str | None:
    try:
        return str(unmapped(ip_address(text)))
    except ValueError:
        return None
