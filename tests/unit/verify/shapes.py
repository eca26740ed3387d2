"""Small factories: an envelope, a message as the parser would read it, a place, a resolver over a dict."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dkim.canonicalization import CanonicalizationPolicy

from gateway.core.envelope import Client, Envelope
from gateway.core.errors import DnsFailure
from gateway.core.message import Address, ParsedMessage
from gateway.core.place import Mailbox, Place

CLIENT = Client("127.0.0.9", "client.test")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def envelope(
    content: bytes = b"From: a@b.test\r\n\r\nx\r\n",
    *,
    reverse_path: str | None = "carol@customer.test",
    client: Client | None = CLIENT,
    recipients: tuple[str, ...] = ("support@acme.gw.test",),
    at: datetime = NOON,
) -> Envelope:
    return Envelope(
        trace_id="7F3KQ2MXA5BTW6DR",
        account="acme",
        source="smtp",
        received_at=at,
        client=client,
        reverse_path=reverse_path,
        recipients=recipients,
        smtputf8=False,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
    )


_MESSAGE = ParsedMessage(
    message_id="m1@customer.test",
    author=None,
    from_shown="",
    author_domains=(),
    originator=None,
    reply_to=(),
    to=(),
    cc=(),
    subject="",
    date=None,
    references=(),
    automatic="",
    is_list=False,
    is_report=False,
    received_count=0,
    headers=(),
    text="",
    text_new="",
    html=None,
    parts=(),
    body_digest="",
    defects=(),
)


def message(author: str | None) -> ParsedMessage:
    if author is None:
        return replace(_MESSAGE, from_shown="a@x.test, b@y.test", author_domains=("x.test", "y.test"))
    return replace(
        _MESSAGE, author=Address(author), from_shown=author, author_domains=(author.rpartition("@")[2].lower(),)
    )


def place(*mailboxes: str, own: tuple[str, ...] = ("acme.test", "acme.gw.test")) -> Place:
    boxes = [Mailbox(str(n), a, "Acme Support", "support", None, None, n == 0) for n, a in enumerate(mailboxes)]
    return Place(
        account_id="1",
        account="acme",
        account_domain="acme.gw.test",
        company_name="Acme",
        language="en",
        timezone="UTC",
        mailboxes=tuple(boxes),
        own_domains=frozenset(own),
        own_addresses=frozenset(mailboxes),
        agent_addresses=frozenset(),
        policy_version=1,
    )


class DictResolver:
    """A `core.ports.Resolver` over {(name, kind): [values]}; `broken` names fail, `asked` remembers."""

    def __init__(self, zone: dict[tuple[str, str], list[Any]], broken: set[str] | None = None) -> None:
        self.zone = {(name.lower(), kind): values for (name, kind), values in zone.items()}
        self.broken = broken or set()
        self.asked: list[tuple[str, str]] = []

    async def txt(self, name: str) -> tuple[bytes, ...]:
        return tuple(b"".join(strings) for strings in await self.records(name, "TXT"))

    async def records(self, name: str, kind: str) -> tuple[Any, ...]:
        name = name.lower().rstrip(".")
        self.asked.append((name, kind))
        if name in self.broken:
            raise DnsFailure(f"SERVFAIL for {name}")
        values = self.zone.get((name, kind), [])
        if kind == "TXT":
            return tuple((v if isinstance(v, bytes) else v.encode(),) for v in values)
        return tuple(values)

    def known(self, _name: str, _kind: str) -> tuple[Any, ...] | None:
        """Nothing: so that everything is asked."""
        return None


@lru_cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@lru_cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def key_record(key, extra: str = "") -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        octets, kind = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), "ed25519"
    else:
        octets, kind = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "rsa"
    return f"v=DKIM1; k={kind}; {extra}p={base64.b64encode(octets).decode()}"


def mail(author: str = "carol@customer.test", body: str = "It leaks.\r\n", **fields: str) -> bytes:
    lines = [
        f"From: {author}",
        "To: support@acme.test",
        "Subject: Broken pump",
        "Date: Sat, 21 Nov 2026 12:00:00 +0000",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", body]).encode()


def sign(
    content: bytes,
    domain: str = "customer.test",
    *,
    key=None,
    selector: str = "s1",
    signed: str = "from:to:subject:date",
    form: str = "relaxed/relaxed",
    algorithm: str = "",
    length: int | None = None,
    extra: str = "",
) -> bytes:
    """The message with one more DKIM-Signature on top, made from RFC 6376 with any tags one likes."""
    key = key or rsa_key()
    algorithm = algorithm or ("ed25519-sha256" if key is ed_key() else "rsa-sha256")
    head, _, body = content.partition(b"\r\n\r\n")
    fields = [tuple(line.split(b":", 1)) for line in head.split(b"\r\n")]
    rules = CanonicalizationPolicy.from_c_value(form.encode())
    body = rules.canonicalize_body(body)
    body_hash = base64.b64encode(hashlib.sha256(body[:length]).digest()).decode()
    limit = "" if length is None else f" l={length};"
    value = f" v=1; a={algorithm}; c={form}; d={domain}; s={selector};{extra}{limit} h={signed}; bh={body_hash}; b="
    left = list(fields)
    chosen = []
    for name in signed.encode().split(b":"):
        match = next((f for f in reversed(left) if f[0].lower() == name), None)
        if match:
            left.remove(match)
            chosen.append((match[0], match[1] + b"\r\n"))
    canonical = rules.canonicalize_headers([*chosen, (b"DKIM-Signature", value.encode())])
    octets = b"".join(n + b":" + v for n, v in canonical[:-1])
    octets += canonical[-1][0] + b":" + canonical[-1][1].removesuffix(b"\r\n")
    digest = hashlib.sha256(octets).digest()
    proof = key.sign(digest) if key is ed_key() else key.sign(digest, padding.PKCS1v15(), utils.Prehashed(SHA256()))
    return b"DKIM-Signature:" + value.encode() + base64.b64encode(proof) + b"\r\n" + content


def domain_zone(name: str, *ips: str, policy: str = "reject", key=None) -> dict[tuple[str, str], list[Any]]:
    """What a sending domain publishes: SPF for `ips`, MX, a DKIM key `s1`, a DMARC policy."""
    zone: dict[tuple[str, str], list[Any]] = {
        (name, "TXT"): ["v=spf1 " + "".join(f"ip4:{ip} " for ip in ips) + "-all"],
        (name, "MX"): [(10, f"mx.{name}")],
        (f"mx.{name}", "A"): ["127.0.0.250"],
        (f"s1._domainkey.{name}", "TXT"): [key_record(key or rsa_key())],
    }
    if policy:
        zone[(f"_dmarc.{name}", "TXT")] = [f"v=DMARC1; p={policy}"]
    return zone
