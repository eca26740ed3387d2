"""The configuration as it is read: one TOML file, every key overridable by environment, into `Settings`; and what is said of
one that cannot be used.
"""

from __future__ import annotations

import difflib
import os
import re
import socket
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.core.addresses import BadAddress, normal_domain
from gateway.core.errors import InvalidInput
from gateway.settings import RelaySettings, Settings

NOT_SETTINGS = frozenset({"GATEWAY_CONFIG", "GATEWAY_ACCOUNT", "GATEWAY_CORPORA"})
_MASKED = re.compile(r"(?<=://)[^/@\s]*@")


class BadConfiguration(InvalidInput):
    """The configuration cannot be used; one line per problem, each with source, key and cure."""


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
        is_section = isinstance(section, type) and issubclass(section, BaseModel)
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
    taken = Counter(x for x in (*settings.smtp.listen, settings.http.listen) if not x.endswith(":0"))
    if twice := [address for address, times in taken.items() if times > 1]:
        problems.append(
            f"smtp.listen and http.listen: {', '.join(twice)} is named twice; each listener has its own port"
        )
    if bool(settings.smtp.tls_cert) != bool(settings.smtp.tls_key):
        problems.append("smtp.tls_cert and smtp.tls_key go together: set both or neither")
    if settings.smtp.require_tls and not settings.smtp.tls_cert:
        problems.append("smtp.require_tls: needs smtp.tls_cert and smtp.tls_key")
    return problems
