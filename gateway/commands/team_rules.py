"""The rules of one team, published by its manager: the account's document with these in their place, and nothing else changed."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from gateway.commands.publish import Part, Published, check, publish
from gateway.core.errors import InvalidInput
from gateway.policy.problems import PolicyError, Problem
from gateway.policy.yaml_tree import Entry, Node, read_tree
from gateway.store.engine import Store
from gateway.store.policies import NOTED, live_version, names, policy_text

_LONGEST_LINE = 2**20
_STEPS = re.compile(r"\[\d+\]|[^.\[\]]+")
_PLAIN = re.compile(r"(?!(?i:true|false|null)$)[A-Za-z][A-Za-z0-9_-]*")


class NoSuchTeam(InvalidInput):
    """Rules are for a team that the account does not have. `what` is wrong, and the `cure`."""

    def __init__(self, team: str, teams: Sequence[str]) -> None:
        self.what, self.cure = f"there is no team {team!r}", f"teams: {', '.join(teams) or 'none'}"
        super().__init__(f"--team: {self.what}; {self.cure}")


def publish_team_rules(
    store: Store,
    account_id: str,
    team: str,
    text: str,
    *,
    note: str = "",
    author: str = "",
    agreed: bool = False,
    most: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Published:
    """Publish the live document with `text`'s rules in the place of the team's.

    Raises NoSuchTeam, PolicyError with places in `text`, NotAgreed, and PublishedMeanwhile.
    """
    _there_is(store, account_id, team)
    live = live_version(store, account_id)
    whole = with_team_rules(policy_text(store, account_id, live), team, text)
    why = f"{NOTED}{team}" + (f": {note}" if note else "")
    try:
        return publish(
            store, account_id, whole,
            note=why, author=author, agreed=agreed, part=Part(team, live), most=most, on_progress=on_progress,
        )  # fmt: skip
    except PolicyError as error:
        alone = _problems_of(store, account_id, text)
        raise PolicyError([in_the_team_s_text(p, team, text, alone) for p in error.problems]) from None


def _there_is(store: Store, account_id: str, team: str) -> None:
    """Asked before the document is: that one would call it a mistake of the account's policy. Raises NoSuchTeam."""
    teams, _, _ = names(store, account_id)
    if team not in teams:
        raise NoSuchTeam(team, sorted(teams))


def _problems_of(store: Store, account_id: str, text: str) -> tuple[Problem, ...]:
    """Of the rules by themselves. Some of it may be none in the account's policy, which lets mail join tickets."""
    try:
        check(store, account_id, text)
    except PolicyError as error:
        return error.problems
    return ()


def in_the_team_s_text(problem: Problem, team: str, text: str, alone: Sequence[Problem] = ()) -> Problem:
    """A mistake of the whole document, for somebody who sees these rules alone: where in them it is (as in `alone`, what was
    found of them by themselves, where it is told there), or that it is none of theirs.
    """
    root, whose = read_tree(text), f"teams.{team}."
    if not problem.path:
        return Problem(root.line, root.column, "", f"together with the rest of the account's policy: {problem.message}")
    if not problem.path.startswith(f"{whose}rules"):
        elsewhere = f"not these rules but the account's policy, which an admin has to mend: {problem}"
        return Problem(root.line, root.column, problem.path, elsewhere)
    path = problem.path.removeprefix(whose)
    same = next((p for p in alone if (p.path, p.message) == (path, problem.message)), None)
    if same:
        return same
    at = _at(root, path)
    return Problem(at.line, at.column, path, problem.message)


def _at(node: Node, path: str) -> Node:
    """The value at a path, as far as there is one."""
    for step in _STEPS.findall(path):
        if step.startswith("[") and node.items is not None and int(step[1:-1]) < len(node.items):
            node = node.items[int(step[1:-1])]
        elif node.entries is not None and step in node.entries:
            node = node.entries[step].node
        else:
            break
    return node


def with_team_rules(document: str, team: str, text: str) -> str:
    """`document` with the `rules:` of `text` as those of the team, and all else as it stands, comments too.

    Raises PolicyError where `text` holds anything else, InvalidInput for a document that cannot be rewritten without
    changing more than that.
    """
    rules = _rules_alone(text)
    for write in (_as_text, _as_tree):
        whole = write(document, team, text)
        if whole is not None and _is_meant(whole, document, team, rules):
            return whole
    raise InvalidInput(
        "this document cannot be rewritten by a program without changing more of it; publish it whole, with the "
        f"team's rules under teams: {{{team}: {{rules: …}}}}"
    )


