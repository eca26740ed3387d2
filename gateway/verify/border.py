"""Where a forwarder took a message from: the Received field it wrote for that, and what stands above it.

What stands above that field was written by the forwarder and those behind it; all below came with the message, and
may have been written by anybody. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.forwarder import Forwarder
from gateway.verify.dkim_message import Field
from gateway.verify.dmarc import registrable
from gateway.verify.received import Received, read_received

LINES = 30
"""How many Received fields are looked at, topmost first. A forwarder's own are the first few."""

_IP = re.compile(r"[0-9.]+|[0-9a-f]*:[0-9a-f:.]+")
_FARMS = (".mail.protection.outlook.com", ".prod.outlook.com", ".prod.exchangelabs.com")
_GMAIL = re.compile(r"mail-[a-z0-9-]+\.google\.com")


@dataclass(frozen=True, slots=True)
class Line:
    """A Received field, `at` its place among all fields."""

    at: int
    received: Received

    @property
    def host(self) -> str:
        """The `by` host as it can be compared: farms name each of their machines, and some write addresses instead."""
        by = self.received.by
        if _IP.fullmatch(by):
            return "*"
        if _GMAIL.fullmatch(by):
            return "mail-*.google.com"
        return next((f"*{farm}" for farm in _FARMS if by.endswith(farm)), by)

    @property
    def step(self) -> str:
        """As it stands in a trail: `host<client`, without the client where a farm names each machine, and `~host` where the
        field names no client, with the program's user where one handed the message in on the machine itself.

        The client binds: where mail takes a shorter way, the first field that shows a stranger's address must not pass for
        one that came from the company's own filter, and let a field that the stranger wrote pass for the border.
        """
        client = self.received.client
        if not client:
            submitted = self.received.submitted
            return f"~{self.host} ({submitted})" if submitted else f"~{self.host}"
        return self.host if "*" in self.host else f"{self.host}<{client}"


@dataclass(frozen=True, slots=True)
class Border:
    """`address` is the client the forwarder saw, `said` what that called itself; `above` the fields over that line."""

    address: str
    said: str
    above: tuple[Field, ...]


def lines_of(fields: Sequence[Field]) -> list[Line]:
    """The Received fields, topmost first."""
    found = [n for n, field in enumerate(fields) if field.name == b"received"][:LINES]
    lines = [Line(n, read_received(fields[n].value.decode("utf-8", "replace"))) for n in found]
    # Google hands a message on between machines without names, sometimes once more, sometimes once less
    return [line for n, line in enumerate(lines) if line.step != "~*" or n == 0 or lines[n - 1].step != "~*"]


def border_of(fields: Sequence[Field], forwarder: Forwarder) -> Border | None:
    """The border of a known forwarder: the learnt host's line, below exactly the lines that stood above it when learnt.

    A message that took another way through the company's servers, and perhaps past that host, may bring a line with its
    name along: the topmost line with that name is its own only where all above it are as they were.
    """
    if not forwarder.border:
        return None
    lines = lines_of(fields)
    above = len(forwarder.trail)
    if len(lines) <= above or tuple(line.step for line in lines[:above]) != forwarder.trail:
        return None
    return _border(fields, lines[above]) if lines[above].host == forwarder.border else None


def _border(fields: Sequence[Field], line: Line) -> Border | None:
    address = line.received.client
    return Border(address, line.received.said, tuple(fields[: line.at])) if address else None


def learnt_border(lines: Sequence[Line], relay_addresses: frozenset[str], hostname: str = "") -> int | None:
    """Which line is the border in a challenge that came back: the one that shows our relay as the client.

    Where the relay's addresses are not known, or it is the forwarder itself, that is the lowest line of the topmost
    organisation that names a client, if our relay brought it there: `hostname` is how we call ourselves to the relay.
    """
    shown = (n for n, line in enumerate(lines) if line.received.client in relay_addresses)
    found = next(shown, None)
    return _lowest_of_topmost(lines, hostname) if found is None else found


def _lowest_of_topmost(lines: Sequence[Line], hostname: str) -> int | None:
    """None where a third organisation stands between: a filter in the cloud before the company's own server would be the
    client of every message, and each domain that sends through that filter would be proven by it.
    """
    organization, lowest = "", None
    for n, line in enumerate(lines):
        by = line.received.by
        if "." not in by or _IP.fullmatch(by):
            continue
        organization = organization or registrable(by)
        if registrable(by) != organization:
            return lowest if hostname and line.received.said.lower() == hostname.lower() else None
        lowest = n if line.received.client else lowest
    return lowest


def return_path(above: Sequence[Field]) -> str | None:
    """The reverse-path in the topmost Return-Path; None without one, empty for the null one (RFC 5321 section 4.4)."""
    value = next((field.value for field in above if field.name == b"return-path"), None)
    return None if value is None else value.decode("utf-8", "replace").strip().strip("<>").strip()
