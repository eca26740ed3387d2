"""The certificate of `smtp.tls_cert` with the key of `smtp.tls_key`: read, judged, and read again when a file changes.

A renewal needs no restart and no signal. What replaces a good pair must be a good pair: else the last good one stays.
"""

from __future__ import annotations

import os
import pwd
import ssl
import stat
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from gateway import log, metrics
from gateway.core.clock import now
from gateway.core.errors import InvalidInput
from gateway.last_good import LastGood

CERT, KEY = "smtp.tls_cert", "smtp.tls_key"
ALARM = timedelta(days=21)
"""So long before its end a certificate is worth a warning: what renews it should have done so by then."""
REMINDER = timedelta(days=1)
PATIENCE_SECONDS = 10.0
"""Two files are never replaced at once; a pair that does not fit is in the middle of it for so long."""
RETRY_SECONDS = 60.0
"""Then it is looked at as often, for causes that change no file (no descriptor left, a disk that does not answer)."""
LARGEST_BYTES = 1 << 20
_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
_AGAIN = "copy it anew, all of it"
_WEAK = frozenset({"EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"})


class Validity(StrEnum):
    """A certificate's dates against the clock."""

    GOOD = "good"
    ENDS_SOON = "ends-soon"
    EXPIRED = "expired"
    NOT_YET = "not-yet"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key, ready to serve.

    `names` are the DNS names of the subjectAltName, in lower case, wildcards as they stand; a common name counts as
    none (RFC 9525 section 2). `lacks_issuer`: a public authority's certificate without the one that signed it.
    """

    context: ssl.SSLContext
    starts_at: datetime
    expires_at: datetime
    names: frozenset[str]
    lacks_issuer: bool

    def validity(self, moment: datetime) -> Validity:
        if self.expires_at <= moment:
            return Validity.EXPIRED
        if self.starts_at > moment:
            return Validity.NOT_YET
        return Validity.ENDS_SOON if self.expires_at - moment < ALARM else Validity.GOOD

    def dates(self, moment: datetime) -> str:
        """The validity in words, with the cure where one is needed."""
        starts, ends = f"{self.starts_at:%Y-%m-%d %H:%MZ}", f"{self.expires_at:%Y-%m-%d}"
        match self.validity(moment):
            case Validity.GOOD:
                return f"valid until {ends}"
            case Validity.ENDS_SOON:
                left = (self.expires_at - moment).days
                return f"valid until {ends}, {left} days left; renew it, or look why that did not happen by itself"
            case Validity.EXPIRED:
                return f"expired since {ends}; renew it: who checks certificates does not deliver"
            case Validity.NOT_YET:
                return f"not valid before {starts}; check the clock, or put back the one before it"

    def is_for(self, hostname: str) -> bool:
        """RFC 9525 section 6.3: `*` stands for the whole leftmost label."""
        return not self.names.isdisjoint({hostname.lower(), f"*.{hostname.lower().partition('.')[2]}"})


# --- one reading ---


def read_pair(cert: Path, key: Path) -> Pair:
    """Both files, if they can serve. Raises InvalidInput: which file, what is wrong, how to mend it.

    An expired pair is one all the same: senders with opportunistic TLS do not look at dates (RFC 7435), and without TLS
    their mail would come in clear.
    """
    chain = _chain(cert, _content(CERT, cert))
    _require_private_key(key, _content(KEY, key))
    try:
        return Pair(
            context=_context(cert, key, chain),
            starts_at=chain[0].not_valid_before_utc,
            expires_at=chain[0].not_valid_after_utc,
            names=_names(chain[0]),
            lacks_issuer=_lacks_issuer(chain),
        )
    except _UNREADABLE as error:
        raise InvalidInput(
            f"{CERT}: {cert}: its first certificate cannot be read ({error}); have it made anew"
        ) from None


def _content(setting: str, path: Path) -> bytes:
    try:
        kind = path.stat()
        if stat.S_ISREG(kind.st_mode) and kind.st_size <= LARGEST_BYTES:
            return path.read_bytes()
    except FileNotFoundError:
        without = f"or leave {CERT} and {KEY} out to offer no TLS"
        raise InvalidInput(f"{setting}: there is no file {path}; correct the path, {without}") from None
    except PermissionError:
        cure = "make it, and the folders it is in, readable for that user"
        raise InvalidInput(f"{setting}: {path} may not be read by the user {_myself()}; {cure}") from None
    except OSError as error:
        raise InvalidInput(f"{setting}: {path} cannot be read: {error.strerror or error}") from None
    what = "a folder" if stat.S_ISDIR(kind.st_mode) else "no file, or far too large"
    raise InvalidInput(f"{setting}: {path} is {what}; name the PEM file itself")


def _myself() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user often has no name
        return str(os.geteuid())


def _chain(path: Path, content: bytes) -> list[x509.Certificate]:
    """All certificates of the file, the server's own first."""
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise InvalidInput(f"{CERT}: {path} {_instead(content, 'certificate', 'x509')}")
    try:
        return x509.load_pem_x509_certificates(content)
    except _UNREADABLE:
        raise InvalidInput(f"{CERT}: {path} is damaged or cut short; {_AGAIN}") from None


