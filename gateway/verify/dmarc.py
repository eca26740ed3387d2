"""DMARC (RFC 9989): tree walk, policy, alignment.

Own, because no library is both right and asynchronous (docs/decisions.md). Where no record says which domain is the
organizational one, or one found is a public suffix that does not say what it is, the public suffix list decides as it
did in RFC 7489: two companies below one suffix must never be aligned with each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from publicsuffixlist import PublicSuffixList

from gateway.core.errors import DnsFailure
from gateway.core.ports import Resolver
from gateway.verify.evidence import txt_of_all

MAX_QUERIES = 8
_POLICIES = ("none", "quarantine", "reject")
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(;|$)")
_REPORT_URI = re.compile(r"(^|,)\s*[a-z][a-z0-9+.-]*:[^\s,]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """A DMARC Policy Record (RFC 9989 section 4.7) at `domain`. `lenient` is t=y, or pct=0 of RFC 7489.

    p, sp and np are empty when the record is to be taken as no policy.
    """

    domain: str
    p: str
    sp: str
    np: str
    strict_dkim: bool
    strict_spf: bool
    psd: str
    lenient: bool


@dataclass(frozen=True, slots=True)
class Walk:
    """The records found from `start` upwards; `unknown` are names whose record DNS would not give."""

    start: str
    records: tuple[Record, ...]
    unknown: frozenset[str]

    @property
    def own(self) -> Record | None:
        """The record of the domain where the walk started."""
        return next((r for r in self.records if r.domain == self.start), None)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the author's domain asks for. `applied` is empty without DMARC; `failed` when DNS would not say."""

    walk: Walk
    organization: str | None
    record: Record | None
    applied: str
    failed: bool

    @property
    def strict_dkim(self) -> bool:
        return self.record is not None and self.record.strict_dkim

    @property
    def strict_spf(self) -> bool:
        return self.record is not None and self.record.strict_spf


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def registrable(domain: str) -> str:
    """The domain one label below the public suffix; a public suffix is its own."""
    return str(_suffixes().privatesuffix(domain) or domain)


def _is_public_suffix(domain: str) -> bool:
    return _suffixes().privatesuffix(domain) is None


def read_record(domain: str, texts: Sequence[bytes]) -> Record | None:
    """The one record among the TXT of `_dmarc.<domain>`; several are none (RFC 9989 section 4.10, T17)."""
    found = [text for text in (raw.decode("utf-8", "replace") for raw in texts) if _VERSION.match(text)]
    if len(found) != 1:
        return None
    tags = _tags(found[0])
    p, sp, np = _policies(tags)
    return Record(
        domain,
        p,
        sp,
        np,
        strict_dkim=tags.get("adkim", "").lower() == "s",
        strict_spf=tags.get("aspf", "").lower() == "s",
        psd=tags.get("psd", "u").lower(),
        lenient=tags.get("t", "").lower() == "y" or tags.get("pct", "") == "0",
    )


