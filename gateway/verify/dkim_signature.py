"""DKIM-Signature fields, read strictly (RFC 6376 section 3.5, RFC 8301, RFC 8463).

Tag lists are dkimpy's; the judgement is ours, because dkimpy takes signatures that do not sign From, rsa-sha1, bodies
longer than `l=`, and keys whose flags forbid what was done.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.verify.dkim_key import Key
from gateway.verify.dkim_message import BodyForm, Field, Message, header_octets
from gateway.verify.tag_list import (
    BLANKS,
    Unusable,
    base64_in,
    domain_in,
    domain_or_none,
    number_in,
    require,
    tags_of,
)

SIGNATURE_OCTETS = 16_384
SIGNED_NAMES = 500
FUTURE_SLACK_SECONDS = 36_000
"""How far the signer's clock may be ahead of ours."""
EXPIRY_SLACK_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM-Signature that is well-formed and neither expired nor historic. Domains in A-labels, lower case."""

    domain: str
    selector: str
    identity_domain: str
    algorithm: str
    relaxed_header: bool
    form: BodyForm
    signed: tuple[bytes, ...]
    body_hash: bytes
    octets: bytes

    @property
    def key_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


def properties_of(value: bytes) -> tuple[tuple[str, str], ...]:
    """`header.d`, `.s`, `.a` and the first eight characters of `.b` (RFC 6008), as far as they can be read."""
    try:
        tags = tags_of(value[:SIGNATURE_OCTETS])
    except Unusable:
        return ()
    found = []
    for tag in ("d", "s"):
        name = domain_or_none(tags.get(tag.encode(), b""))
        if name:
            found.append((f"header.{tag}", name))
    if algorithm := re.fullmatch(rb"[A-Za-z0-9-]{1,40}", tags.get(b"a", b"")):
        found.append(("header.a", algorithm.group().decode().lower()))
    if start := re.match(rb"[A-Za-z0-9+/=]{1,8}", BLANKS.sub(b"", tags.get(b"b", b""))):
        found.append(("header.b", start.group().decode()))
    return tuple(found)


def read_signature(value: bytes, received_at: float) -> Signature:
    """A DKIM-Signature's value, judged as of `received_at` (Unix seconds). Raises Unusable."""
    if len(value) > SIGNATURE_OCTETS:
        raise Unusable("permerror", "the signature is too long")
    tags = tags_of(value)
    require(tags, b"v")
    if tags[b"v"] != b"1":
        raise Unusable("permerror", "v= is not 1")
    signature = signature_of(tags, received_at)
    if b"from" not in signature.signed:
        raise Unusable("permerror", "the signature does not cover From (RFC 6376 section 5.4)")
    return replace(signature, identity_domain=_identity_domain(tags, signature.domain))


def signature_of(tags: Mapping[bytes, bytes], received_at: float, form: bytes = b"simple/simple") -> Signature:
    """The tags a DKIM-Signature shares with an ARC-Message-Signature (RFC 8617 section 4.1.2). Raises Unusable.

    `form` holds where `c=` is missing.
    """
    require(tags, b"a", b"b", b"bh", b"d", b"h", b"s")
    domain = domain_in(tags, b"d")
    header, _, body = tags.get(b"c", form).lower().partition(b"/")
    algorithm = algorithm_in(tags)
    if b"q" in tags and b"dns/txt" not in [BLANKS.sub(b"", q).lower() for q in tags[b"q"].split(b":")]:
        raise Unusable("permerror", "q= is not dns/txt")
    _refuse_out_of_time(number_in(tags, b"t"), number_in(tags, b"x"), received_at)
    return Signature(
        domain=domain,
        selector=domain_in(tags, b"s"),
        identity_domain=domain,
        algorithm=algorithm,
        relaxed_header=_is_relaxed(header),
        form=BodyForm(_is_relaxed(body or b"simple"), number_in(tags, b"l")),
        signed=_signed(tags),
        body_hash=base64_in(tags, b"bh"),
        octets=base64_in(tags, b"b"),
    )


def algorithm_in(tags: Mapping[bytes, bytes]) -> str:
    """A signing algorithm that still proves something (RFC 8301, RFC 8463). Raises Unusable."""
    algorithm = tags[b"a"].lower()
    if algorithm == b"rsa-sha1":
        raise Unusable("permerror", "rsa-sha1 proves nothing any more (RFC 8301)")
    if algorithm not in (b"rsa-sha256", b"ed25519-sha256"):
        raise Unusable("permerror", "unknown algorithm")
    return algorithm.decode()


def verifying_key(message: Message, field: Field, signature: Signature, keys: Sequence[Key]) -> Key | None:
    """The first of `keys` under which `b=` signs the header; None when there is none."""
    octets = header_octets(message, signature.signed, field, relaxed=signature.relaxed_header)
    digest = hashlib.sha256(octets).digest()
    return next((key for key in keys if key.verifies(signature.octets, digest)), None)


def _refuse_out_of_time(signed_at: int | None, expires: int | None, received_at: float) -> None:
    if signed_at is not None and signed_at > received_at + FUTURE_SLACK_SECONDS:
        raise Unusable("permerror", "signed in the future")
    if expires is None:
        return
    if signed_at is not None and expires <= signed_at:
        raise Unusable("permerror", "x= is not after t=")
    if expires + EXPIRY_SLACK_SECONDS < received_at:
        raise Unusable("fail", "the signature has expired")


def _identity_domain(tags: Mapping[bytes, bytes], domain: str) -> str:
    """i= is an address at d= or below it (section 3.5)."""
    if b"i" not in tags:
        return domain
    name = domain_or_none(tags[b"i"].rpartition(b"@")[2]) if b"@" in tags[b"i"] else None
    if name is None or not (name == domain or name.endswith("." + domain)):
        raise Unusable("permerror", "i= is not within d=")
    return name


def _signed(tags: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    names = tuple(name.strip().lower() for name in tags[b"h"].split(b":"))
    if len(names) > SIGNED_NAMES:
        raise Unusable("permerror", "h= is too long")
    return names


def _is_relaxed(name: bytes) -> bool:
    if name not in (b"simple", b"relaxed"):
        raise Unusable("permerror", "unknown canonicalisation")
    return name == b"relaxed"
