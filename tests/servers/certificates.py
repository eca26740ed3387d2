"""A certificate authority for tests: certificates with the names, dates and keys that a test asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

STARTED = timedelta(days=-100)
ENDS = timedelta(days=90)


def new_key(kind: str = "ec") -> Key:
    """`ec` (P-256), `ed25519`, or `rsa` with its bits: `rsa2048`."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))


def name_of(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass(frozen=True)
class Issued:
    """A certificate with its key; `chain` are the intermediates that belong behind it."""

    cert: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def cert_pem(self) -> bytes:
        return self.cert.public_bytes(Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        """As certbot's fullchain.pem: the server's own first, the root left out."""
        return b"".join(c.public_bytes(Encoding.PEM) for c in (self.cert, *self.chain))

    @property
    def der(self) -> bytes:
        return self.cert.public_bytes(Encoding.DER)

    def key_pem(self, password: bytes | None = None) -> bytes:
        cipher: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, cipher)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """`fullchain.pem` and `privkey.pem`, in place of what was there."""
        folder.mkdir(parents=True, exist_ok=True)
        cert, key = folder / "fullchain.pem", folder / "privkey.pem"
        cert.write_bytes(self.chain_pem)
        key.write_bytes(self.key_pem())
        key.chmod(0o600)
        return cert, key


@dataclass
class Authority:
    """Signs certificates; an intermediate one stands in the chain of what it signs, a root does not."""

    name: str = "Test Root"
    kind: str = "ec"
    above: Authority | None = None
    key: Key = field(init=False)
    cert: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.key = new_key(self.kind)
        signer = self.above or self
        now = datetime.now(UTC)
        self.cert = (
            x509.CertificateBuilder()
            .subject_name(name_of(self.name))
            .issuer_name(name_of(signer.name))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=3650))
            .not_valid_after(now + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(signer.key, _digest(signer.key))
        )

    def intermediate(self, name: str = "Test Intermediate") -> Self:
        return type(self)(name, above=self)

    @property
    def cert_pem(self) -> str:
        """What a client trusts (`cadata`)."""
        return self.cert.public_bytes(Encoding.PEM).decode()

    def issue(
        self,
        *names: str,
        starts: timedelta = STARTED,
        ends: timedelta = ENDS,
        key: str | Key = "ec",
        issuer_url: str = "",
    ) -> Issued:
        """For DNS names; none makes a certificate without subjectAltName. `starts` and `ends` count from now."""
        private = new_key(key) if isinstance(key, str) else key
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name_of(names[0] if names else "nobody"))
            .issuer_name(self.cert.subject)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + starts)
            .not_valid_after(now + ends)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        if issuer_url:
            access = x509.AccessDescription(
                AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(issuer_url)
            )
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), False)
        chain = (self.cert,) if self.above else ()
        return Issued(builder.sign(self.key, _digest(self.key)), private, chain)


def _digest(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
