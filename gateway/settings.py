"""The operator's configuration: one TOML file, every key overridable by environment. Read once, handed down by constructor."""

from __future__ import annotations

import difflib
import os
import re
import socket
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from gateway.core.addresses import BadAddress, normal_domain
from gateway.core.errors import InvalidInput

NOT_SETTINGS = frozenset({"GATEWAY_CONFIG", "GATEWAY_ACCOUNT", "GATEWAY_CORPORA"})
_MASKED = re.compile(r"(?<=://)[^/@\s]*@")


class BadConfiguration(InvalidInput):
    """The configuration cannot be used; one line per problem, each with source, key and cure."""


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


def file_read(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Path | None:
    """The file that `load` would read, None for the defaults."""
    return _which_file(file, os.environ if environment is None else environment)[0]


def says_something(path: Path) -> bool:
    """Whether any key is set in the file. Raises BadConfiguration."""
    return bool(_read_toml(path, named=True))


def load(
    file: Path | None = None, environment: Mapping[str, str] | None = None, *, blank_allowed: bool = True
) -> Settings:
    """Read `file` (or GATEWAY_CONFIG, or ./gateway.toml where it exists) and the environment.

    Raises BadConfiguration with one line per problem; also, unless `blank_allowed`, for a file in which no key is set: many
    editors empty a file before they write it.
    """
    environment = os.environ if environment is None else environment
    path, named = _which_file(file, environment)
    document = _read_toml(path, named=named)
    if not (document or blank_allowed):
        raise BadConfiguration(f"{path}: sets nothing any more; write it anew, or take it from the backup")
    sources = {_key_of(k): str(path) for k in _flat(document)}
    problems = _merge_environment(document, sources, environment)
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        problems += [_explain(e, sources, path) for e in error.errors()]
        raise BadConfiguration("\n".join(problems)) from None
    if problems:
        raise BadConfiguration("\n".join(problems))
    base = path.parent if path else Path.cwd()
    settings = _absolute(settings, base.resolve())
    if combination := _impossible(settings):
        raise BadConfiguration("\n".join(f"{path or 'configuration'}: {c}" for c in combination))
    return settings


def _which_file(file: Path | None, environment: Mapping[str, str]) -> tuple[Path | None, bool]:
    if file:
        return file, True
    if environment.get("GATEWAY_CONFIG"):
        return Path(environment["GATEWAY_CONFIG"]), True
    usual = Path("gateway.toml")
    return (usual, False) if usual.is_file() else (None, False)


def _read_toml(path: Path | None, *, named: bool) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        hint = "; name another with --config or GATEWAY_CONFIG" if named else ""
        raise BadConfiguration(f"{path}: there is no such configuration file{hint}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadConfiguration(f"{path}: not valid TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path}: cannot be read: {error}") from None


def _flat(document: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    keys: list[tuple[str, ...]] = []
    for key, value in document.items():
        keys += _flat(value, (*prefix, key)) if isinstance(value, dict) else [(*prefix, key)]
    return keys


def _key_of(path: tuple[Any, ...]) -> str:
    return ".".join(str(p) for p in path)


def _known_keys() -> dict[str, bool]:
    """Every key by its dotted name; True for sections."""
    keys: dict[str, bool] = {}
    for name, field in Settings.model_fields.items():
        section = field.annotation
        is_section = isinstance(section, type) and issubclass(section, _Section)
        keys[name] = is_section
        if is_section and isinstance(section, type):
            keys |= {f"{name}.{sub}": False for sub in section.model_fields}
    return keys


def _merge_environment(document: dict[str, Any], sources: dict[str, str], environment: Mapping[str, str]) -> list[str]:
    problems, known = [], _known_keys()
    for variable in sorted(v for v in environment if v.startswith("GATEWAY_") and v not in NOT_SETTINGS):
        key = variable.removeprefix("GATEWAY_").lower().replace("__", ".")
        if key not in known or known[key]:
            problems.append(f"environment variable {variable}: there is no such setting{_did_you_mean(key, known)}")
            continue
        section, _, name = key.rpartition(".")
        target = document.setdefault(section, {}) if section else document
        if isinstance(target, dict):
            target[name] = environment[variable]
            sources[key] = f"environment variable {variable}"
    return problems


def _did_you_mean(key: str, known: Mapping[str, bool]) -> str:
    close = difflib.get_close_matches(key, [k for k, section in known.items() if not section], n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _explain(error: Any, sources: Mapping[str, str], path: Path | None) -> str:
    key = _key_of(tuple(p for p in error["loc"] if not isinstance(p, int)))
    source = sources.get(key) or str(path or "configuration")
    if error["type"] == "extra_forbidden":
        return f"{source}: {key}: there is no such setting{_did_you_mean(key, _known_keys())}"
    if error["type"] == "value_error":
        return f"{source}: {key}: {error['ctx']['error']}"
    given = _MASKED.sub("***@", repr(error["input"]))
    return f"{source}: {key}: {error['msg'].lower()}, not {given}"


def _absolute(settings: Settings, base: Path) -> Settings:
    def place(path: Path | None) -> Path | None:
        return (base / path.expanduser()).resolve() if path else None

    data_dir = place(settings.data_dir) or base
    database = _database(settings.database_url, data_dir, base)
    blobs = settings.blob_url or f"file://{data_dir / 'blobs'}"
    if blobs.startswith("file:") and not blobs.startswith("file:///"):
        blobs = f"file://{(base / blobs.removeprefix('file://').removeprefix('file:')).resolve()}"
    is_sqlite = database.startswith("sqlite:")
    relays = tuple(
        f"file:{(base / r.removeprefix('file:')).resolve()}" if r.startswith("file:") else r for r in settings.relay.url
    )
    return settings.model_copy(
        update={
            "hostname": settings.hostname or _own_hostname(),
            "data_dir": data_dir,
            "database_url": database,
            "blob_url": blobs,
            "secret_key_file": place(settings.secret_key_file),
            "smtp": settings.smtp.model_copy(
                update={
                    "listen": tuple(_placed_listener(x, base) for x in settings.smtp.listen),
                    # links stay links: certbot renews by leading them elsewhere
                    "tls_cert": settings.smtp.tls_cert and base / settings.smtp.tls_cert.expanduser(),
                    "tls_key": settings.smtp.tls_key and base / settings.smtp.tls_key.expanduser(),
                    "workers": settings.smtp.workers or (1 if is_sqlite else os.cpu_count() or 1),
                }
            ),
            "dns": settings.dns.model_copy(update={"zone_file": place(settings.dns.zone_file)}),
            "yara": settings.yara.model_copy(
                update={"rules": tuple((base / rules.expanduser()).resolve() for rules in settings.yara.rules)}
            ),
            "relay": RelaySettings(url=relays),
        }
    )


def _placed_listener(address: str, base: Path) -> str:
    kind, unix, path = address.partition("unix:")
    return f"{kind}{unix}{(base / path).absolute()}" if unix else address


def _database(url: str, data_dir: Path, base: Path) -> str:
    if not url:
        return f"sqlite:///{data_dir / 'gateway.db'}"
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        return f"sqlite:///{(base / url.removeprefix('sqlite:///')).resolve()}"
    return url


def _own_hostname() -> str:
    try:
        return normal_domain(socket.getfqdn())
    except BadAddress:
        return "localhost"


def _impossible(settings: Settings) -> list[str]:
    """Combinations that cannot work, and what this version cannot do yet."""
    problems = []
    if not settings.database_url.startswith(("sqlite:///", "postgresql://")):
        problems.append("database_url: write sqlite:///PATH or postgresql://user:password@host:5432/database")
    if not settings.blob_url.startswith("file:"):
        problems.append("blob_url: this version keeps blobs in files only; write file:///PATH or leave it out")
    if bool(settings.smtp.tls_cert) != bool(settings.smtp.tls_key):
        problems.append("smtp.tls_cert and smtp.tls_key go together: set both or neither")
    if settings.smtp.require_tls and not settings.smtp.tls_cert:
        problems.append("smtp.require_tls: needs smtp.tls_cert and smtp.tls_key")
    return problems
