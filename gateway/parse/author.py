"""The author (RFC5322.From), read strictly: he decides who a message is from, so only what all parsers read alike counts.

`email.utils.getaddresses(['a@evil.example <b@good.example>'])` gives two addresses, other parsers one or the other:
such a field has no author here. See "Composition Kills" (2020) and "Weak Links" (2021) for how the rest is abused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.core.addresses import AddrSpec, BadAddress, normal_domain, parse_addr_spec
from gateway.core.message import Address
from gateway.parse.charsets import header_octets_text
from gateway.parse.defects import Defects
from gateway.parse.fields import Header, read_message_header
from gateway.parse.mailboxes import shown_name
from gateway.parse.words import decoded

_MOST_DOMAINS = 100

_CTL = r"\x00-\x1f\x7f"
_ATOM = rf'[^\s()<>@,:;\\"\[\]{_CTL}]++'
_INNER = r'[^()<>@,:;\\"\x00-\x08\x0a-\x1f\x7f]'
_PHRASE = rf'(?:"(?:[^"\\{_CTL}]|\\[^{_CTL}])*+"|\({_INNER}*+\)|{_INNER})*+'
_LOCAL = rf'(?:"(?:[^"\\@,<>{_CTL}]|\\[^@,<>{_CTL}])++"|{_ATOM})'
_ADDR = rf"{_LOCAL}@(?:\[[0-9A-Za-z:.]++\]|{_ATOM})"
_ONE_MAILBOX = re.compile(
    rf"[ \t]*+(?:(?P<bare>{_ADDR})|(?P<phrase>{_PHRASE})<(?P<angle>{_ADDR})>)(?:[ \t]++\((?P<comment>{_INNER}*+)\))?[ \t]*+"
)
_DOMAIN = re.compile(r'@([^\s()<>@,:;\\"\[\]]{1,253})')


@dataclass(frozen=True, slots=True)
class Named:
    """Whom a header field names: `address`, or None with the `doubt` (`missing`, `several-fields`, `malformed-field`,
    `bare-cr`, `syntax`).
    """

    address: Address | None
    doubt: str = ""


def author(header: Header, defects: Defects) -> Address | None:
    """The one author, when From says so beyond doubt (RFC 9989 needs exactly one). Else None and a defect."""
    found = _named(header, "from", defects)
    if not found.address:
        defects.add(f"ambiguous-author-{found.doubt}")
    return found.address


def named_in(content: bytes, field: str) -> Named:
    """Whom a field other than From names (`reply-to`, ...), as strictly read: exactly one field with exactly one address.

    Raises TooComplex.
    """
    unheard = Defects()
    return _named(read_message_header(content, unheard), field, unheard)


def _named(header: Header, field: str, defects: Defects) -> Named:
    doubt = _doubtful(header, field)
    found = None if doubt else _one_mailbox(header.values(field)[0], defects)
    return Named(found, "" if found else doubt or "syntax")


def author_domains(header: Header) -> tuple[str, ...]:
    """All domains that any parser might find in From, each once: whatever stands behind an `@`, decoded or not."""
    unheard = Defects()
    written: dict[str, None] = {}
    for value in header.values("from"):
        text = f"{header_octets_text(value, unheard)}\n{decoded(value, unheard)}"
        written.update(dict.fromkeys(_DOMAIN.findall(text)))
    found: dict[str, None] = {}
    for domain in list(written)[:_MOST_DOMAINS]:
        try:
            found[normal_domain(domain)] = None
        except BadAddress:
            continue
    return tuple(found)


def _doubtful(header: Header, field: str) -> str:
    fields = [f for f in header.fields if f.name.lower() == field]
    if not fields:
        return "missing"
    if len(fields) > 1:
        return "several-fields"
    if fields[0].odd:
        return "malformed-field"
    if any(b"\r" in f.value for f in header.fields):  # a line end to some parsers: a second field may hide behind it
        return "bare-cr"
    return ""


def _one_mailbox(value: bytes, defects: Defects) -> Address | None:
    match = _ONE_MAILBOX.fullmatch(header_octets_text(value, defects))
    spec = _certain(match["bare"] or match["angle"]) if match else None
    if not match or not spec:
        return None
    name = shown_name(match["phrase"] or "", defects) or shown_name(match["comment"] or "", defects)
    if "<" in name and "@" in name:  # an address to parsers that decode before they parse
        return None
    return Address(str(spec), name)


def _certain(addr: str) -> AddrSpec | None:
    if "=?" in addr:
        return None
    try:
        return parse_addr_spec(addr, lenient=True)
    except BadAddress:
        return None
