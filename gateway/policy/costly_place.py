"""Where in a document the patterns stand that cost most: a policy that costs too much is mended there first."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.policy.patterns import BadPattern, check_regex
from gateway.policy.yaml_tree import Node

_WITH_KEYS = ("attachment", "contact", "ticket")
_NESTS = ("all", "any", "if", "none", "rules")
_SHORTEST = 20
"""Steps of a pattern that is no regex, besides its characters."""

Found = tuple[str, str, Node]
"""The path, the key of the field (`subject`, `header:x-spam`), and the matchers."""


def costly_place(root: Node, about: str = "") -> tuple[str, Node]:
    """The path and the node of the heaviest matchers, of one field or of all."""
    heaviest = max(
        (found for name, node in _lists(root) for found in _matchers(node, name) if about in ("", found[1])),
        key=lambda found: _steps(found[2]),
        default=("", "", root),
    )
    return heaviest[0], heaviest[2]


def _lists(root: Node) -> Iterator[tuple[str, Node]]:
    """What of the document holds conditions."""
    for key, entry in (root.entries or {}).items():
        if key in ("author_from", "block", "rules"):
            yield key, entry.node
        for name, team in ((entry.node.entries or {}) if key == "teams" else {}).items():
            yield f"teams.{name}", team.node


def _matchers(node: Node, path: str) -> Iterator[Found]:
    """Every value below a condition's name; what stands under `then` is none. The depth of a document is bounded."""
    for index, item in enumerate(node.items or ()):
        yield from _matchers(item, f"{path}[{index}]")
    for key, entry in (node.entries or {}).items():
        where = f"{path}.{key}"
        if key == "header" or key in _WITH_KEYS:
            for name, inner in (entry.node.entries or {}).items():
                field = f"header:{name.lower()}" if key == "header" else f"{key}.{name}"
                yield f"{where}.{name}", field, inner.node
        elif key in ("sender", "recipient", "mailbox", "subject", "body"):
            yield where, key, entry.node
        elif key in _NESTS:
            yield from _matchers(entry.node, where)


def _steps(node: Node, way: str = "exact") -> int:
    if node.items is not None:
        return sum(_steps(item, way) for item in node.items)
    if node.entries is not None:
        return sum(_steps(entry.node, key) for key, entry in node.entries.items())
    if way != "regex":
        return _SHORTEST + len(node.raw) * (1 + node.raw.count("*"))
    try:
        return check_regex(node.raw)
    except BadPattern:  # taken by an RE2 that was, and told at its own place
        return 0
