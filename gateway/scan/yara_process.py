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
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gateway.core.errors import InvalidInput, TooComplex
from gateway.parse import decode_part, parse
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
    yara_x = package()
    deadline = time.monotonic() + seconds
    scanner = yara_x.Scanner(rules)
    found: list[tuple[str, str]] = []
    try:
        for where, octets in pieces(content):
            left = deadline - time.monotonic()
            if left <= 0:
                return {"failed": "timeout"}
            scanner.set_timeout(math.ceil(left))
            found += [(where, rule.identifier) for rule in scanner.scan(octets).matching_rules]
    except yara_x.TimeoutError:
        return {"failed": "timeout"}
    except TooComplex:
        return {"unscannable": "too-complex"}
    return {"found": found[:MATCHES]}


def pieces(content: bytes) -> Iterator[tuple[str, bytes]]:
    """What is scanned of a message, each with where it is: the message as it came, then each attachment decoded.
    What lies inside these is another piece of the same `where`, the part's number.
    """
    yield "message", content
    for part in parse(content).parts:
        if part.is_attachment:
            yield str(part.n), decode_part(content, part)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
