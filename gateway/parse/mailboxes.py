"""Mailbox lists of To, Cc, Reply-To (RFC 5322 section 3.4), read tolerantly; and the author, read strictly.

The author decides who a message is from, so there the grammar is the part on which all parsers agree; `author`
refuses the rest. `email.utils.getaddresses(['a@evil.example <b@good.example>'])` gives two addresses, other parsers
one or the other: such a field has no author here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.core.addresses import AddrSpec, BadAddress, parse_addr_spec, without_controls
from gateway.core.message import Address
from gateway.parse.charsets import header_octets_text
from gateway.parse.defects import Defects
from gateway.parse.fields import Field
from gateway.parse.words import decode_words

_SPECIALS = re.compile(r'([",<>():;\\])')

_CTL = r"\x00-\x1f\x7f"
_ATOM = rf'[^\s()<>@,:;\\"\[\]{_CTL}]++'
_COMMENT = r'\([^()<>@,:;\\"\x00-\x08\x0a-\x1f\x7f]*+\)'
_PHRASE = rf'(?:"(?:[^"\\{_CTL}]|\\[^{_CTL}])*+"|{_COMMENT}|[^()<>@,:;\\"\x00-\x08\x0a-\x1f\x7f])*+'
_LOCAL = rf'(?:"(?:[^"\\@,<>{_CTL}]|\\[^@,<>{_CTL}])++"|{_ATOM})'
_ADDR = rf"{_LOCAL}@(?:\[[0-9A-Za-z:.]++\]|{_ATOM})"
_ONE_MAILBOX = re.compile(
    rf"\s*+(?:(?P<bare>{_ADDR})|(?P<phrase>{_PHRASE})<(?P<angle>{_ADDR})>)\s*+(?:{_COMMENT})?\s*+"
)


def mailboxes(octets: bytes, defects: Defects) -> list[Address]:
    """Every mailbox in a field that has an address; groups are flattened, what is no address is left out as a defect."""
    found = []
    for phrase, addr in _split(header_octets_text(octets, defects)):
        try:
            spec = parse_addr_spec(addr, lenient=True)
        except BadAddress:
            defects.add("malformed-address")
            continue
        found.append(Address(str(spec), _shown_name(phrase, defects)))
    return found


def author(header: list[Field], defects: Defects) -> Address | None:
    """The one author, when From says so beyond doubt (RFC 9989 needs exactly one). Else None and a defect."""
    fields = [f for f in header if f.name.lower() == "from"]
    doubt = _doubtful(header, fields)
    if not doubt:
        text = header_octets_text(fields[0].value, defects)
        match = _ONE_MAILBOX.fullmatch(text)
        addr = (match["bare"] or match["angle"]) if match else ""
        spec = _certain(addr)
        if spec and match:
            name = _shown_name(match["phrase"] or "", defects)
            if not ("<" in name and "@" in name):
                return Address(str(spec), name)
        doubt = "syntax"
    defects.add(f"ambiguous-author-{doubt}")
    return None


def author_domains(header: list[Field]) -> tuple[str, ...]:
    """Domains of all addresses in all From fields, by the tolerant reading, each once."""
    unheard = Defects()
    values = [f.value.replace(b"\r", b",") for f in header if f.name.lower() == "from"]
    return tuple(dict.fromkeys(m.domain for value in values for m in mailboxes(value, unheard)))


def _doubtful(header: list[Field], fields: list[Field]) -> str:
    if not fields:
        return "missing"
    if len(fields) > 1:
        return "several-fields"
    if fields[0].odd:
        return "malformed-field"
    if any(b"\r" in f.value for f in header):  # a line end to some parsers: a second From may hide behind it
        return "bare-cr"
    return ""


def _certain(addr: str) -> AddrSpec | None:
    if not addr or "=?" in addr:
        return None
    try:
        return parse_addr_spec(addr, lenient=True)
    except BadAddress:
        return None


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


def _shown_name(phrase: str, defects: Defects) -> str:
    """A display name for people: unquoted, encoded-words decoded, also inside quotes, where many senders put them."""
    name = phrase.strip()
    if '"' in name or "\\" in name:
        name = _unquoted(name)
    if "=?" in name:
        name = decode_words(name, defects)
    return without_controls(name).strip()


def _unquoted(name: str) -> str:
    return re.sub(r'\\(.)|"', lambda m: m[1] or "", name)
