"""The process that YARA runs in, `python -m gateway.scan.yara_process SECONDS PLACE...`: yara-x keeps the interpreter for the
whole of a scan, so that in a thread of the gateway's it would stop every session for seconds; and a fault of its native
code ends this process alone.

It reads content from standard input (eight octets of length, big endian, then as many of content) and writes a line of
JSON for each to standard output: what matched and where. Its first line says that it is ready. It ends with its input.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gateway.core.errors import InvalidInput, TooComplex
from gateway.parse import decode_part
from gateway.scan.files import parse_and_see
from gateway.scan.inside.entry import Budget
from gateway.scan.yara_rules import compiled, package

if TYPE_CHECKING:
    import yara_x

MATCHES = 50
"""How many are told of one message: more says no more."""


def main(arguments: list[str]) -> int:
    """Exit 2 where the rules cannot be used; the reason is the first line."""
    # it is asked to end with the gateway, whose last scans it still owes; it ends when nobody can ask any more
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    seconds, places = int(arguments[0]), [Path(place) for place in arguments[1:]]
    try:
        rules = compiled(places)
    except InvalidInput as error:
        _say({"unusable": str(error)})
        return 2
    _say({"ready": rules.told})
    while (content := _next(sys.stdin.buffer)) is not None:
        _say(_scan(rules.rules, content, seconds))
    return 0


def _next(stream: BinaryIO) -> bytes | None:
    size = stream.read(8)
    if len(size) < 8:
        return None
    content = stream.read(int.from_bytes(size, "big"))
    return content if len(content) == int.from_bytes(size, "big") else None


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _scan(rules: yara_x.Rules, content: bytes, seconds: int) -> dict[str, Any]:
    search = _Search(rules, time.monotonic() + seconds)
    try:
        _each_piece(content, search)
    except TooComplex:
        return {"unscannable": "too-complex"}
    return {"failed": "timeout"} if search.late else {"found": search.found[:MATCHES]}


class _Search:
    """Scans piece after piece until its time is over; `late` says that it was over before the end."""

    def __init__(self, rules: yara_x.Rules, deadline: float) -> None:
        self._yara_x = package()
        self._scanner = self._yara_x.Scanner(rules)
        self.deadline = deadline
        self.found: list[tuple[str, str]] = []
        self.late = False

    def __call__(self, where: str, octets: bytes) -> None:
        left = self.deadline - time.monotonic()
        if self.late or left <= 0:
            self.late = True
            return
        self._scanner.set_timeout(math.ceil(left))
        try:
            matching = self._scanner.scan(octets).matching_rules
        except self._yara_x.TimeoutError:
            self.late = True
            return
        self.found += [(where, rule.identifier) for rule in matching]


def _each_piece(content: bytes, search: _Search) -> None:
    """The message as it came, then each attachment decoded, and what lies in it at every depth; all of that is told under
    the part's number. Raises TooComplex.
    """
    search("message", content)
    message, files = parse_and_see(content)
    budget = Budget(search.deadline)
    for report in files.reports(message):
        part = next(p for p in message.parts if p.n == report.n)
        octets = decode_part(content, part)
        search(str(part.n), octets)
        files.look_into(report, octets, budget, partial(search, str(part.n)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
