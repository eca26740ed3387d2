"""The messages of the benches: small 5 KB, medium 100 KB, large 10 MB, each unique and DKIM-signed with RSA-2048.

Bodies and signed fields are written in their relaxed canonical form (RFC 6376 section 3.4): so signing is one hash and
one RSA operation, and a set of 200 is ready in a second. `python -m bench.messages small` prints one, for other tools.
"""

from __future__ import annotations

import base64
import hashlib
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

DOMAIN = "sender.example"
"""Not below .test: the libunbound inside opendkim denies that itself (RFC 6761)."""
SELECTOR = "bench"
SENDER = f"anna@{DOMAIN}"
"""Whose mail single messages are; in a load each message has an author of its own, see `author`."""
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
BYTES = {"small": 5_000, "medium": 100_000, "large": 10_000_000}
_BOUNDARY = "=_bench"
_SIGNED = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type")
_WORDS = (
    "the",
    "parcel",
    "has",
    "not",
    "come",
    "yet",
    "and",
    "order",
    "was",
    "paid",
    "on",
    "Monday",
    "where",
    "is",
    "it",
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The sender's DKIM key; its public half stands in the bench's zone."""

    pem: bytes

    @classmethod
    def make(cls) -> SigningKey:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.PKCS8
        return cls(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))

    @property
    def record(self) -> str:
        """The text of the TXT record at `bench._domainkey.sender.example`."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public = _private(self.pem).public_key().public_bytes(serialization.Encoding.DER, form)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"

    def sign(self, fields: dict[str, str], body: bytes) -> str:
        """The value of DKIM-Signature. `fields` and `body` must already be in relaxed canonical form."""
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        names = ":".join(_SIGNED)
        tags = f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={DOMAIN}; s={SELECTOR}; h={names}; bh={digest}; b="
        signed = "".join(f"{name.lower()}:{fields[name]}\r\n" for name in _SIGNED) + f"dkim-signature:{tags}"
        signature = _private(self.pem).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return tags + base64.b64encode(signature).decode()


@cache
def _private(pem: bytes) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def author(n: object) -> str:
    """The author of message `n`: each another one, so that we owe each a confirmation and none is held back."""
    return f"anna.{n}@{DOMAIN}"


def make(size: str, n: object, key: SigningKey, *, to: str = "support@acme.test") -> bytes:
    """Message `n` of a size of `BYTES`, give or take a line, with CRLF line ends."""
    return _message(n, key, to, *_BODIES[size](BYTES[size] - 1_100, n))


def with_virus(n: object, key: SigningKey, *, to: str = "support@acme.test") -> bytes:
    """A small message with the EICAR test file attached."""
    parts = [_text_part(_prose(500, n)), _file_part("application/octet-stream", "invoice.bin", EICAR)]
    return _message(n, key, to, *_multipart("mixed", parts))


def altered(message: bytes) -> bytes:
    """The same with a body that its signature does not cover."""
    return message.rstrip(b"\r\n") + b"\r\nadded on the way\r\n"


def _message(n: object, key: SigningKey, to: str, content_type: str, body: bytes) -> bytes:
    fields = {
        "From": f"Anna Client <{author(n)}>",
        "To": f"<{to}>",
        "Subject": f"Where is my order {n}?",
        "Date": formatdate(),
        "Message-ID": f"<{n}.bench@{DOMAIN}>",
        "MIME-Version": "1.0",
        "Content-Type": content_type,
    }
    lines = [f"DKIM-Signature: {key.sign(fields, body)}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _small(size: int, n: object) -> tuple[str, bytes]:
    text = _prose(size * 46 // 100, n)
    html = _html(text)
    return _multipart("alternative", [_text_part(text), _text_part(html, "html")])


def _medium(size: int, n: object) -> tuple[str, bytes]:
    text = _prose(2_000, n)
    image = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + _noise(_decoded(size - 2_400), n)
    parts = [_text_part(text), _file_part("image/jpeg", "parcel.jpg", image + b"\xff\xd9")]
    return _multipart("mixed", parts)


def _large(size: int, n: object) -> tuple[str, bytes]:
    stream = _noise(_decoded(size - 2_600), n)
    head = f"%PDF-1.4\n1 0 obj\n<</Length {len(stream)}>>\nstream\n".encode()
    document = head + stream + b"\nendstream\nendobj\ntrailer\n<</Size 2>>\n%%EOF\n"
    parts = [_text_part(_prose(2_000, n)), _file_part("application/pdf", "contract.pdf", document)]
    return _multipart("mixed", parts)


_BODIES: dict[str, Callable[[int, object], tuple[str, bytes]]] = {"small": _small, "medium": _medium, "large": _large}


def _decoded(size: int) -> int:
    """How many octets fill `size` octets of base64 lines (76 characters and CRLF hold 57)."""
    return size * 57 // 78


@cache
def _random(size: int) -> bytes:
    return random.Random(1).randbytes(size)


def _noise(size: int, n: object) -> bytes:
    """The same octets with another beginning for each message: clamd remembers clean files by their digest."""
    return str(n).encode().ljust(64) + _random(size)[64:]


def _prose(size: int, n: object) -> str:
    chance = random.Random(str(n))
    lines = [f"This is message {n}."]
    length = 0
    while length < size:
        lines.append(" ".join(chance.choices(_WORDS, k=12)))
        length += len(lines[-1]) + 2
    return "\r\n".join(lines)


def _html(text: str) -> str:
    rows = "\r\n".join(f"<p>{line}</p>" for line in text.split("\r\n"))
    return f"<html><body>\r\n{rows}\r\n</body></html>"


def _text_part(text: str, subtype: str = "plain") -> bytes:
    return f"Content-Type: text/{subtype}; charset=utf-8\r\n\r\n{text}\r\n".encode()


def _file_part(kind: str, name: str, content: bytes) -> bytes:
    head = f'Content-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
    head += f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    return head.encode() + base64.encodebytes(content).replace(b"\n", b"\r\n")


def _multipart(subtype: str, parts: list[bytes]) -> tuple[str, bytes]:
    mark = f"--{_BOUNDARY}\r\n".encode()
    body = b"".join(mark + part for part in parts) + f"--{_BOUNDARY}--\r\n".encode()
    return f'multipart/{subtype}; boundary="{_BOUNDARY}"', body


if __name__ == "__main__":
    sys.stdout.buffer.write(make(sys.argv[1] if len(sys.argv) > 1 else "small", 1, SigningKey.make()))
