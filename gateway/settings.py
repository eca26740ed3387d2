"""What the operator can set, with its defaults. Read once (`configuration.py`), handed down by constructor."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from gateway.core.addresses import BadAddress, normal_domain


def _comma_list(value: object) -> object:
    """The environment has no lists: there, commas separate."""
    return [x.strip() for x in value.split(",") if x.strip()] if isinstance(value, str) else value


def split_host_port(value: str) -> tuple[str, int]:
    """`host:port` or `[ipv6]:port`. Raises ValueError with the cure."""
    host, colon, port = value.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{value!r} is not host:port; write for example 127.0.0.1:2525 or [::1]:2525")
    return host, int(port)


def _listener(value: str) -> str:
    if value.startswith("lmtp:") and not value.startswith("lmtp:unix:"):
        raise ValueError(f"{value!r}: LMTP is for a front server on this machine; write lmtp:unix:PATH")
    if value.startswith(("unix:", "lmtp:unix:")):
        if value.endswith("unix:"):
            raise ValueError(f"{value} needs the path of the socket, for example {value}/run/gateway/mail.sock")
        return value
    split_host_port(value)
    return value


def _network(value: str) -> str:
    try:
        ip_network(value, strict=False)
    except ValueError as error:
        raise ValueError(f"{value!r} is no network; write for example 10.0.0.0/8") from error
    return value


def _rate(value: str) -> str:
    if value != "off" and not re.fullmatch(r"[1-9]\d*/[smhd]", value):
        raise ValueError(f"{value!r} is no rate; write `off` or for example 600/m (per s, m, h or d)")
    return value


HostPort = Annotated[str, Field(min_length=1)]
StringList = Annotated[tuple[str, ...], BeforeValidator(_comma_list)]
PathList = Annotated[tuple[Path, ...], BeforeValidator(_comma_list)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SmtpSettings(_Section):
    listen: StringList = ("127.0.0.1:2525",)
    workers: int = Field(default=0, ge=0, le=64)
    max_message_bytes: int = Field(default=36_700_160, ge=1024)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    require_tls: bool = False
    proxy_protocol_from: StringList = ()
    max_connections: int = Field(default=500, ge=1)
    max_connections_per_client: int = Field(default=50, ge=1)
    rate_per_client: str = "off"
    rate_per_account: str = "off"
    memory_budget_bytes: int = Field(default=67_108_864, ge=1 << 20)

    @field_validator("listen")
    @classmethod
    def _listeners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one listener, for example 127.0.0.1:2525")
        return tuple(_listener(x) for x in value)

    @field_validator("proxy_protocol_from")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_network(x) for x in value)

    @field_validator("rate_per_client", "rate_per_account")
    @classmethod
    def _rates(cls, value: str) -> str:
        return _rate(value)


class DnsSettings(_Section):
    nameservers: StringList = ()
    port: int = Field(default=53, ge=1, le=65535)
    timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    zone_file: Path | None = None

    @field_validator("nameservers")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            try:
                ip_address(entry)
            except ValueError as error:
                raise ValueError(f"{entry!r} is no IP address; name servers are given by address") from error
        return value


class AuthSettings(_Section):
    trusted_arc_sealers: StringList = ("google.com", "microsoft.com")
    budget_seconds: float = Field(default=20.0, gt=0, le=120)

    @field_validator("trusted_arc_sealers")
    @classmethod
    def _domains(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            try:
                normal_domain(name)
            except BadAddress as error:
                raise ValueError(
                    f"{name!r} is no domain; write the d= of the ARC-Seal, for example google.com"
                ) from error
        return value


class ClamavSettings(_Section):
    address: str = "auto"
    timeout_seconds: float = Field(default=30.0, gt=0, le=600)

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        if value in ("auto", "off") or (value.startswith("unix:") and len(value) > 5):
            return value
        if value.startswith("tcp://"):
            split_host_port(value[6:])
            return value
        raise ValueError(f"{value!r}: write `auto`, `off`, unix:PATH or tcp://host:port")


class RspamdSettings(_Section):
    url: str = ""
    password: str = ""
    timeout_seconds: float = Field(default=5.0, gt=0, le=60)

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and not _is_origin(value):
            raise ValueError(f"{value!r}: write http://host:port of rspamd's normal worker, or leave it empty for none")
        return value.rstrip("/")


def _is_origin(value: str) -> bool:
    """`http://host:port` with nothing behind it, or `https`."""
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError:
        return False
    bare = not (url.query or url.fragment or url.username) and url.path in ("", "/")
    return url.scheme in ("http", "https") and bool(url.hostname) and bare


class YaraSettings(_Section):
    rules: PathList = ()
    timeout_seconds: int = Field(default=10, ge=1, le=600)


class RelaySettings(_Section):
    url: StringList = ()


class HttpSettings(_Section):
    listen: str = "127.0.0.1:8080"
    public_url: str = ""

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        split_host_port(value)
        return value


class LogSettings(_Section):
    format: Literal["auto", "console", "json"] = "auto"


class Settings(_Section):
    """All keys of the configuration, with defaults filled in and relative paths made absolute."""

    hostname: str = ""
    domain: str = "gateway.localhost"
    data_dir: Path = Path("var")
    database_url: str = ""
    blob_url: str = ""
    secret_key_file: Path | None = None
    shutdown_grace_seconds: float = Field(default=30.0, ge=0, le=3600)
    smtp: SmtpSettings = SmtpSettings()
    dns: DnsSettings = DnsSettings()
    auth: AuthSettings = AuthSettings()
    clamav: ClamavSettings = ClamavSettings()
    yara: YaraSettings = YaraSettings()
    rspamd: RspamdSettings = RspamdSettings()
    relay: RelaySettings = RelaySettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()

    @field_validator("hostname", "domain")
    @classmethod
    def _domains(cls, value: str, info: Any) -> str:
        if not value and info.field_name == "hostname":
            return value
        try:
            return normal_domain(value)
        except BadAddress as error:
            raise ValueError(f"{value!r} is no domain name; write for example mail.example.com") from error

    @property
    def secret_key_path(self) -> Path:
        return self.secret_key_file or self.data_dir / "secret.key"

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite:")

    @property
    def blob_dir(self) -> Path:
        """The folder of a `file:` blob store."""
        return Path(self.blob_url.removeprefix("file://"))

    @property
    def public_url(self) -> str:
        return (self.http.public_url or f"http://{self.http.listen}").rstrip("/")
