"""From pydantic's errors to problems: the place in the document, and words for whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from gateway.policy.conditions.ticket import STATES
from gateway.policy.conditions.time import DAYS
from gateway.policy.cures import quote, space_missing
from gateway.policy.document import Allow, IfBase, PolicyDocument, Rule, ThenBase, all_actions, all_conditions
from gateway.policy.matchers import Matcher
from gateway.policy.meant import other_word
from gateway.policy.problems import Problem
from gateway.policy.values import Model, not_available, suggestion
from gateway.policy.yaml_tree import Node, shorten

Location = tuple[int | str, ...]


def problem_of(error: ErrorDetails, root: Node) -> Problem:
    """One problem for one error."""
    location = error["loc"]
    node, path, key_place = _find(root, location)
    line, column = (node.line, node.column)
    if location and location[-1] == "[key]" and key_place:
        line, column = key_place
    if error["type"] == "extra_forbidden":
        line, column = key_place or (line, column)
        return Problem(line, column, path, _unknown_key(str(location[-1]), _models_at(location[:-1])))
    words = _WORDS.get(error["type"], _as_pydantic_says)
    return Problem(line, column, path, words(_Found(error, node)) + _comment_hint(node))


def _comment_hint(node: Node) -> str:
    """`25MB# at most`: what was to be a comment became part of the value."""
    is_meant = not node.quoted and re.search(r"\S#\s|\s//\s", node.raw)
    return "; a comment begins with a space and #" if is_meant else ""


@dataclass(frozen=True, slots=True)
class _Found:
    """An error and the node it is about."""

    error: ErrorDetails
    node: Node


def _as_pydantic_says(found: _Found) -> str:
    message = found.error["msg"]
    return message[:1].lower() + message[1:]


def _find(root: Node, location: Location) -> tuple[Node, str, tuple[int, int] | None]:
    """The deepest node that the location names, its path, and the place of its key. Steps that the document does not
    have (a default, a list of one that was written without brackets) are passed over.
    """
    node, path, key_place = root, "", None
    for step in location:
        if isinstance(step, int) and node.items is not None and step < len(node.items):
            node, path = node.items[step], f"{path}[{step}]"
        elif isinstance(step, str) and node.entries is not None and step in node.entries:
            entry = node.entries[step]
            node, path, key_place = entry.node, f"{path}.{step}".lstrip("."), (entry.line, entry.column)
    return node, path, key_place


def _models_at(location: Location) -> list[type[Model]]:
    """The models of the document that may stand at a place, by following its fields."""
    models: list[type[Model]] = [PolicyDocument]
    for step in location:
        deeper = [m for model in models for m in _field_models(model, step)]
        models = deeper or models
    return models


def _field_models(model: type[Model], step: int | str) -> list[type[Model]]:
    for name, field in model.model_fields.items():
        if step == (field.alias or name):
            return list(_models_in(field.annotation))
    return []


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation  # type: ignore[misc]  # every model of the document is a Model
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _unknown_key(key: str, models: Sequence[type[Model]]) -> str:
    said = next((m.elsewhere[key] for m in models if key in m.elsewhere), "")
    if said:
        return said
    if any(key in m.later for m in models):
        return not_available(key)
    missing = space_missing(key)
    if missing:
        return missing
    shown = shorten(key)
    if Rule in models and key in all_conditions().keys() | {"all", "any", "none"}:
        return f"`{shown}` is a condition: write it under `if`"
    if Rule in models and key in all_actions():
        return f"`{shown}` is an action: write it under `then`"
    if any(issubclass(m, IfBase) for m in models) and key in all_actions():
        return f"`{shown}` is an action: write it under `then`, beside `if`"
    if any(issubclass(m, ThenBase) for m in models) and key in all_conditions():
        return f"`{shown}` is a condition: write it under `if`, beside `then`"
    section = _section_of(key) if PolicyDocument in models else ""
    if section:
        return f"`{shown}` belongs under `{section}`: indent it by two spaces below `{section}:`"
    return f"unknown key `{shown}`{_meant(key, models)}"


def _meant(key: str, models: Sequence[type[Model]]) -> str:
    known = {field.alias or name for m in models for name, field in m.model_fields.items() if name != "is_"}
    said = next((said for m in models if (said := other_word(key, known, _kind_of(m)))), "")
    return f": {said}" if said else suggestion(key, known)


def _kind_of(model: type[Model]) -> str:
    """The word of `other_word` for what a model is of."""
    kinds = (
        ("condition", IfBase),
        ("action", ThenBase),
        ("rule", Rule),
        ("document", PolicyDocument),
        ("media", Allow),
    )
    by_class = next((kind for kind, base in kinds if issubclass(model, base)), "")
    return by_class or model.__name__.removesuffix("Params").lower()


def _section_of(key: str) -> str:
    """The section of the document that a key belongs to, where only one has it."""
    found = [
        name
        for name in ("accept", "attachments", "virus")
        for model in _models_at((name,))
        if key in model.model_fields
    ]
    return found[0] if len(found) == 1 else ""


def _text_wanted(found: _Found) -> str:
    if found.node.entries is None and found.node.items is None:
        return f"a text is wanted here: put quotes around it: {quote(found.node.raw)}"
    return "a text is wanted here, not a list or a mapping"


def _choice_wanted(found: _Found) -> str:
    node, expected = found.node, str(found.error.get("ctx", {}).get("expected", ""))
    if expected == "True":
        return "this action takes no value: write it as a mere word"
    if node.entries is not None or node.items is not None:
        written = "a list" if node.items is not None else "a mapping"
        return f"one word is wanted here, not {written}: {expected}"
    words = [w.strip("' ") for w in expected.replace(" or ", ",").split(",")]
    return f"{quote(node.raw)} is not known here{suggestion(node.raw, words)}"


def _bool_wanted(found: _Found) -> str:
    node, word = found.node, shorten(found.node.raw)
    if node.quoted and word.lower() in ("true", "false"):
        return f"write {word.lower()} without quotes"
    meant = {"yes": "true", "on": "true", "y": "true", "1": "true"} | dict.fromkeys(("no", "off", "n", "0"), "false")
    wanted = meant.get(word.lower(), "true or false")
    return f"write {wanted}{f', not {word}' if word else ''} (yes, no, on and off are text)"


def _list_wanted(found: _Found) -> str:
    if found.node.entries is not None:
        first = next(iter(found.node.entries), "")
        if re.match("-[a-z]", first):
            return f"put a space behind the dash: `- {shorten(first[1:])}:`"
        return "a list is wanted here: begin each of its entries with `- `, also a single one"
    return "a list is wanted here: write [ ] around it, or lines that begin with -"


def _mapping_wanted(found: _Found) -> str:
    """By what is meant to stand here: a condition, an action, or the parameters of one."""
    node, location = found.node, found.error["loc"]
    missing = space_missing(node.raw)
    if missing:
        return missing
    for model in _models_at(location):
        if issubclass(model, IfBase):
            return _condition_wanted(node)
        if issubclass(model, ThenBase):
            return _action_wanted(node.raw)
    return f"a mapping is wanted here: write {_mapping_at(location, node)}"


def _mapping_at(location: Location, node: Node) -> str:
    """What to write there, by the key it belongs to; what stands below a name of the account, by the key above that."""
    steps = [step for step in location if isinstance(step, str)]
    if steps[:1] == ["teams"] and len(steps) == 2:
        return f"{{rules: […]}}: the rules of team {quote(shorten(steps[1]))}"
    if steps[:1] == ["mailboxes"] and len(steps) == 2:
        return "what is different for this mailbox, for example {accept: {acknowledge: false}}"
    key = steps[-1] if steps else ""
    if key not in _MAPPINGS and node.items is not None and any(issubclass(m, Matcher) for m in _models_at(location)):
        return "the texts in one list, without another inside: [casino, lottery]"
    return _mapping_meant(key, node) or _MAPPINGS.get(key, "`key: value`")


def _mapping_meant(key: str, node: Node) -> str:
    """`ticket: open`, `time: weekend`, `route: [a, b]`: the form of that very value; empty where nobody can tell."""
    word = node.raw.strip().lower()
    if key == "ticket" and word in STATES:
        return f"{{state: {word}}}"
    if key == "time" and word in ("weekend", "weekends"):
        return "{days: sat-sun}"
    if key == "time" and (word in ("weekdays", "workdays") or word[:3] in DAYS):
        return f"{{days: {word if word[:3] in DAYS else 'mon-fri'}}}"
    if key == "time" and word[:1].isdecimal():
        return f"{{hours: {quote(word)}}}"
    if key == "virus" and word:
        return f"what it is for, {{infected: {shorten(word)}}} or {{unscannable: {shorten(word)}}}"
    teams = [item.raw for item in node.items or () if item.raw]
    if key == "route" and teams:
        return (
            f"one team, route: {shorten(teams[0])}; {{assign: {{team: [{shorten(', '.join(teams))}]}}}} tries several"
        )
    return ""


def _condition_wanted(node: Node) -> str:
    if node.items is not None:
        return "conditions that must all hold stand side by side without dashes; for one of several write `any: […]`"
    if "@" in node.raw:
        return f"a condition has a name: write {{sender: {node.raw.strip()}}}"
    return "a condition has a name: write {subject: {contains: urgent}}"


def _action_wanted(written: str) -> str:
    """Of text where an action is wanted: `route finance`, `Ignore`, `delete`."""
    actions = set(all_actions())
    name, _, value = written.strip().partition(" ")
    if name in actions:
        return f"write {{{name}: {value or '…'}}}: what it acts on stands behind a colon"
    said = other_word(name, actions, "action")
    return (
        f"there is no action {quote(shorten(written))}: {said}"
        if said
        else (f"there is no action {quote(shorten(written))}{suggestion(name, actions)}")
    )


def _number_bound(found: _Found) -> str:
    bounds = found.error.get("ctx", {})
    return f"this is at least {bounds['ge']}" if "ge" in bounds else f"this is at most {bounds['le']}"


_MAPPINGS = {
    "ticket": "{state: open}, {team: matcher}, {tag: matcher} or {closed_for: 7d}",
    "time": '{days: mon-fri}, {hours: "09:00-17:00"} or {holidays: ["12-25"]}',
    "teams": "the name of a team, a colon, and `{rules: […]}`",
    "route": "one team, route: TEAM, or {team: TEAM, reassign: true}",
    "assign": "one agent, assign: name@domain, or {team: TEAM}, also {team: [TEAM, TEAM]} for several",
    "otherwise": "an agent, a team, or {team: TEAM, strategy: round-robin}",
    "contact": "known, unknown, {tag: matcher} or {company: matcher}",
    "notify": "{to: [name@domain, assignee], template: NAME}",
    "notify_only": "{to: [name@domain, assignee], template: NAME}",
    "attachments": "its keys below it, indented: `  deny: [exe, zip]`",
    "virus": "its keys below it, indented: `  infected: reject`",
    "author_from": "{if: {sender: name@domain}, take: reply-to}",
    "fields": "{order: 4711}: names of your fields and their values",
    "header": "{Name: matcher}, for example {List-Id: {contains: news}}",
    "attachment": "{type: exe}, {name: matcher} or {bytes_over: 5MB}",
    "spam": "true, false or {score_over: 6}",
    "set": "{priority: high}, {state: pending}, {language: de} or {fields: {…}}",
    "mailboxes": "the address of a mailbox, a colon, and what is different there",
    "allow": "{image: […], video: […], audio: […]}",
    "accept": "its keys below it, indented: `  senders: anyone`",
    "rules": "a rule: `- if: {subject: {contains: urgent}}`, and below it `then: […]`",
}
"""What to write where a mapping is wanted, by the key it belongs to."""

_WORDS: dict[str, Callable[[_Found], str]] = {
    "mistake": lambda found: found.error["msg"],  # already in words
    "missing": lambda found: f"`{found.error['loc'][-1]}` is missing here",
    "string_type": _text_wanted,
    "literal_error": _choice_wanted,
    "bool_type": _bool_wanted,
    "int_type": lambda _: "a whole number is wanted here, without quotes",
    "float_type": lambda _: "a number is wanted here, without quotes",
    "tuple_type": _list_wanted,
    "dict_type": _mapping_wanted,
    "model_type": _mapping_wanted,
    "greater_than_equal": _number_bound,
    "less_than_equal": _number_bound,
}
