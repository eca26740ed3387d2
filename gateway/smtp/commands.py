"""The arguments of MAIL, RCPT (RFC 5321 section 4.1.1) and BDAT (RFC 3030), read by one strict grammar."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.core.addresses import BadAddress, parse_addr_spec, without_controls
from gateway.core.outcome import Reason

_PATH = re.compile(r'[ \t]*<((?:"(?:[^"\\]|\\.)*"|[^"<>])*)>(?:[ \t]+(.*))?\Z', re.DOTALL)

_CHUNK = re.compile(r"([0-9]{1,19})([ \t]+LAST)?", re.IGNORECASE)


class BadCommand(Exception):
    """The command is not taken; `reason` chooses the reply, `text` may say more than the table."""

    def __init__(self, reason: Reason, text: str = "") -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text


@dataclass(frozen=True, slots=True)
class MailCommand:
    """`reverse_path` None is the null reverse-path `<>`; `size_bytes` is what SIZE= declared, 0 without it."""

    reverse_path: str | None
    size_bytes: int
    smtputf8: bool


def read_mail(argument: str) -> MailCommand:
    """Raises BadCommand."""
    path, parameters = _path_and_parameters(argument, "FROM:")
    size, smtputf8 = 0, False
    for name, value in _parameters(parameters):
        if name == "SIZE" and value.isascii() and value.isdigit() and len(value) <= 20:
            size = int(value)
        elif name == "BODY" and value.upper() in ("7BIT", "8BITMIME"):
            continue
        elif name == "SMTPUTF8" and not value:
            smtputf8 = True
        else:
            raise BadCommand(Reason.BAD_PARAMETER)
    if not path:
        return MailCommand(None, size, smtputf8)
    _require_smtputf8(path, offered=smtputf8)
    try:
        spec = parse_addr_spec(path, lenient=True)
    except BadAddress as error:
        raise BadCommand(Reason.BAD_SENDER, str(error)) from None
    return MailCommand(str(spec), size, smtputf8)


def read_rcpt(argument: str, *, smtputf8: bool) -> str:
    """The forward-path without its brackets. Raises BadCommand."""
    path, parameters = _path_and_parameters(argument, "TO:")
    if _parameters(parameters):
        raise BadCommand(Reason.BAD_PARAMETER)
    if not path:
        raise BadCommand(Reason.BAD_RECIPIENT)
    _require_smtputf8(path, offered=smtputf8)
    return path


def path_as_written(argument: str) -> str:
    """What stands for a path in MAIL or RCPT whose path is none, for the log: one line of at most 300 characters."""
    written = argument.partition(":")[2].strip(" \t")
    path = written.rpartition(">")[0].removeprefix("<") if written.startswith("<") else written
    return without_controls(path)[:300]


def read_bdat(argument: str) -> tuple[int, bool]:
    """The octets of the chunk, and whether it is the last. Raises BadCommand."""
    found = _CHUNK.fullmatch(argument)
    if not found:
        raise BadCommand(Reason.BAD_SYNTAX, "write BDAT octets, or BDAT octets LAST")
    return int(found.group(1)), bool(found.group(2))


def _path_and_parameters(argument: str, keyword: str) -> tuple[str, str]:
    if argument[: len(keyword)].upper() != keyword:
        raise BadCommand(Reason.BAD_SYNTAX, f"write {keyword}<address>")
    found = _PATH.match(argument[len(keyword) :])
    if not found:
        raise BadCommand(Reason.BAD_SYNTAX, f"write {keyword}<address>")
    return found.group(1), found.group(2) or ""


def _parameters(text: str) -> list[tuple[str, str]]:
    pairs = [word.partition("=") for word in text.split()]
    return [(name.upper(), value) for name, _, value in pairs]


def _require_smtputf8(path: str, *, offered: bool) -> None:
    """RFC 6531 section 3.1: an address that is not ASCII comes only with SMTPUTF8; octets that are no UTF-8 never."""
    if not path.isascii() and (not offered or any("\ud800" <= c <= "\udfff" for c in path)):
        raise BadCommand(Reason.SMTPUTF8_NEEDED)
