"""How the tests read a container: all that a reader gives, and why it gave up."""

from __future__ import annotations

import time
from types import ModuleType

from gateway.scan.inside.entry import Budget, Entry, Share, Unscannable


def share_of(content: bytes, budget: Budget | None = None) -> Share:
    return Share(budget or Budget(time.monotonic() + 30), len(content))


def read(reader: ModuleType, content: bytes, share: Share | None = None) -> tuple[list[Entry], str]:
    """The entries and the reason of Unscannable, empty when there was none."""
    found: list[Entry] = []
    try:
        for entry in reader.entries(content, share or share_of(content)):
            found.append(entry)  # noqa: PERF402 - those given before it raises count
    except Unscannable as reason:
        return found, str(reason)
    return found, ""


def names(reader: ModuleType, content: bytes) -> list[str]:
    """Of a container that can be read to its end."""
    found, reason = read(reader, content)
    assert reason == ""
    return [entry.name for entry in found]