def _require_private_key(path: Path, content: bytes) -> None:
    if b"PRIVATE KEY-----" not in content:
        raise InvalidInput(f"{KEY}: {path} {_instead(content, 'private key', 'pkey')}")


def _instead(content: bytes, wanted: str, converter: str) -> str:
    """What a file holds in place of what is wanted of it, as the rest of a sentence."""
    if not content.strip():
        return f"is empty; it must hold the {wanted} in PEM"
    if b"-----BEGIN " not in content:
        return f"is not PEM; if it is DER, convert it with `openssl {converter} -inform der -in … -out …`"
    return f"holds no {wanted}; are {CERT} and {KEY} the right way round?"


class _Encrypted(Exception):
    """OpenSSL would have a password; ends a reading and reaches nobody."""


def _no_password() -> NoReturn:
    """Without this OpenSSL asks on the terminal, and a service waits for ever."""
    raise _Encrypted


def _context(cert: Path, key: Path, chain: list[x509.Certificate]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    # said here, whatever the library was built with: CRIME, and handshakes at the client's pleasure
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(cert, key, _no_password)
    except _Encrypted:
        cure = f"take the password off: `openssl pkey -in {key.name} -out …`"
        raise InvalidInput(f"{KEY}: {key} is encrypted, and nobody is there to give the password; {cure}") from None
    except ssl.SSLError as error:
        raise InvalidInput(_refusal(cert, key, chain, error)) from None
    except OSError as error:  # gone since it was read
        raise InvalidInput(f"{CERT}: {cert} with {key} cannot be read: {error.strerror or error}") from None
    return context


def _refusal(cert: Path, key: Path, chain: list[x509.Certificate], error: ssl.SSLError) -> str:
    """Why OpenSSL does not take them, in words: its own are about structures, and differ by release."""
    if error.reason in _WEAK:
        return (
            f"{CERT}: {cert}: its key or signature is too weak ({error.reason}); have one made with RSA 2048 or P-256"
        )
    try:
        public = serialization.load_pem_private_key(key.read_bytes(), None).public_key()
        place = next((n for n, c in enumerate(chain, 1) if c.public_key() == public), None)
    except (*_UNREADABLE, TypeError, OSError):
        return f"{KEY}: {key} is damaged, or of a kind that TLS does not use; {_AGAIN}"
    if place is None:
        return f"{KEY}: {key} is not the key of {cert}; name the two that were made together"
    if place > 1:
        return f"{CERT}: {cert}: the certificate of {key} stands at place {place}; it must be the first in the file"
    return f"{CERT}: {cert} is not taken ({error.reason or error}); {_AGAIN}"


def _names(cert: x509.Certificate) -> frozenset[str]:
    try:
        alternatives = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in alternatives.get_values_for_type(x509.DNSName))


def _lacks_issuer(chain: list[x509.Certificate]) -> bool:
    """Public authorities sign with an intermediate and say where it is to be had; few senders go and fetch it."""
    first = chain[0]
    if any(c.subject == first.issuer for c in chain):
        return False
    try:
        access = first.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS).value
    except x509.ExtensionNotFound:
        return False
    assert isinstance(access, x509.AuthorityInformationAccess)
    return any(a.access_method == AuthorityInformationAccessOID.CA_ISSUERS for a in access)


# --- over time ---

_State = tuple[tuple[int, ...], ...]
_UNLIKE_ANY: _State = ()