def _is_meant(whole: str, document: str, team: str, rules: object) -> bool:
    """What was written is read again: whatever a comment or an odd spelling did to the writing, this tells."""
    try:
        value, before = read_tree(whole).value(), read_tree(document).value()
    except PolicyError:
        return False
    return _rules_of(value, team) == rules and _but_team(value, team) == _but_team(before, team)


def _rules_alone(text: str) -> object:
    """Raises PolicyError."""
    root = read_tree(text)
    others = [(key, entry) for key, entry in (root.entries or {}).items() if key != "rules"]
    if others:
        cure = "a team's manager publishes `rules:` and nothing else; remove it"
        raise PolicyError([Problem(e.line, e.column, key, f"`{key}` is the account's: {cure}") for key, e in others])
    if root.entries is None or "rules" not in root.entries or root.entries["rules"].node.items is None:
        raise PolicyError(
            [Problem(root.line, root.column, "rules", "write the team's rules: rules: [{if: …, then: …}]")]
        )
    return root.entries["rules"].node.value()


# --- by lines: what is not replaced stays as it was typed ---


def _as_text(document: str, team: str, text: str) -> str | None:
    """None where `teams` is not written line by line."""
    lines, root = document.splitlines(), read_tree(document)
    if _is_flow(lines, root):
        return None
    if not root.entries or "teams" not in root.entries:
        return _joined([*lines, "teams:", f"  {_key(team)}:", *_indented(text, 4)])
    teams = root.entries["teams"].node
    if not teams.entries or _is_flow(lines, teams):
        return None
    depth = teams.column - 1
    below = [" " * depth + f"{_key(team)}:", *_indented(text, depth + 2)]
    if team in teams.entries:
        first, end = _lines_of(lines, teams.entries, team, _end_of(lines, root.entries, "teams"), depth)
        return _joined([*lines[:first], *below, *lines[end:]])
    _, end = _lines_of(lines, root.entries, "teams", len(lines), 0)
    return _joined([*lines[:end], *below, *lines[end:]])


def _is_flow(lines: Sequence[str], node: Node) -> bool:
    return bool(node.entries is not None and lines) and lines[node.line - 1][node.column - 1 :].startswith("{")


def _end_of(lines: Sequence[str], entries: Mapping[str, Entry], key: str) -> int:
    return _lines_of(lines, entries, key, len(lines), 0)[1]


def _lines_of(lines: Sequence[str], entries: Mapping[str, Entry], key: str, end: int, depth: int) -> tuple[int, int]:
    """From the line of a key to the one behind its value; comments that stand before the next key are the next key's."""
    first = entries[key].line - 1
    end = min([end, *(e.line - 1 for e in entries.values() if e.line - 1 > first)])
    while end > first + 1 and _is_between(lines[end - 1], depth):
        end -= 1
    return first, end


def _is_between(line: str, depth: int) -> bool:
    bare = line.lstrip(" ")
    return not bare or (len(line) - len(bare) <= depth and bare.startswith(("#", "...")))


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _indented(text: str, depth: int) -> list[str]:
    return [" " * depth + line if line.strip() else "" for line in text.splitlines()]


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


# --- by a round trip, where `teams` is written in braces: the layout changes, comments and order stay ---


def _as_tree(document: str, team: str, text: str) -> str | None:
    """None where the library cannot read it."""
    yaml = _round_trip()
    written = io.StringIO()
    try:
        tree = yaml.load(document) or CommentedMap()
        of_team = _mapping(_mapping(tree, "teams"), team)
        of_team["rules"] = yaml.load(text)["rules"]
        for mapping in (tree, tree["teams"], of_team):  # lines, and comments on them, cannot stand within braces
            mapping.fa.set_block_style()
        yaml.dump(tree, written)
    except YAMLError:
        return None
    return written.getvalue()


def _round_trip() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = _LONGEST_LINE
    yaml.allow_unicode = True
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _mapping(tree: CommentedMap, key: str) -> CommentedMap:
    if not isinstance(tree.get(key), CommentedMap):
        tree[key] = CommentedMap()
    found: CommentedMap = tree[key]
    return found


def _but_team(value: object, team: str) -> object:
    """All of it but the rules of this team; a table that is only there for these is none."""
    found = dict(value) if isinstance(value, dict) else {}
    teams = dict(found.pop("teams", None) or {})
    mine = {k: v for k, v in dict(teams.pop(team, None) or {}).items() if k != "rules"}
    return found, {k: v for k, v in {**teams, team: mine}.items() if v}


def _rules_of(value: object, team: str) -> object:
    teams = value.get("teams") if isinstance(value, dict) else None
    mine = teams.get(team) if isinstance(teams, dict) else None
    return mine.get("rules") if isinstance(mine, dict) else None
