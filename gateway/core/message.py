"""A message as one canonical reading of its bytes (RFC 5322, MIME). DMARC, routing and pages all use this reading."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.core.addresses import canonical


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox of RFC 5322 section 3.4. `address` is the addr-spec with its domain lower-cased; `name` may be empty."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        """The part behind the last `@`, lower case."""
        return self.address.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the MIME tree (RFC 2045), addressed by where its encoded body lies in the content.

    `n` counts leaves from 1 in document order. `names` holds every plausible file name, strictest reading first.
    `declared_type` is `type/subtype` in lower case. `inline` says: an image shown in the text (Content-ID or
    Content-Disposition inline), not a file somebody attached.
    """

    n: int
    path: str
    declared_type: str
    charset: str | None
    encoding: str
    disposition: str
    names: tuple[str, ...]
    content_id: str | None
    inline: bool
    start: int
    end: int
    is_text: bool

    @property
    def is_attachment(self) -> bool:
        """True for every leaf that is not the text or HTML shown to the reader."""
        return not self.is_text


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """What a message says of itself. Every string is free of control characters and valid UTF-8.

    `author` is RFC5322.From when exactly one field holds exactly one address, else None with a defect
    `ambiguous-author`; `from_shown` is the From text as it would be shown. `author_domains` lists the domains of
    all addresses found in From fields (DMARC of ambiguous mail). `automatic` names why the message is automatic
    (`auto-submitted`, `list`, `report`, `null-reverse-path` is judged elsewhere) or is empty.
    `references` are Message-IDs of References then In-Reply-To, without angle brackets, oldest first.
    `body_digest` is the SHA-256 of all decoded parts. `headers` are (name, decoded value) in order.
    """

    message_id: str | None
    author: Address | None
    from_shown: str
    author_domains: tuple[str, ...]
    originator: Address | None
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    date: datetime | None
    references: tuple[str, ...]
    automatic: str
    is_list: bool
    is_report: bool
    received_count: int
    headers: tuple[tuple[str, str], ...]
    text: str
    text_new: str
    html: str | None
    parts: tuple[Part, ...]
    body_digest: str
    defects: tuple[str, ...]

    def header_values(self, name: str) -> tuple[str, ...]:
        """All values of the header fields called `name`, case aside, topmost first."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key.lower() == wanted)

    def others_named(self) -> dict[str, Address]:
        """Those of To and Cc who are not the author, each once, by canonical address."""
        own = canonical(self.author.address) if self.author else ""
        found: dict[str, Address] = {}
        for address in (*self.to, *self.cc):
            found.setdefault(canonical(address.address), address)
        found.pop(own, None)
        return found
