"""The one grammar for addresses: envelope paths, header addr-specs, and how two addresses are compared.

RFC 5321 section 4.1.2 (Mailbox), RFC 6531 section 3.3 (internationalised), without source routes: RFC 5321
appendix C lets a server refuse them, and they are a classic disguise for relaying.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import idna

LOCAL_PART_OCTETS = 255
"""Longest local part taken inbound: RFC 5321 says 64, but SRS over SES gives about 90 and real mail has it."""
DOMAIN_OCTETS = 253

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_DOT_STRING = re.compile(rf"[{_ATEXT}\u0080-\U0010ffff]+(\.[{_ATEXT}\u0080-\U0010ffff]+)*")
_LOOSE_LOCAL = re.compile(rf"[{_ATEXT}.\u0080-\U0010ffff]+")
_QUOTED = re.compile(r'"((?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*)"')
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})


class BadAddress(ValueError):
    """Not an address by this grammar; the text says why, in words fit for an SMTP reply."""


@dataclass(frozen=True, slots=True)
class AddrSpec:
    """`local` as it was written (unquoted), `domain` as lower-case A-labels or an address literal in brackets."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{quote_local(self.local)}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        return self.local.isascii()


def quote_local(local: str) -> str:
    """The local part as it stands in an address: quoted where it is no dot-string."""
    if _DOT_STRING.fullmatch(local):
        return local
    escaped = local.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse_addr_spec(text: str, *, lenient: bool = False) -> AddrSpec:
    """Read `local@domain`. `lenient` takes stray dots in local parts (`a..b@docomo.example`), which real authors have.

    Raises BadAddress.
    """
    if len(text) > LOCAL_PART_OCTETS + DOMAIN_OCTETS + 10:
        raise BadAddress("address too long")
    local, domain = _split(text)
    if not local.startswith('"'):
        grammar = _LOOSE_LOCAL if lenient else _DOT_STRING
        if not grammar.fullmatch(local):
            raise BadAddress("malformed local part")
        unquoted = local
    else:
        unquoted = re.sub(r"\\(.)", r"\1", local[1:-1])
        if not unquoted:
            raise BadAddress("empty local part")
    if not (unquoted.isascii() and unquoted.isprintable()):
        if any(unicodedata.category(c) in _INVISIBLE for c in unquoted if c != " "):
            raise BadAddress("local part has invisible or control characters")
        unquoted = unicodedata.normalize("NFC", unquoted)
    if len(unquoted.encode("utf-8", "surrogatepass")) > LOCAL_PART_OCTETS:
        raise BadAddress("local part too long")
    return AddrSpec(unquoted, normal_domain(domain))


def _split(text: str) -> tuple[str, str]:
    """Split at the `@` that ends the local part; a quoted local part may hold others."""
    if text.startswith('"'):
        end = _QUOTED.match(text)
        if not end or not text[end.end() :].startswith("@"):
            raise BadAddress("malformed quoted local part")
        return text[: end.end()], text[end.end() + 1 :]
    local, at, domain = text.partition("@")
    if not at or not local or not domain or "@" in domain:
        raise BadAddress("address must be local-part@domain")
    return local, domain


@lru_cache(maxsize=8192)
def normal_domain(domain: str) -> str:
    """A domain as lower-case A-labels (UTS 46, then IDNA 2008), or an address literal `[192.0.2.1]`. Raises BadAddress."""
    if domain.startswith("["):
        return _literal(domain)
    name = domain.rstrip(".") if domain.endswith(".") and not domain.endswith("..") else domain
    if name.isascii():
        name = name.lower()
    else:
        try:
            name = idna.encode(name, uts46=True, transitional=False).decode("ascii").lower()
        except (idna.IDNAError, UnicodeError) as error:
            raise BadAddress("malformed internationalised domain") from error
    labels = name.split(".")
    if not name or len(name) > DOMAIN_OCTETS or any(len(x) > 63 or not _LABEL.fullmatch(x) for x in labels):
        raise BadAddress("malformed domain")
    return name


def _literal(text: str) -> str:
    inner = text[1:-1] if text.endswith("]") else ""
    if "%" in inner:
        # Python reads a zone behind `%` and takes anything for it, line ends too; RFC 5321 section 4.1.3 has none
        raise BadAddress("malformed address literal")
    try:
        if inner.lower().startswith("ipv6:"):
            return f"[IPv6:{IPv6Address(inner[5:])}]"
        return f"[{IPv4Address(inner)}]"
    except ValueError as error:
        raise BadAddress("malformed address literal") from error


def canonical(address: str) -> str:
    """The form in which addresses are compared: local part NFC and case-folded, domain as A-labels.

    What does not parse is compared as its lower-cased text. NFKC is left alone on purpose: it would merge strangers.
    """
    return _canonical(address) if len(address) <= _REMEMBERED else _canonical.__wrapped__(address)


_REMEMBERED = 320
"""Longest address whose canonical form is kept: a message names the same few again and again."""


@lru_cache(maxsize=8192)
def _canonical(address: str) -> str:
    try:
        spec = parse_addr_spec(address, lenient=True)
    except BadAddress:
        return address.strip().lower()
    return f"{quote_local(spec.local.casefold())}@{spec.domain}"


def base_local(local: str) -> str:
    """A local part without its `+tag`, case-folded: what an inbound address is looked up by."""
    return local.casefold().partition("+")[0] or local.casefold()


def without_tag(address: str) -> str:
    """An address in canonical form without its `+tag`: what comes there comes to the same person."""
    try:
        spec = parse_addr_spec(canonical(address), lenient=True)
    except BadAddress:
        return canonical(address)
    return f"{quote_local(base_local(spec.local))}@{spec.domain}"


def without_controls(text: str) -> str:
    """Text that may enter a header, a log line or a column: no control characters, no lone surrogates, one line.

    CPython's email package injects headers from decoded encoded-words that hold CR LF; nothing reaches it unwashed.
    """
    if text.isascii() and text.isprintable():
        return text
    washed = "".join(" " if (c in "\t\n\r\v\f\u2028\u2029\x85") else c for c in text)
    return "".join(c for c in washed if unicodedata.category(c) not in ("Cc", "Cs"))
