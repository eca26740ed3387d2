"""The JSON Schema and the loader: the schema knows every key, takes what the loader takes, refuses most of what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from gateway.policy.document import all_actions, all_conditions
from gateway.policy.json_schema import DIALECT
from gateway.policy.loader import load, schema
from gateway.policy.problems import PolicyError
from gateway.policy.yaml_tree import read_tree

from .jsonschema import refused
from .test_first_mistakes import GOOD, MISTAKES

TEMPLATES = Path(__file__).resolve().parents[3] / "templates" / "policies"
SCHEMA = schema()

LANGUAGE = {
    "": "accept author_from body import_cc attachments virus block rules teams mailboxes",
    "accept": "senders messages unverified forged indeterminate refuse_forwarded tell_refused join_open_ticket acknowledge"
    " spam",
    "author_from[]": "if take",
    "attachments": "allow deny violation encrypted macros max_files max_bytes max_inline_files max_inline_bytes",
    "attachments.allow": "image video audio",
    "virus": "infected unscannable scanner_down defer_at_most",
    "rules[]": "name if then stop",
    "rules[].if": "sender mailbox recipient subject body header attachment kind verified path contact ticket addressed"
    " language bytes_over spam time all any none",
    "rules[].if.subject": "exact wildcard contains regex",
    "rules[].if.attachment": "name type bytes_over",
    "rules[].if.contact": "tag company",
    "rules[].if.ticket": "state team tag closed_for",
    "rules[].if.spam": "score_over",
    "rules[].if.time": "days hours timezone holidays",
    "rules[].then[]": "ignore reject quarantine route assign new_ticket mailbox set tag note notify notify_only remind"
    " acknowledge forward push",
    "rules[].then[].route": "team reassign",
    "rules[].then[].assign": "team strategy last_agent_first reassign otherwise",
    "rules[].then[].set": "priority state language fields",
    "rules[].then[].notify": "to template",
    "rules[].then[].remind": "after notify",
    "teams{}": "rules",
    "mailboxes{}": "accept attachments virus body import_cc",
}
"""The keys of the language, by where they stand; `[]` is an entry of a list, `{}` a key of one's own."""


def variants(part: dict[str, Any]) -> list[dict[str, Any]]:
    """A part and all it may be, references followed."""
    if "$ref" in part:
        return variants(SCHEMA["$defs"][part["$ref"].rpartition("/")[2]])
    return [part, *(v for one in part.get("anyOf", ()) for v in variants(one) if "required" not in one)]


def below(parts: list[dict[str, Any]], step: str) -> list[dict[str, Any]]:
    """Where one step of a path leads."""
    key = step.rstrip("[]{}")
    found = (
        [v for p in parts if key in p.get("properties", {}) for v in variants(p["properties"][key])] if key else parts
    )
    if step.endswith("[]"):
        return [v for p in found if "items" in p for v in variants(p["items"])]
    if step.endswith("{}"):
        return [
            v
            for p in found
            if isinstance(p.get("additionalProperties"), dict)
            for v in variants(p["additionalProperties"])
        ]
    return found


def known_at(path: str) -> set[str]:
    parts = [SCHEMA]
    for step in path.split(".") if path else ():
        parts = below(parts, step)
    return {key for part in parts for key in part.get("properties", {})}


def is_for_later(path: str, key: str) -> bool:
    """Whether the loader says that this version lacks the key, or the key it stands under."""
    steps = [*path.split("."), key] if path else [key]
    written: Any = "x"
    for step in reversed(steps):
        name = step.rstrip("[]{}")
        inner = [written] if step.endswith("[]") else {"x@y.example": written} if step.endswith("{}") else written
        written = {name: inner}
    with pytest.raises(PolicyError) as caught:
        load(json.dumps(written))
    return "not available in this version" in str(caught.value)


@pytest.mark.parametrize("path", LANGUAGE, ids=[p or "the document" for p in LANGUAGE])
def test_the_schema_knows_each_key_of_the_language(path: str) -> None:
    for key in LANGUAGE[path].split():
        assert key in known_at(path) or is_for_later(path, key), f"{path}.{key}"


