"""Mailbox lists of To, Cc, Reply-To (RFC 5322 section 3.4), read tolerantly. The author is read by `author`, strictly."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.core.addresses import BadAddress, parse_addr_spec, without_controls
from gateway.core.message import Address
from gateway.parse.charsets import header_octets_text
from gateway.parse.defects import Defects
from gateway.parse.words import decode_words

_MOST = 1000
"""Mailboxes read of one field. Internationalised domains cost 50 µs each, and a header has room for 60,000."""
_SPECIALS = re.compile(r'([",<>():;\\])')


def mailboxes(octets: bytes, defects: Defects) -> list[Address]:
    """Every mailbox in a field that has an address; groups are flattened, what is no address is left out as a defect."""
    found: list[Address] = []
    for phrase, addr in _split(header_octets_text(octets, defects)):
        if len(found) == _MOST:
            defects.add("too-many-addresses")
            break
        try:
            spec = parse_addr_spec(addr, lenient=True)
        except BadAddress:
            defects.add("malformed-address")
            continue
        found.append(Address(str(spec), shown_name(phrase, defects)))
    return found


def _split(text: str) -> Iterator[tuple[str, str]]:
    """(phrase, addr-spec) of each mailbox: one walk over the pieces, so its time is linear whatever the field holds."""
    phrase: list[str] = []
    comment: list[str] = []
    angle: list[str] | None = None
    quoted = escaped = False
    depth = 0
    for piece in _SPECIALS.split(text):
        into = comment if depth else phrase if angle is None else angle
        if escaped or (quoted and piece not in ('"', "\\")):
            into.append(piece)
            escaped = escaped and not piece
        elif piece == "\\":
            into.append(piece)
            escaped = quoted or depth > 0
        elif piece == "(" or (piece == ")" and depth):
            depth += 1 if piece == "(" else -1
        elif depth:
            comment.append(piece)
        elif piece == '"':
            into.append(piece)
            quoted = not quoted
        elif piece == "<":
            angle = []
        elif piece == ">" and angle is not None:
            yield _mailbox(phrase, comment, angle)
            phrase, comment, angle = [], [], None
        elif piece in (",", ";") and angle is None:
            yield from _bare(phrase, comment)
            phrase, comment = [], []
        elif piece == ":" and angle is None:
            phrase = []  # the display name of a group
        else:
            into.append(piece)
    if angle is not None:
        yield _mailbox(phrase, comment, angle)
    else:
        yield from _bare(phrase, comment)


def _mailbox(phrase: list[str], comment: list[str], angle: list[str]) -> tuple[str, str]:
    addr = "".join(angle).strip()
    if addr.startswith("@"):  # a source route (RFC 5322 section 4.4): the address is what follows the colon
        addr = addr.rpartition(":")[2]
    addr = addr.removeprefix("mailto:")
    return "".join(phrase).strip() or "".join(comment).strip(), addr


def _bare(phrase: list[str], comment: list[str]) -> Iterator[tuple[str, str]]:
    addr = "".join(phrase).strip()
    if addr:
        yield "".join(comment).strip(), addr


def shown_name(phrase: str, defects: Defects) -> str:
    """A display name for people: unquoted, encoded-words decoded, also inside quotes, where many senders put them."""
    name = phrase.strip()
    if '"' in name or "\\" in name:
        name = _unquoted(name)
    if "=?" in name:
        name = decode_words(name, defects)
    return without_controls(name).strip()


def _unquoted(name: str) -> str:
    return re.sub(r'\\(.)|"', lambda m: m[1] or "", name)
