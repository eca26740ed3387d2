"""Where clamd listens: `unix:PATH`, `tcp://host:port`, `auto` or `off` (the setting `clamav.address`)."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.core.errors import InvalidInput

USUAL_SOCKETS = (
    "/run/clamav/clamd.ctl",  # Debian, Ubuntu
    "/var/run/clamav/clamd.ctl",
    "/run/clamd.scan/clamd.sock",  # Fedora, RHEL
    "/run/clamav/clamd.sock",  # Alpine
    "/var/run/clamav/clamd.sock",  # FreeBSD ports since 2023
    "/var/run/clamav/clamd.socket",
    "/run/clamav/clamd.socket",
    "/tmp/clamd.socket",  # noqa: S108 - the default of ClamAV's own sample configuration; we only connect to it
    "/tmp/clamd.sock",  # noqa: S108 - the same since 0.104
    "/opt/homebrew/var/run/clamav/clamd.sock",  # macOS on ARM
    "/usr/local/var/run/clamav/clamd.sock",  # macOS on Intel
)


@dataclass(frozen=True, slots=True)
class UnixAddress:
    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    host: str
    port: int

    def __str__(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{shown}:{self.port}"


@dataclass(frozen=True, slots=True)
class Auto:
    """The first of the usual sockets that exists, looked for again each time."""


@dataclass(frozen=True, slots=True)
class Off:
    """The operator wants no virus scanner."""


ClamdAddress = UnixAddress | TcpAddress | Auto | Off


def parse_address(text: str) -> ClamdAddress:
    """Read the setting `clamav.address`. Raises InvalidInput, which names the accepted forms."""
    if text == "off":
        return Off()
    if text == "auto":
        return Auto()
    if text.startswith("unix:") and len(text) > len("unix:"):
        return UnixAddress("/" + text[5:].lstrip("/") if text.startswith("unix:/") else text[5:])
    try:
        url = urlsplit(text)
        if url.scheme == "tcp" and url.hostname and url.port:
            return TcpAddress(url.hostname, url.port)
    except ValueError:  # a port that is no number, an unclosed bracket: said below
        url = None
    raise InvalidInput(f"clamav.address = {text!r}: write unix:/path/to/clamd.ctl, tcp://host:3310, auto or off")


def usual_socket() -> UnixAddress | None:
    """The first usual place that holds a socket now."""
    return next((UnixAddress(path) for path in USUAL_SOCKETS if _is_socket(path)), None)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(Path(path).stat().st_mode)
    except OSError:  # not there, or its folder is closed to us: nothing we could use
        return False


def describe(address: str, seen_marker: Path | None = None, *, beside: str = "") -> str:
    """One sentence for the start: where mail will be scanned, loud when nowhere. `beside` is what judges without clamd.

    Raises InvalidInput.
    """
    parsed = parse_address(address)
    if isinstance(parsed, Off):
        if beside:
            return f'No clamd: clamav.address is "off", so mail is judged by {beside} alone.'
        return 'NO VIRUS SCANNER: clamav.address is "off", so mail is taken unscanned and every report says so.'
    if not isinstance(parsed, Auto):
        return f"Virus scanner: clamd at {parsed}."
    found = usual_socket()
    if found:
        return f"Virus scanner: clamd at {found}, found by itself."
    if seen_marker and seen_marker.exists():
        return "VIRUS SCANNER DOWN: clamd was here before and its socket is gone; mail is treated as policies say."
    if beside:
        return f"No clamd: no socket in the usual places, so mail is judged by {beside} alone until one appears."
    return "NO VIRUS SCANNER: no clamd socket in the usual places, so mail is taken unscanned until one appears."
