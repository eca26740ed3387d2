"""The strict loader: a document, or a list of what is wrong with it and how to mend that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from gateway.core.addresses import canonical
from gateway.policy.costly_place import costly_place
from gateway.policy.cures import comma_in_text, comment_instead_of_value, line_from, space_missing
from gateway.policy.document import PolicyDocument, all_actions
from gateway.policy.json_schema import policy_schema
from gateway.policy.pattern_cost import too_costly
from gateway.policy.problems import PolicyError, Problem
from gateway.policy.regex_budget import one_document
from gateway.policy.translate import problem_of
from gateway.policy.unseen_tickets import unseen_tickets
from gateway.policy.values import PUBLISHED, Known, Published
from gateway.policy.yaml_tree import Entry, Node, read_tree, shorten


def load(text: str, known: Known | None = None) -> PolicyDocument:
    """Read a policy. With `known`, as it is to be published: teams, mailboxes and agents that do not exist are mistakes, and so
    are patterns that cost too much together.

    Raises PolicyError with all problems found, and never anything else.
    """
    return _read(text, known)


def load_published(text: str) -> PolicyDocument:
    """Read a policy that was taken once. It does not go bad by what later releases find wrong with its texts, and a pattern
    that RE2 does not take any more costs its rule, not the policy (`compile_policy`). Raises PolicyError for what no
    release could have published.
    """
    return _read(text, PUBLISHED)


def _read(text: str, context: Known | Published | None) -> PolicyDocument:
    root = read_tree(text, lenient=context is PUBLISHED)
    if root.entries is None:
        raise PolicyError([Problem(root.line, root.column, "", _no_document(root, text))])
    empty = _Empty(text)
    empty.take_out(root, "")
    unseen = [] if context is PUBLISHED else [*unseen_tickets(root)]
    try:
        with one_document() if isinstance(context, Known) else nullcontext():
            document = PolicyDocument.model_validate(root.value(), context=context)
    except ValidationError as error:
        found = [problem_of(detail, root) for detail in error.errors(include_url=False, include_input=False)]
        raise PolicyError([*empty.problems, *unseen, *(p for p in found if not empty.explains(p))]) from None
    problems = [*empty.problems, *_names_twice(document, root), *_mailboxes_twice(root)]
    problems += unseen
    if not problems and isinstance(context, Known):
        problems = _too_costly(document, root)
    if problems:
        raise PolicyError(problems)
    return document


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document."""
    return policy_schema()


@dataclass(slots=True)
class _Empty:
    """Takes out keys and list items without a value: each is told once, and the rest can still be checked."""

    text: str
    problems: list[Problem] = field(default_factory=list)
    places: set[tuple[int, int]] = field(default_factory=set)

    def explains(self, problem: Problem) -> bool:
        """True when the problem is only that nothing was left at a place."""
        return (problem.line, problem.column) in self.places

    def take_out(self, node: Node, path: str) -> None:
        before = ""
        for key, entry in list((node.entries or {}).items()):
            where = f"{path}.{key}".lstrip(".")
            if entry.node.is_null and key not in _bare_actions():
                self.problems.append(_empty_value(key, entry, where, self.text, before))
                self.places.add((node.line, node.column))
                del node.entries[key]  # type: ignore[union-attr]  # the loop has no step without entries
            self.take_out(entry.node, where)
            before = entry.node.raw
        for index, item in enumerate(node.items or []):
            if item.is_null:
                self.problems.append(_empty_item(item, f"{path}[{index}]", self.text))
                self.places |= {(node.line, node.column), (item.line, item.column)}
            self.take_out(item, f"{path}[{index}]")


def _bare_actions() -> frozenset[str]:
    return frozenset(name for name, action in all_actions().items() if action.bare)


def _no_document(root: Node, text: str) -> str:
    """What to say of a text that is a list or a word."""
    if root.items is not None:
        return "a policy is a mapping: write `rules:` above this list, and indent the list below it"
    if text.lstrip("\ufeff \r\n").startswith("<"):
        return "this is HTML, not YAML: copy the text as the page shows it"
    return space_missing(root.raw) or "a policy is a mapping: begin with a key such as `rules:`"


def _empty_value(key: str, entry: Entry, where: str, text: str, before: str) -> Problem:
    """`before` is the text of the value in front of the key."""
    cure = comment_instead_of_value(text, entry.line, entry.column)
    if cure:
        column = line_from(text, entry.line, 1).index("#", entry.column) + 1
        return Problem(entry.line, column, where, cure)
    message = (
        space_missing(key)
        or comma_in_text(text, before, key, entry.line, entry.column)
        or f"`{shorten(key)}` has no value: give it one, or remove the key"
    )
    return Problem(entry.line, entry.column, where, message)


def _empty_item(item: Node, where: str, text: str) -> Problem:
    cure = comment_instead_of_value(text, item.line, item.column - 1)
    return Problem(item.line, item.column, where, cure or "this list item is empty: write it, or remove it")


def _names_twice(document: PolicyDocument, root: Node) -> list[Problem]:
    """Rules are known by their names: a name that two of them bear would explain nothing."""
    problems: list[Problem] = []
    seen: set[str] = set()
    for team in (None, *document.teams):
        for index, (name, _) in enumerate(document.named_rules(team)):
            if name in seen:
                path = (f"teams.{team}." if team is not None else "") + f"rules[{index}]"
                node = _rule_node(root, team, index)
                message = f"there is another rule called `{shorten(name)}`: give each its own name"
                problems.append(Problem(node.line, node.column, path, message))
            seen.add(name)
    return problems


def _mailboxes_twice(root: Node) -> Iterator[Problem]:
    """One mailbox in two spellings: which of the two were to hold?"""
    mailboxes = (root.entries or {}).get("mailboxes")
    first: dict[str, str] = {}
    for written, entry in ((mailboxes and mailboxes.node.entries) or {}).items():
        same = first.setdefault(canonical(written), written)
        if same != written:
            message = f"`{shorten(written)}` and `{shorten(same)}` are one mailbox: join what stands below the two"
            yield Problem(entry.line, entry.column, f"mailboxes.{written}", message)


def _too_costly(document: PolicyDocument, root: Node) -> list[Problem]:
    why, about = too_costly(document)
    if not why:
        return []
    path, node = costly_place(root, about)
    return [Problem(node.line, node.column, path, f"{why}; the most costly one is here")]


def _rule_node(root: Node, team: str | None, index: int) -> Node:
    for key in () if team is None else ("teams", team):
        assert root.entries is not None
        root = root.entries[key].node
    assert root.entries is not None
    item = (root.entries["rules"].node.items or [])[index]
    return item.entries["name"].node if item.entries and "name" in item.entries else item
