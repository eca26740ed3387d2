"""Which of the several names that a container gives one file are worth a judgement each."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.scan.filetypes import types_of_name

MOST = 10
"""Names of one file that are judged; honest ones have two or three."""


def telling(names: Iterable[str]) -> tuple[str, ...]:
    """The first name of each type they promise; those that promise none only when all do. Never empty.

    `a.pdf` beside `a.exe` is a disguise: the file is given under both, so that the strictest judgement counts.
    """
    by_types: dict[tuple[str, ...], str] = {}
    first = ""
    for name in names:
        first = first or name
        types = types_of_name(name)
        if types:
            by_types.setdefault(types, name)
        if len(by_types) == MOST:
            break
    return tuple(by_types.values()) or (first,)