def _tags(text: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    return tags


def _policies(tags: dict[str, str]) -> tuple[str, str, str]:
    """The tags p, sp and np with their defaults. A missing p is none. Invalid ones are none where reports are wanted;
    otherwise the record asks for nothing at all, told as empty (RFC 9989 section 4.10.1).
    """
    p = tags.get("p", "none").lower()
    sp = tags.get("sp", p).lower()
    np = tags.get("np", sp).lower()
    if {p, sp, np} <= set(_POLICIES):
        return p, sp, np
    fallback = "none" if _REPORT_URI.search(tags.get("rua", "")) else ""
    return fallback, fallback, fallback


def walk_names(domain: str) -> list[str]:
    """The domains a walk asks about, in order: itself, then its last seven labels downwards (RFC 9989 section 4.10)."""
    labels = domain.split(".")
    first = max(1, len(labels) - (MAX_QUERIES - 1))
    return [domain] + [".".join(labels[n:]) for n in range(first, len(labels))]


async def walk(domain: str, resolver: Resolver) -> Walk:
    """The DNS tree walk (RFC 9989 section 4.10); psd=y ends it where it started, too.

    All names are asked at once: one round trip, and the upper ones are shared by everybody.
    """
    names = walk_names(domain)
    answers = await txt_of_all([f"_dmarc.{name}" for name in names], resolver)
    records: list[Record] = []
    unknown: set[str] = set()
    for name in names:
        answer = answers[f"_dmarc.{name}"]
        if isinstance(answer, DnsFailure):
            unknown.add(name)
        elif record := read_record(name, answer):
            records.append(record)
            if record.psd in ("n", "y"):
                break
    return Walk(domain, tuple(records), frozenset(unknown))


def organization_of(found: Walk) -> str | None:
    """The Organizational Domain (RFC 9989 section 4.10.2), None when DNS would not say.

    A public suffix whose record could not be had is passed over: it could at most have said psd=y, which ends at the
    same domain.
    """
    for record in found.records:
        if record.psd == "n":
            return record.domain
        if record.psd == "y" and record.domain != found.start:
            return _within_suffix(_one_below(record.domain, found.start), found.start)
    if any(not _is_public_suffix(name) for name in found.unknown):
        return None
    if not found.records:
        return registrable(found.start)
    return _within_suffix(found.records[-1].domain, found.start)


def _within_suffix(found: str, domain: str) -> str:
    """An organization found by a walk from `domain`, never so wide that it holds a public suffix: the record of `gov.uk`
    must not make one of all below `service.gov.uk`, nor that of a top-level domain of all below `co.uk`.
    """
    return max(found, registrable(domain), key=len)


def _one_below(suffix: str, domain: str) -> str:
    label = domain.removesuffix("." + suffix).rpartition(".")[2]
    return f"{label}.{suffix}"


async def discover(domain: str, resolver: Resolver) -> Policy:
    """The policy for an Author Domain (RFC 9989 section 4.10.1): its own record's, its organization's, the suffix's."""
    found = await walk(domain, resolver)
    organization = organization_of(found)
    if found.own is not None:
        return Policy(found, organization, found.own, _applied(found.own, found.own.p), failed=False)
    if domain in found.unknown or organization is None:
        return Policy(found, organization, None, "", failed=True)
    record = next((r for r in found.records if r.domain == organization), None)
    if record is None and found.unknown:
        return Policy(found, organization, None, "", failed=True)
    if record is None and not found.records:
        return Policy(found, organization, None, "", failed=False)
    # What the organization has not, its suffix may have: the topmost record of the walk.
    return await _inherited(found, organization, record or found.records[-1], resolver)


async def _inherited(found: Walk, organization: str, record: Record, resolver: Resolver) -> Policy:
    """By sp for a domain below the record's, by np for one that does not exist (RFC 9989 section 4.7)."""
    asked = record.sp
    if record.np != record.sp:
        try:
            asked = record.sp if await _exists(found.start, resolver) else record.np
        except DnsFailure:
            return Policy(found, organization, record, "", failed=True)
    return Policy(found, organization, record, _applied(record, asked), failed=False)


async def _exists(domain: str, resolver: Resolver) -> bool:
    """It has an address or a mail exchanger (RFC 9989 section 3.2.13: otherwise it is a non-existent domain)."""
    for kind in ("MX", "A", "AAAA"):
        if await resolver.records(domain, kind):
            return True
    return False


def _applied(record: Record, asked: str) -> str:
    """In test mode the next milder policy (RFC 9989 appendix A.7: t=y stands for the pct=0 of RFC 7489).

    Other values of pct are gone: a message must not be refused now and taken at its second try.
    """
    if not asked or not record.lenient:
        return asked
    return _POLICIES[max(0, _POLICIES.index(asked) - 1)]


async def aligned(policy: Policy, other: str, resolver: Resolver, *, strict: bool) -> bool | None:
    """Whether an authenticated domain is aligned with the author's; None when DNS would not say."""
    author = policy.walk.start
    if other == author:
        return True
    if strict:
        return False
    if policy.organization is None:
        return None if registrable(other) == registrable(author) else False
    if other == policy.organization:
        return True
    if not other.endswith("." + policy.organization):
        return False
    organization = organization_of(await walk(other, resolver))
    return None if organization is None else organization == policy.organization
