"""Rules that ask about a ticket and never see mail that belongs to one: they would be silent for ever."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.policy.document import PolicyDocument
from gateway.policy.problems import Problem
from gateway.policy.yaml_tree import Entry, Node

_WHY = (
    "this never holds: a rule that does not name `kind` sees new mail alone, which has no ticket; write `kind: answer` beside "
    "`ticket`, or let new mail join an open one by accept: {join_open_ticket: 7d}"
)


def unseen_tickets(document: PolicyDocument, root: Node) -> Iterator[Problem]:
    """One for each `ticket` in a rule without `kind`, where no new mail joins a ticket either. What stands under `none` is
    no mistake: it says that there is to be no ticket.
    """
    accepts = (document.accept, *(mailbox.accept for mailbox in document.mailboxes.values()))
    if any(accept.join_open_ticket is not False for accept in accepts):
        return
    for path, rule in _rules(root):
        asked = [*_keys(rule, path)]
        if any(key == "kind" for _, key, _ in asked):
            continue
        for where, key, entry in asked:
            if key == "ticket" and ".none[" not in where:
                yield Problem(entry.line, entry.column, where, _WHY)


def _rules(root: Node) -> Iterator[tuple[str, Node]]:
    """The `if` of each rule."""
    entries = root.entries or {}
    teams = entries["teams"].node.entries if "teams" in entries else None
    lists = [("", root), *((f"teams.{name}.", team.node) for name, team in (teams or {}).items())]
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
