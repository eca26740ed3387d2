"""Rules that ask about a ticket and never see mail that belongs to one: they would be silent for ever."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.policy.problems import Problem
from gateway.policy.yaml_tree import Entry, Node

_WHY = (
    "this never holds: a rule that does not name `kind` sees new mail alone, which has no ticket; write `kind: answer` beside "
    "`ticket`, or let new mail join an open one by accept: {join_open_ticket: 7d}"
)


def unseen_tickets(root: Node) -> Iterator[Problem]:
    """One for each `ticket` in a rule without `kind`, where no new mail joins a ticket either. What stands under `none` is
    no mistake: it says that there is to be no ticket. By the tree, so that other mistakes hide none of these.
    """
    if _joins(root) or any(_joins(mailbox.node) for mailbox in _entries(root, "mailboxes").values()):
        return
    for path, rule in _rules(root):
        asked = [*_keys(rule, path)]
        if any(key == "kind" for _, key, _ in asked):
            continue
        for where, key, entry in asked:
            wanted = (entry.node.entries or {}).keys() if key == "ticket" else ()
            if wanted and "closed_for" not in wanted and ".none[" not in where:  # `closed_for` has words of its own
                yield Problem(entry.line, entry.column, where, _WHY)


def _entries(node: Node, key: str) -> dict[str, Entry]:
    """What stands below a key; nothing where that is no mapping."""
    entry = (node.entries or {}).get(key)
    return (entry.node.entries if entry else None) or {}


def _joins(node: Node) -> bool:
    joining = _entries(node, "accept").get("join_open_ticket")
    return joining is not None and joining.node.scalar is not False


def _rules(root: Node) -> Iterator[tuple[str, Node]]:
    """The `if` of each rule."""
    lists = [("", root), *((f"teams.{name}.", team.node) for name, team in _entries(root, "teams").items())]
    for whose, owner in lists:
        rules = (owner.entries or {}).get("rules")
        for index, rule in enumerate((rules and rules.node.items) or ()):
            if rule.entries and "if" in rule.entries:
                yield f"{whose}rules[{index}].if", rule.entries["if"].node


def _keys(node: Node, path: str) -> Iterator[tuple[str, str, Entry]]:
    """The conditions of an `if`, those within `all`, `any` and `none` too. The depth of a document is bounded."""
    for key, entry in (node.entries or {}).items():
        yield f"{path}.{key}", key, entry
        if key not in ("all", "any", "none"):
            continue
        for index, item in enumerate(entry.node.items or (entry.node,)):
            yield from _keys(item, f"{path}.{key}[{index}]")
