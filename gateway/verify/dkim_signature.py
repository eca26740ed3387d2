"""DKIM-Signature fields and key records, read strictly (RFC 6376 sections 3.5 and 3.6.1, RFC 8301, RFC 8463).

Tag lists are dkimpy's; the judgement is ours, because dkimpy takes signatures that do not sign From, rsa-sha1, bodies
longer than `l=`, and keys whose flags forbid what was done. Keys are verified by `cryptography`: 2048-bit RSA
takes 18 µs there and 211 µs in dkimpy's integers (measured), and OpenSSL's is in constant use by others.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from dkim.util import InvalidTagValueList, parse_tag_value

from gateway.core.addresses import BadAddress, normal_domain
from gateway.verify.dkim_message import BodyForm

SIGNATURE_OCTETS = 16_384
SIGNED_NAMES = 500
KEY_OCTETS = 2_048
"""Room for an RSA key of 8192 bits, beyond which a verification takes milliseconds and no signer goes."""
SMALLEST_RSA_BITS = 1_024
FUTURE_SLACK_SECONDS = 36_000
"""How far the signer's clock may be ahead of ours."""
EXPIRY_SLACK_SECONDS = 300

_BLANKS = re.compile(rb"[ \t\r\n]+")
_NUMBER = re.compile(rb"[0-9]{1,12}")


class Unusable(Exception):
    """A signature or key that cannot prove anything: `result` as RFC 8601 section 2.7.1 names it, and why."""

    def __init__(self, result: str, detail: str) -> None:
        super().__init__(detail)
        self.result = result
        self.detail = detail


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


@dataclass(frozen=True, slots=True)
class Key:
    """A public key with its flags (RFC 6376 section 3.6.1): `strict` is t=s, `testing` t=y."""

    public: RSAPublicKey | Ed25519PublicKey
    strict: bool
    testing: bool

    @property
    def algorithm(self) -> str:
        return "rsa-sha256" if isinstance(self.public, RSAPublicKey) else "ed25519-sha256"

    def verifies(self, octets: bytes, digest: bytes) -> bool:
        """Whether `octets` sign `digest`; Ed25519 signs the digest as its message (RFC 8463 section 3)."""
        try:
            if isinstance(self.public, RSAPublicKey):
                self.public.verify(octets, digest, PKCS1v15(), Prehashed(SHA256()))
            else:
                self.public.verify(octets, digest)
        except InvalidSignature:
            return False
        return True


def tags_of(text: bytes) -> dict[bytes, bytes]:
    """A tag list (RFC 6376 section 3.2). Raises Unusable."""
    try:
        tags: dict[bytes, bytes] = parse_tag_value(text)
    except InvalidTagValueList as error:
        raise Unusable("permerror", "malformed tag list") from error
    return tags


def properties_of(value: bytes) -> tuple[tuple[str, str], ...]:
    """`header.d`, `.s`, `.a` and the first eight characters of `.b` (RFC 6008), as far as they can be read."""
    try:
        tags = tags_of(value[:SIGNATURE_OCTETS])
    except Unusable:
        return ()
    found = []
    for tag in ("d", "s"):
        name = _name_or_none(tags.get(tag.encode(), b""))
        if name:
            found.append((f"header.{tag}", name))
    if algorithm := re.fullmatch(rb"[A-Za-z0-9-]{1,40}", tags.get(b"a", b"")):
        found.append(("header.a", algorithm.group().decode().lower()))
    if start := re.match(rb"[A-Za-z0-9+/=]{1,8}", _BLANKS.sub(b"", tags.get(b"b", b""))):
        found.append(("header.b", start.group().decode()))
    return tuple(found)


def read_signature(value: bytes, received_at: float) -> Signature:
    """A DKIM-Signature's value, judged as of `received_at` (Unix seconds). Raises Unusable."""
    if len(value) > SIGNATURE_OCTETS:
        raise Unusable("permerror", "the signature is too long")
    tags = tags_of(value)
    for tag in (b"v", b"a", b"b", b"bh", b"d", b"h", b"s"):
        if tag not in tags:
            raise Unusable("permerror", f"{tag.decode()}= is missing")
    if tags[b"v"] != b"1":
        raise Unusable("permerror", "v= is not 1")
    domain, selector = _name(tags, b"d"), _name(tags, b"s")
    header, _, body = tags.get(b"c", b"simple/simple").lower().partition(b"/")
    return Signature(
        domain=domain,
        selector=selector,
        identity_domain=_identity_domain(tags, domain),
        algorithm=_algorithm(tags, received_at),
        relaxed_header=_is_relaxed(header),
        form=BodyForm(_is_relaxed(body or b"simple"), _number(tags, b"l")),
        signed=_signed(tags),
        body_hash=_base64(tags, b"bh"),
        octets=_base64(tags, b"b"),
    )


