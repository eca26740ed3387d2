"""From pydantic's errors to problems: the place in the document, and words for whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from gateway.policy.cures import quote
from gateway.policy.document import PolicyDocument, Rule, all_actions, all_conditions
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
    return Problem(line, column, path, words(_Found(error, node)))


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
    shown = shorten(key)
    known = {field.alias or name for m in models for name, field in m.model_fields.items() if name != "is_"}
    if Rule in models and key in all_conditions().keys() | {"all", "any", "none"}:
        return f"`{shown}` is a condition: write it under `if`"
    if Rule in models and key in all_actions():
        return f"`{shown}` is an action: write it under `then`"
    return f"unknown key `{shown}`{suggestion(key, known)}"


def _text_wanted(found: _Found) -> str:
    if found.node.entries is None and found.node.items is None:
        return f"a text is wanted here: put quotes around it: {quote(found.node.raw)}"
    return "a text is wanted here, not a list or a mapping"


def _choice_wanted(found: _Found) -> str:
    node, expected = found.node, str(found.error.get("ctx", {}).get("expected", ""))
    if expected == "True":
        return "this action takes no value: write it as a mere word"
    if node.entries is not None or node.items is not None:
        return f"one word is wanted here: {expected}"
    words = [w.strip("' ") for w in expected.replace(" or ", ",").split(",")]
    return f"{quote(node.raw)} is not known here{suggestion(node.raw, words)}"


def _bool_wanted(found: _Found) -> str:
    written = f", not {shorten(found.node.raw)}" if found.node.raw else ""
    return f"write true or false{written} (yes, no, on and off are text)"


_MAPPING = "a mapping is wanted here: write `key: value`"
_WORDS: dict[str, Callable[[_Found], str]] = {
    "mistake": lambda found: found.error["msg"],  # already in words
    "missing": lambda found: f"`{found.error['loc'][-1]}` is missing here",
    "string_type": _text_wanted,
    "literal_error": _choice_wanted,
    "bool_type": _bool_wanted,
    "int_type": lambda _: "a whole number is wanted here",
    "tuple_type": lambda _: "a list is wanted here: write [ ] around it, or lines that begin with -",
    "dict_type": lambda _: _MAPPING,
    "model_type": lambda _: _MAPPING,
}
