"""One attempt to hand a finished message on: `deliver` always ends in a `Delivery`, whatever the other side does."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from gateway.core.addresses import BadAddress, normal_domain
from gateway.core.errors import InvalidInput
from gateway.core.notice import Delivery, DeliveryResult
from gateway.notify.headers import LINE_OCTETS, exact_address
from gateway.notify.patience import Patience
from gateway.notify.relay_file import FileRelay
from gateway.notify.relay_smtp import Security, SmtpRelay

_FORMS = "file:DIR, smtp://host:port, smtp+starttls://user:pass@host:587 or smtps://user:pass@host:465"
_SECURITY = {"smtp": Security.NONE, "smtp+starttls": Security.STARTTLS, "smtps": Security.TLS}
_PORT = {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}


class Relay(Protocol):
    """Something that takes our mail on. `name` stands in the delivery log: it holds no credentials."""

    @property
    def name(self) -> str: ...

    async def deliver(
        self, *, reverse_path: str | None, recipient: str, content: bytes, patience: Patience
    ) -> Delivery: ...

    async def knock(self, patience: Patience) -> Delivery | None:
        """Whether it would take mail now: None, or what would become of mail just now (always `retry`)."""
        ...

    async def probe(self, *, timeout_seconds: float) -> str:
        """Whether it would take mail now, without sending any: empty, or what is wrong in a few words."""
        ...

    async def close(self) -> None:
        """Let go of connections that are kept for the next message."""
        ...


async def deliver(
    relay: Relay, *, reverse_path: str | None, recipient: str, content: bytes, patience: Patience
) -> Delivery:
    """Try once to hand `content` to `relay`, for as long as `patience` lasts.

    What must not leave us at all (stray line ends, lines too long, an address that is none) is `failed` unsent.
    """
    try:
        receiver = exact_address(recipient)
        sender = exact_address(reverse_path) if reverse_path else None
        _check(content)
    except InvalidInput as fault:
        return Delivery(DeliveryResult.FAILED, 0, f"not sent: {fault}", relay.name)
    return await relay.deliver(reverse_path=sender, recipient=receiver, content=content, patience=patience)


def parse_relay(url: str, *, hostname: str = "localhost") -> Relay:
    """The relay that `relay.url` names; `hostname` is what we call ourselves in EHLO. No connection is made.

    Raises InvalidInput, whose text never repeats the URL: it may hold a password.
    """
    scheme, colon, rest = url.strip().partition(":")
    scheme = scheme.lower()
    if not colon or not scheme:
        raise InvalidInput(f"relay.url: write it as {_FORMS}")
    if scheme == "file":
        return _file_relay(rest)
    if scheme == "mx":
        raise InvalidInput("relay.url: mx: is not available in this version: name a relay that delivers for you")
    if scheme not in _SECURITY:
        raise InvalidInput(f"relay.url: this scheme is not known: write it as {_FORMS}")
    return _smtp_relay(_SECURITY[scheme], url.strip(), hostname)


def _file_relay(rest: str) -> FileRelay:
    folder = rest.removeprefix("//") if rest.startswith("///") else rest
    if not folder or folder.startswith("//"):
        raise InvalidInput("relay.url: file: needs a folder, as in file:./outgoing or file:///var/spool/outgoing")
    return FileRelay(Path(folder))


def _smtp_relay(security: Security, url: str, hostname: str) -> SmtpRelay:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # The library's own words quote what it could not read: with an unescaped `#` that is the password.
        raise InvalidInput(
            "relay.url: host or port cannot be read: write @ : / # ? % in a password as %40 %3A %2F %23 %3F %25"
        ) from None
    if port == 0:
        raise InvalidInput("relay.url: port 0 is none")
    username, password = _credentials(parts, security)
    return SmtpRelay(
        host=_host(parts),
        port=_PORT[security] if port is None else port,
        security=security,
        username=username,
        password=password,
        hostname=hostname,
    )


def _host(parts: SplitResult) -> str:
    if parts.query or parts.fragment or parts.path not in {"", "/"}:
        raise InvalidInput("relay.url: nothing may follow the port: write / # ? in a password as %2F %23 %3F")
    host = parts.hostname or ""
    literal = f"[IPv6:{host}]" if ":" in host else host
    try:
        normal = normal_domain(literal)
    except BadAddress as error:
        raise InvalidInput(f"relay.url: the host is missing or malformed: write it as {_FORMS}") from error
    return host if ":" in host else normal


def _credentials(parts: SplitResult, security: Security) -> tuple[str | None, str | None]:
    if parts.username is None:
        return None, None
    if not parts.username or not parts.password:
        raise InvalidInput("relay.url: write both user and password, as in smtps://user:pass@host")
    if security is Security.NONE:
        raise InvalidInput("relay.url: smtp:// would send the password unencrypted: use smtp+starttls:// or smtps://")
    return unquote(parts.username), unquote(parts.password)


def _check(content: bytes) -> None:
    """Raises InvalidInput for octets that must not go out: the last look, whoever made them (T02)."""
    ends = content.count(b"\r\n")
    if not content.endswith(b"\r\n") or content.count(b"\r") != ends or content.count(b"\n") != ends:
        raise InvalidInput("the message has line ends that are not CR LF")
    if max(map(len, content.split(b"\r\n"))) > LINE_OCTETS:
        raise InvalidInput(f"the message has a line of more than {LINE_OCTETS} octets")