def _algorithm(tags: dict[bytes, bytes], received_at: float) -> str:
    algorithm = tags[b"a"].lower()
    if algorithm == b"rsa-sha1":
        raise Unusable("permerror", "rsa-sha1 proves nothing any more (RFC 8301)")
    if algorithm not in (b"rsa-sha256", b"ed25519-sha256"):
        raise Unusable("permerror", "unknown algorithm")
    if b"q" in tags and b"dns/txt" not in [_BLANKS.sub(b"", q).lower() for q in tags[b"q"].split(b":")]:
        raise Unusable("permerror", "q= is not dns/txt")
    _refuse_out_of_time(_number(tags, b"t"), _number(tags, b"x"), received_at)
    return algorithm.decode()


def _refuse_out_of_time(signed_at: int | None, expires: int | None, received_at: float) -> None:
    if signed_at is not None and signed_at > received_at + FUTURE_SLACK_SECONDS:
        raise Unusable("permerror", "signed in the future")
    if expires is None:
        return
    if signed_at is not None and expires <= signed_at:
        raise Unusable("permerror", "x= is not after t=")
    if expires + EXPIRY_SLACK_SECONDS < received_at:
        raise Unusable("fail", "the signature has expired")


def _identity_domain(tags: dict[bytes, bytes], domain: str) -> str:
    """i= is an address at d= or below it (section 3.5)."""
    if b"i" not in tags:
        return domain
    name = _name_or_none(tags[b"i"].rpartition(b"@")[2]) if b"@" in tags[b"i"] else None
    if name is None or not (name == domain or name.endswith("." + domain)):
        raise Unusable("permerror", "i= is not within d=")
    return name


def _signed(tags: dict[bytes, bytes]) -> tuple[bytes, ...]:
    names = tuple(name.strip().lower() for name in tags[b"h"].split(b":"))
    if len(names) > SIGNED_NAMES:
        raise Unusable("permerror", "h= is too long")
    if b"from" not in names:
        raise Unusable("permerror", "the signature does not cover From (RFC 6376 section 5.4)")
    return names


def _is_relaxed(name: bytes) -> bool:
    if name not in (b"simple", b"relaxed"):
        raise Unusable("permerror", "unknown canonicalisation")
    return name == b"relaxed"


def _number(tags: dict[bytes, bytes], tag: bytes) -> int | None:
    if tag not in tags:
        return None
    if not _NUMBER.fullmatch(tags[tag]):
        raise Unusable("permerror", f"{tag.decode()}= is no number")
    return int(tags[tag])


def _base64(tags: dict[bytes, bytes], tag: bytes) -> bytes:
    try:
        return base64.b64decode(_BLANKS.sub(b"", tags[tag]), validate=True)
    except binascii.Error as error:
        raise Unusable("permerror", f"{tag.decode()}= is no base64") from error


def _name(tags: dict[bytes, bytes], tag: bytes) -> str:
    name = _name_or_none(tags[tag])
    if name is None:
        raise Unusable("permerror", f"{tag.decode()}= is no domain name")
    return name


def _name_or_none(text: bytes) -> str | None:
    """Strict on purpose: `legitimate.example(.attack.example` must mean nothing to anybody (T17)."""
    try:
        decoded = text.decode("utf-8")
        if not decoded or decoded[0] == "[" or decoded[-1] == ".":
            return None
        return normal_domain(decoded)
    except (UnicodeDecodeError, BadAddress):
        return None


def read_key(record: bytes) -> Key:
    """A key record (RFC 6376 section 3.6.1). Raises Unusable."""
    tags = tags_of(record)
    if tags.get(b"v", b"DKIM1") != b"DKIM1":
        raise Unusable("permerror", "not a DKIM key record")
    if b"p" not in tags:
        raise Unusable("permerror", "the key record has no key")
    if not _BLANKS.sub(b"", tags[b"p"]):
        raise Unusable("permerror", "the key is revoked")
    if not {b"*", b"email"} & _listed(tags, b"s", b"*"):
        raise Unusable("permerror", "the key is not for mail (s=)")
    if b"sha256" not in _listed(tags, b"h", b"sha256"):
        raise Unusable("permerror", "the key does not allow sha256 (h=)")
    flags = _listed(tags, b"t", b"")
    return Key(_public(tags), strict=b"s" in flags, testing=b"y" in flags)


def _listed(tags: dict[bytes, bytes], tag: bytes, default: bytes) -> set[bytes]:
    return {item.strip().lower() for item in tags.get(tag, default).split(b":")}


def _public(tags: dict[bytes, bytes]) -> RSAPublicKey | Ed25519PublicKey:
    octets = _base64(tags, b"p")
    kind = tags.get(b"k", b"rsa").lower()
    if len(octets) > KEY_OCTETS:
        raise Unusable("permerror", "the key is too large")
    try:
        if kind == b"ed25519":
            return Ed25519PublicKey.from_public_bytes(octets)
        key = load_der_public_key(octets) if kind == b"rsa" else None
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unusable("permerror", "the key cannot be read") from error
    if not isinstance(key, RSAPublicKey):
        raise Unusable("permerror", "unknown key type")
    if key.key_size < SMALLEST_RSA_BITS:
        raise Unusable("permerror", f"the key has {key.key_size} bits, less than {SMALLEST_RSA_BITS} (RFC 8301)")
    return key
