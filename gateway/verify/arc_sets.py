"""The ARC sets of a message, read strictly (RFC 8617 sections 4.1 and 4.2). Nothing here asks DNS or verifies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.verify.dkim_message import Field, Message
from gateway.verify.dkim_signature import SIGNATURE_OCTETS, Signature, algorithm_in, signature_of
from gateway.verify.tag_list import Unusable, base64_in, domain_in, number_in, require, tags_of

MAX_SETS = 50
"""RFC 8617 section 4.2.1: a chain with more has failed."""

UNSAID_FORM = b"relaxed/relaxed"
"""RFC 8617 leaves a missing `c=` to DKIM, where it is simple; the drafts, their test suite and dkimpy say relaxed."""

RESULTS, SIGNATURE, SEAL = b"arc-authentication-results", b"arc-message-signature", b"arc-seal"
SHOWN = {RESULTS: "ARC-Authentication-Results", SIGNATURE: "ARC-Message-Signature", SEAL: "ARC-Seal"}

_BLANK = rb"(?:[ \t\r\n]|\([^()\\]*\))*"
_INSTANCE = re.compile(_BLANK + rb"i" + _BLANK + rb"=" + _BLANK + rb"([0-9]{1,2})" + _BLANK + rb";")
_NUMBER = re.compile(rb"[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Seal:
    """An ARC-Seal (section 4.1.3). `domain` is the sealer, in A-labels; `cv` what it found the chain below to be."""

    field: Field
    domain: str
    selector: str
    algorithm: str
    cv: bytes
    octets: bytes

    @property
    def key_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class ArcSet:
    """One hop. `payload` are the results it found, without the instance.

    `signature` may be unusable: only the newest must verify (section 5.2), and those below it age and expire.
    """

    instance: int
    results: Field
    payload: bytes
    signature_field: Field
    signature: Signature | Unusable
    seal: Seal


def has_arc(message: Message) -> bool:
    """Whether there is any ARC field, of whatever form."""
    return any(field.name in SHOWN for field in message.fields)


def read_sets(message: Message, received_at: float) -> tuple[ArcSet, ...]:
    """The sets from the oldest (i=1) to the newest. Raises Unusable when their structure makes the chain a failed one."""
    if message.fault:
        raise Unusable("fail", message.fault)
    groups = _groups(message)
    if not groups or max(groups) != len(groups):
        raise Unusable("fail", "the instances are not 1 to N without a gap")
    sets = tuple(_set(n, groups[n], received_at) for n in range(1, len(groups) + 1))
    _refuse_by_status(sets)
    return sets


@dataclass(frozen=True, slots=True)
class _Read:
    """A field with what was read of it: the tags, or for ARC-Authentication-Results what follows the instance."""

    field: Field
    tags: Mapping[bytes, bytes]
    payload: bytes = b""


def _groups(message: Message) -> dict[int, dict[bytes, _Read]]:
    """By instance and name. Raises Unusable for a field without an instance, or with another's."""
    fields = [field for field in message.fields if field.name in SHOWN]
    if len(fields) > len(SHOWN) * MAX_SETS:
        raise Unusable("fail", f"more than {MAX_SETS} sets")
    groups: dict[int, dict[bytes, _Read]] = {}
    for field in fields:
        instance, read = _read(field)
        group = groups.setdefault(instance, {})
        if field.name in group:
            raise Unusable("fail", f"more than one {SHOWN[field.name]} with i={instance}")
        group[field.name] = read
    return groups


def _read(field: Field) -> tuple[int, _Read]:
    if field.name == RESULTS:
        found = _INSTANCE.match(field.value)
        number = found.group(1) if found else b""
        read = _Read(field, {}, field.value[found.end() :] if found else b"")
    else:
        if len(field.value) > SIGNATURE_OCTETS:
            raise Unusable("fail", f"an {SHOWN[field.name]} is too long")
        read = _Read(field, _tags(field))
        number = read.tags.get(b"i", b"")
    if not _NUMBER.fullmatch(number) or not 1 <= int(number) <= MAX_SETS:
        raise Unusable("fail", f"an {SHOWN[field.name]} without an instance of 1 to {MAX_SETS}")
    return int(number), read


def _tags(field: Field) -> Mapping[bytes, bytes]:
    try:
        return tags_of(field.value)
    except Unusable as reason:
        raise Unusable("fail", f"an {SHOWN[field.name]} is a {reason.detail}") from reason


def _set(instance: int, group: Mapping[bytes, _Read], received_at: float) -> ArcSet:
    if missing := next((shown for name, shown in SHOWN.items() if name not in group), None):
        raise Unusable("fail", f"no {missing} with i={instance}")
    try:
        seal = _seal(group[SEAL])
    except Unusable as reason:
        raise Unusable("fail", f"the ARC-Seal with i={instance}: {reason.detail}") from reason
    results, signed = group[RESULTS], group[SIGNATURE]
    signature = _signature(signed, received_at)
    return ArcSet(instance, results.field, results.payload, signed.field, signature, seal)


def _signature(read: _Read, received_at: float) -> Signature | Unusable:
    try:
        signature = signature_of(read.tags, received_at, UNSAID_FORM)
    except Unusable as reason:
        return reason
    if SEAL in signature.signed:
        return Unusable("fail", "it covers ARC-Seal, which it must not (RFC 8617 section 4.1.2)")
    return signature


def _seal(read: _Read) -> Seal:
    tags = read.tags
    require(tags, b"a", b"b", b"cv", b"d", b"s")
    if b"h" in tags:
        raise Unusable("fail", "it has h=, which it must not (RFC 8617 section 4.1.3)")
    if tags[b"cv"] not in (b"none", b"pass", b"fail"):
        raise Unusable("fail", "cv= is none of none, pass, fail")
    number_in(tags, b"t")
    domain, selector = domain_in(tags, b"d"), domain_in(tags, b"s")
    return Seal(read.field, domain, selector, algorithm_in(tags), tags[b"cv"], base64_in(tags, b"b"))


def _refuse_by_status(sets: Sequence[ArcSet]) -> None:
    """Section 5.2, steps 2 and 3C."""
    for one in reversed(sets):
        expected = b"none" if one.instance == 1 else b"pass"
        if one.seal.cv == b"fail":
            raise Unusable("fail", f"{one.seal.domain} sealed it with cv=fail (i={one.instance})")
        if one.seal.cv != expected:
            raise Unusable("fail", f"cv= of the ARC-Seal with i={one.instance} is not {expected.decode()}")
