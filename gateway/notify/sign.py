"""DKIM signatures of our own mail (RFC 6376, RFC 8301): relaxed/relaxed, rsa-sha256.

Written here and not left to dkimpy because its RSA is pure Python: 6.3 ms a signature where
`cryptography` takes 0.3 (measured, RSA-2048). The tests have dkimpy verify what this signs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.core.addresses import normal_domain

SIGNED = (
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "auto-submitted",
)
OVERSIGNED = ("from", "to", "subject", "date", "reply-to")
"""Named once more than they occur (RFC 6376 section 8.15): a field put on top later, which a reader would be shown
instead of ours, breaks the signature.
"""
KEY_BITS = 2048

_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_BLANKS = re.compile(rb"[ \t]+")

Field = tuple[str, bytes]


def sign(content: bytes, *, domain: str, selector: str, private_key_pem: bytes) -> bytes:
    """`content` with a DKIM-Signature of `domain` on top. `content` has CR LF line ends.

    Raises ValueError when there is no From to sign, the domain or selector is none, or the key is no RSA key in PEM.
    """
    head, separator, body = content.partition(b"\r\n\r\n")
    fields = _fields(head)
    if not separator or not content.endswith(b"\r\n") or not any(name == "from" for name, _ in fields):
        raise ValueError("only a message with a header, a From field and CR LF line ends can be signed")
    names = _names(fields)
    unsigned = _signature_field(normal_domain(domain), normal_domain(selector), names, _body_hash(body))
    hashed = b"".join([*_canonical(fields, names), _relaxed("dkim-signature", unsigned)])
    signature = base64.b64encode(_key(private_key_pem).sign(hashed, padding.PKCS1v15(), hashes.SHA256()))
    folded = b"\r\n ".join(signature[i : i + 72] for i in range(0, len(signature), 72))
    return b"DKIM-Signature:" + unsigned + folded + b"\r\n" + content


def new_key() -> tuple[bytes, str]:
    """A new RSA key: the private half in PEM (PKCS #8), and the TXT record for `<selector>._domainkey.<domain>`.

    Takes a good part of a second of one core.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, public_record(pem)


def public_record(private_key_pem: bytes) -> str:
    """The TXT record (RFC 6376 section 3.6.1) that belongs to a private key. Raises ValueError."""
    der = (
        _key(private_key_pem)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode('ascii')}"


@lru_cache(maxsize=256)
def _key(pem: bytes) -> rsa.RSAPrivateKey:
    """Cached: reading a key checks it, which takes many times as long as a signature."""
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("the DKIM key is no RSA key")  # noqa: TRY004  # a wrong value, of a right type
    return key


def _fields(head: bytes) -> list[Field]:
    split = (one.partition(b":") for one in _FIELD_END.split(head))
    return [(name.strip(b" \t").lower().decode("ascii", "replace"), value) for name, _, value in split]


def _names(fields: Sequence[Field]) -> list[str]:
    """The h= tag: each field of SIGNED as often as it occurs, the oversigned ones once more."""
    there = [name for name, _ in fields]
    return [name for wanted in SIGNED for name in [wanted] * (there.count(wanted) + (wanted in OVERSIGNED))]


def _signature_field(domain: str, selector: str, names: Sequence[str], body_hash: str) -> bytes:
    """The value of the field with an empty b=, which is the last tag so that what is hashed is what stands before it."""
    lines = [
        f" v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain};",
        f" s={selector};",
        " h=" + _folded(names) + ";",
        f" bh={body_hash};",
        " b=",
    ]
    return "\r\n".join(lines).encode("ascii")


def _folded(names: Sequence[str]) -> str:
    """`names` joined by colons, with line ends between them: an h= may be folded around its colons."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > 70:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n  ".join(lines).removesuffix(":")


def _canonical(fields: Sequence[Field], names: Sequence[str]) -> list[bytes]:
    """RFC 6376 section 5.4.2: a name that comes again means the next field upwards, and nothing when there is none."""
    left = list(fields)
    found = []
    for name in names:
        place = next((i for i in range(len(left) - 1, -1, -1) if left[i][0] == name), None)
        if place is not None:
            found.append(_relaxed(name, left.pop(place)[1]) + b"\r\n")
    return found


def _relaxed(name: str, value: bytes) -> bytes:
    """RFC 6376 section 3.4.2, without the CR LF."""
    return name.encode("ascii") + b":" + _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _body_hash(body: bytes) -> str:
    """RFC 6376 section 3.4.4, in linear time: blanks are joined first, so that at most one is left before a CR LF."""
    joined = _BLANKS.sub(b" ", body).replace(b" \r\n", b"\r\n")
    stripped = joined.rstrip(b"\r\n")
    canonical = stripped + b"\r\n" if stripped else b""
    return base64.b64encode(hashlib.sha256(canonical).digest()).decode("ascii")
