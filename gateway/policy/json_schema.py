"""The JSON Schema (2020-12) of a policy: what pydantic knows of the document, and what only our own checks know besides.

A schema may let a mistake pass that the loader tells, but never refuses what the loader takes: an editor that marks good
text as wrong teaches people to ignore it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from gateway.policy import actions, conditions
from gateway.policy.actions.assign import all_strategies
from gateway.policy.document import PolicyDocument, all_actions, all_conditions
from gateway.policy.matchers import LONGEST_PATTERN

Json = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_ONE_OR_MORE = ("If", "EarlyIf", "Then", "AttachmentParams", "ContactParams", "SetParams", "SpamParams", "TicketParams")
_MAY_BE_EMPTY = ("Allow", "Attachments", "TeamRules")
_ANY_TEXT = ("fields",)
"""Keys whose texts may be empty."""


def policy_schema() -> Json:
    """The schema, made anew each time: what is plugged in decides what it holds."""
    written = PolicyDocument.model_json_schema(mode="validation")
    parts: Json = written["$defs"]
    bare = frozenset(name for name, action in all_actions().items() if action.bare)
    for name, part in parts.items():
        lists_may_be_empty = name in _MAY_BE_EMPTY
        part["properties"] = {
            key: _tightened(value, lists_may_be_empty=lists_may_be_empty, null=name == "Then" and key in bare, key=key)
            for key, value in part["properties"].items()
            if key != "is_"  # ours, for what is written as a mere word
        }
        part.pop("title", None)
    written["properties"] = {
        key: _tightened(value, lists_may_be_empty=True, null=False, key=key)
        for key, value in written["properties"].items()
    }
    _add_what_validators_know(parts)
    for name in ("If", "EarlyIf"):
        _describe(parts[name]["properties"], conditions.__name__, all_conditions())
    _describe(parts["Then"]["properties"], actions.__name__, all_actions())
    written["title"] = "Policy of a mail gateway account"
    return {"$schema": DIALECT, **written}


def _tightened(value: Any, *, lists_may_be_empty: bool, null: bool, key: str) -> Any:
    """No titles, no null where a value is wanted, no empty texts and lists."""
    if not isinstance(value, dict):
        return value
    part = {k: v for k, v in value.items() if k != "title" and not (k == "default" and v is None)}
    for nested in ("items", "additionalProperties"):
        if nested in part:
            part[nested] = _tightened(part[nested], lists_may_be_empty=lists_may_be_empty, null=null, key=key)
    if "anyOf" in part:
        kept = [v for v in part["anyOf"] if null or v != {"type": "null"}]
        told = [_tightened(v, lists_may_be_empty=lists_may_be_empty, null=null, key=key) for v in kept]
        part |= {"anyOf": told} if len(told) > 1 else told[0]
        if len(told) == 1:
            del part["anyOf"]
    if part.get("type") == "string" and not part.keys() & {"enum", "const", "pattern"} and key not in _ANY_TEXT:
        part["pattern"] = r"\S"
    if part.get("type") == "array" and not lists_may_be_empty:
        part["minItems"] = 1
    return part


def _add_what_validators_know(parts: Json) -> None:
    for name in _ONE_OR_MORE:
        if name in parts:
            parts[name]["minProperties"] = 1
    parts["Matcher"] |= {"minProperties": 1, "maxProperties": 1}
    for ways in parts["Matcher"]["properties"].values():
        for way in (ways["anyOf"][0], ways["anyOf"][1]["items"]):
            way["maxLength"] = LONGEST_PATTERN
    parts["AssignParams"]["oneOf"] = [{"required": ["agent"]}, {"required": ["team"]}]
    for part in parts.values():
        strategy = part["properties"].get("strategy")
        if strategy:
            strategy.pop("pattern", None)
            strategy["enum"] = sorted(all_strategies())
    does = [{"required": ["then"]}, {"required": ["stop"], "properties": {"stop": {"const": True}}}]
    parts["Rule"]["anyOf"] = does


def _describe(properties: Json, package: str, plugins: Any) -> None:
    """Each condition and action says what it is in the first line of its file: editors show that."""
    for name in plugins:
        said = import_module(f"{package}.{name}").__doc__
        if said and name in properties:
            properties[name]["description"] = said.strip().splitlines()[0]