def _state(*paths: Path) -> _State:
    """Moves when a file, or what a link leads to, was replaced, written, or made readable."""
    return tuple(_state_of(p) for p in paths)


def _state_of(path: Path) -> tuple[int, ...]:
    try:
        seen = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


@dataclass(slots=True)
class _Trouble:
    """Files that cannot take the place of the pair in use; `told` is the state of them that the log has."""

    since: float
    tried_at: float
    told: _State | None = None


class Certificates:
    """The pair in use. `refresh` runs in one thread at a time; the properties may be read from any."""

    def __init__(self, cert: Path, key: Path, last_good: LastGood | None = None) -> None:
        """Files that cannot serve are looked at again and again while the last good pair of this or another worker is in use.

        Raises InvalidInput where there is none: which file, what is wrong, how to mend it; not for a pair that has expired.
        """
        self._cert, self._key = cert, key
        self._last_good = last_good or LastGood()
        self._log = log.get("certificates")
        self._trouble: _Trouble | None = None
        self._reminded: tuple[Validity, datetime] | None = None
        state = _state(cert, key)
        try:
            self._use(read_pair(cert, key), state)
        except InvalidInput as error:
            self._use_last_good(error)
        else:
            self._remember()
        self._remind()

    @property
    def context(self) -> ssl.SSLContext:
        """For the next handshake: TLS 1.2 or newer, no client certificate asked for."""
        return self._pair.context

    @property
    def expires_at(self) -> datetime:
        return self._pair.expires_at

    @property
    def names(self) -> frozenset[str]:
        return self._pair.names

    def refresh(self) -> None:
        """Two stat calls where nothing changed. Never raises for a file: the last good pair stays, the log says why."""
        state = _state(self._cert, self._key)
        if state == self._in_use:
            self._trouble = None
        elif self._is_due(state):
            self._try(state)
        self._remind()

    def _is_due(self, state: _State) -> bool:
        trouble = self._trouble
        return trouble is None or trouble.told != state or time.monotonic() - trouble.tried_at >= RETRY_SECONDS

    def _try(self, state: _State) -> None:
        try:
            pair = read_pair(self._cert, self._key)
        except InvalidInput as error:
            self._keep(state, str(error))
            return
        if _state(self._cert, self._key) != state:
            return  # changed while it was read: what was read may be of two pairs
        self._use(pair, state)
        self._remember()
        self._log.info("new certificate in use", file=str(self._cert), ends=pair.expires_at.isoformat())

    def _use_last_good(self, error: InvalidInput) -> None:
        spares = self._last_good.spares((self._cert, self._key))
        if spares is None:
            raise error
        pair = read_pair(*spares)
        self._use(pair, _UNLIKE_ANY)
        self._log.error("certificate not usable; the last good one is", reason=str(error), ends=self._ends())

    def _remember(self) -> None:
        try:
            contents = {path: path.read_bytes() for path in (self._cert, self._key)}
        except OSError:
            return
        if _state(self._cert, self._key) == self._in_use:
            self._last_good.keep(contents)

    def _use(self, pair: Pair, state: _State) -> None:
        self._pair, self._in_use, self._trouble, self._reminded = pair, state, None, None
        metrics.CERTIFICATE_EXPIRES_SECONDS.labels(CERT).set(pair.expires_at.timestamp())

    def _keep(self, state: _State, reason: str) -> None:
        moment = time.monotonic()
        if self._trouble is None or self._trouble.told not in (None, state):
            self._trouble = _Trouble(since=moment, tried_at=moment)
        self._trouble.tried_at = moment
        if self._trouble.told == state or moment - self._trouble.since < PATIENCE_SECONDS:
            return
        self._trouble.told = state
        self._log.error("new certificate not usable; the one before stays in use", reason=reason, ends=self._ends())

    def _remind(self) -> None:
        """At once when the dates begin to matter, then once a day."""
        moment = now()
        validity = self._pair.validity(moment)
        told, at = self._reminded or (Validity.GOOD, moment)
        if validity is Validity.GOOD or (validity is told and moment - at < REMINDER):
            return
        self._reminded = validity, moment
        write = self._log.warning if validity is Validity.ENDS_SOON else self._log.error
        write("certificate needs attention", file=str(self._cert), dates=self._pair.dates(moment))

    def _ends(self) -> str:
        return self._pair.expires_at.isoformat()
