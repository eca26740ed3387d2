"""Options that many commands share, and values people type."""

from __future__ import annotations

import getpass
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.completion import account_names

AccountName = Annotated[
    str | None,
    typer.Option(
        "--account",
        "-a",
        envvar="GATEWAY_ACCOUNT",
        metavar="NAME",
        help="The account this is about; the only one there is need not be named.",
        autocompletion=account_names,
    ),
]


def _as_written(account: str | None) -> str | None:
    """Names of accounts are labels of DNS, which knows no capitals."""
    return account.strip().lower() if account else account


EveryAccount = Annotated[
    str | None,
    typer.Option(
        "--account",
        "-a",
        envvar="GATEWAY_ACCOUNT",
        metavar="NAME",
        help="Only this account.",
        callback=_as_written,
        autocompletion=account_names,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Language = Annotated[str | None, typer.Option("--language", metavar="TAG", help="A language tag: en, de, pt-BR.")]
LanguageOrNone = Annotated[
    str | None, typer.Option("--language", metavar="TAG", help="A language tag: en, de, pt-BR; '' for the account's.")
]

_AGO = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class OutcomeName(StrEnum):
    """How a transaction ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DEFERRED = "deferred"
    PARKED = "parked"


class TicketState(StrEnum):
    OPEN = "open"
    PENDING = "pending"
    CLOSED = "closed"


class DispositionName(StrEnum):
    """What became of a kept message."""

    TICKETED = "ticketed"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"
    PARKED = "parked"
    ERASED = "erased"
    EXPIRED = "expired"


class OutboxState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    WITHHELD = "withheld"


class KeyScope(StrEnum):
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


def moment_since(text: str) -> datetime:
    """`90m`, `1h`, `2d`: so long ago; or a date or time of ISO 8601 (UTC where it names no zone)."""
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago.group(2)]: int(ago.group(1))})
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r}: write for example 90m, 1h, 2d or 2026-11-21") from None


Since = Annotated[
    datetime | None,
    typer.Option("--since", metavar="AGO", parser=moment_since, help="How far back: 90m, 1h, 2d, or a date."),
]


def read_text(file: Path) -> str:
    """A text file of UTF-8. Ends the command with what is wrong and where."""
    try:
        return read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file}: not UTF-8 (byte {error.start}); save it as UTF-8") from None


def read_bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None


def read_standard_input() -> str:
    """All of it, as UTF-8. Ends the command with what is wrong."""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"standard input is not UTF-8 (byte {error.start})") from None


def not_available(option: str, instead: str = "") -> typer.BadParameter:
    """For what interfaces name and this version lacks: silence would look like success."""
    cure = f"; {instead}" if instead else ""
    return typer.BadParameter(f"not available in this version{cure}", param_hint=option)


def whoami() -> str:
    """Who gives the command, for the record."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in the password database, as in many containers
        return f"uid {os.getuid()}"