def test_it_knows_every_condition_and_action_found_and_says_what_each_is() -> None:
    for part, plugins in (("If", all_conditions()), ("Then", all_actions())):
        properties = SCHEMA["$defs"][part]["properties"]
        assert set(plugins) <= set(properties)
        assert all(properties[name]["description"].startswith("`") for name in plugins)


def test_it_is_json_of_the_dialect_editors_read() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == DIALECT
    assert SCHEMA["additionalProperties"] is False
    assert "is_" not in json.dumps(SCHEMA)


@pytest.mark.parametrize("file", sorted(TEMPLATES.glob("*.yaml")), ids=lambda f: f.stem)
def test_every_starter_fits(file: Path) -> None:
    assert refused(read_tree(file.read_text(encoding="utf-8")).value(), SCHEMA) == []


TAKEN = {
    **GOOD,
    "matchers": 'block: [{subject: x, sender: [a@b.example, {wildcard: "*@c.example"}], header: {X-A: [{regex: x}]}}]',
    "words": "rules: [{then: [ignore]}, {then: [{quarantine: }]}, {then: [{ignore: true}]}]",
    "combined": "rules: [{if: {all: [{any: [{subject: x}]}], none: [{verified: true}]}, stop: true}]",
    "attachments": "block: [{attachment: {name: {wildcard: '*.x'}, type: [exe, dll], bytes_over: 5MB}}, {bytes_over: 1}]",
    "contacts": "block: [{contact: known}, {contact: {tag: vip, company: [{contains: a}]}}, {kind: [new, bounce]}]",
    "spam": "block: [{spam: true}, {spam: {score_over: 6.5}}]",
    "targets": "rules: [{then: [{route: a}, {route: {team: a, reassign: true}}, {assign: a@b.example}, "
    "{assign: {team: [a, b], strategy: least-today, last_agent_first: true}}]}]",
    "notices": "rules: [{then: [{notify: [a@b.example, assignee, {team: a}]}, {notify_only: {to: a@b.example}}, "
    "{acknowledge: false}]}]",
    "fields": "rules: [{then: [{set: {priority: low, fields: {a: 1, b: true, c: ''}}}, {tag: a}, {reject: no}]}]",
    "empty lists": "{rules: [], block: [], author_from: [], attachments: {deny: [], allow: {image: []}}, mailboxes: {}}",
    "settings": "virus: {defer_at_most: 90m}\naccept: {join_open_ticket: 90m, forged: accept}\nimport_cc: none",
    "teams": "teams: {finance: {rules: [{then: [{tag: a}]}]}}",
    "whose": "author_from: [{if: {sender: a@b.example}, take: reply-to}]",
}


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_what_the_loader_takes_fits(text: str) -> None:
    load(text)
    assert refused(read_tree(text).value(), SCHEMA) == []


NOT_A_SCHEMAS = ("there is no", "e-mail address", "another rule called", "regex", "RE2", "is not taken", "are not taken",
                 "characters", "wildcard", "file type", "kind of files", "is not known: did you mean", "the address is",
                 "finds its text", "closed (", "closes nothing", "nothing is repeated", "possessive", "backreferences",
                 "no value", "a plain text is compared", "control character", "no name of", "(invalid", "(bad ", "(trailing",
                 "no agent: write", "an agent, no team", "this never holds", "no ticket is ever",
                 "no whole address", "tag of no language", "for any text at all", "is one line")  # fmt: skip
"""Pieces of messages about what is no matter of shape: names of the account, texts, patterns."""


def tree_of(text: str) -> Any:
    """What an editor's YAML parser makes of it; None where that stops, too."""
    try:
        return read_tree(dedent(text)).value()
    except PolicyError:
        return None


def test_mistakes_of_shape_are_refused_by_the_schema_too() -> None:
    passed = [
        (text, message)
        for text, _, _, message in MISTAKES
        if (tree := tree_of(text)) is not None
        and not any(piece in message for piece in NOT_A_SCHEMAS)
        and not refused(tree, SCHEMA)
    ]
    assert passed == []
