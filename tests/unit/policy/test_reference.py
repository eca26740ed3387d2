"""`docs/operate/policy-reference.md` holds every word of the language, no others, and examples that the loader takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.parse.language import LEAST_CHARACTERS
from gateway.policy.actions.assign import all_strategies
from gateway.policy.actions.note import LONGEST_NOTE
from gateway.policy.document import PolicyDocument, Rule, all_actions, all_conditions
from gateway.policy.forwarding import MOST
from gateway.policy.json_schema import policy_schema
from gateway.policy.loader import load
from gateway.policy.matchers import Matcher
from gateway.policy.patterns import BODY_CHARACTERS
from gateway.policy.values import Model
from tests.conftest import ROOT

PAGE = (ROOT / "docs/operate/policy-reference.md").read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = policy_schema()
COMBINED = ("all", "any", "none")
RESERVED = "push"


def rows(section: str) -> dict[str, list[str]]:
    """The cells behind the name in each row of a section's table; a name that comes twice is an error."""
    _, _, text = PAGE.partition(f"## {section}\n")
    lines = re.findall(r"^\| `(.+?)` \|(.*)\|$", text.partition("\n## ")[0], re.MULTILINE)
    found = {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in lines}
    assert len(found) == len(lines), section
    return found


def example(cells: list[str]) -> str:
    assert cells[-1].startswith("`")
    assert cells[-1].endswith("`")
    return cells[-1].strip("`")


def settings_of(model: type[Model], prefix: str = "") -> Iterator[str]:
    """The keys of the document as they are written: `accept.senders`."""
    for name, field in model.model_fields.items():
        nested = field.annotation
        if prefix == "" and isinstance(nested, type) and issubclass(nested, Model):
            yield from settings_of(nested, f"{name}.")
        else:
            yield prefix + name


def words_of(part: Any) -> Iterator[str]:
    """Every key and fixed word below a place of the schema; those of matchers, `if` and strategies have tables of
    their own.
    """
    if isinstance(part, list):
        for item in part:
            yield from words_of(item)
    if not isinstance(part, dict):
        return
    yield from part.get("enum", ())
    yield from [part["const"]] if isinstance(part.get("const"), str) else []
    yield from part.get("properties", ())
    name = str(part.get("$ref", "")).removeprefix("#/$defs/")
    if name and name not in ("Matcher", "If", "Then"):
        yield from words_of(SCHEMA["$defs"][name])
    for key, value in part.items():
        yield from words_of(list(value.values()) if key == "properties" else value)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("Settings", set(settings_of(PolicyDocument))),
        ("Rules", {*(f.alias or n for n, f in Rule.model_fields.items()), *COMBINED}),
        ("Matchers", set(Matcher.model_fields)),
        ("Conditions", set(all_conditions())),
        ("Actions", set(all_actions())),
        ("Strategies", set(all_strategies())),
    ],
)
def test_each_word_of_the_language_has_its_row_and_no_other_has(section: str, words: set[str]) -> None:
    assert set(rows(section)) == words


@pytest.mark.parametrize(
    ("section", "place"), [("Conditions", "If"), ("Actions", "Then")], ids=["conditions", "actions"]
)
def test_each_row_names_all_that_may_be_written_there(section: str, place: str) -> None:
    for name, cells in rows(section).items():
        said = " ".join(cells)
        for word in words_of(SCHEMA["$defs"][place]["properties"][name]):
            assert word in all_strategies() or re.search(rf"[`{{ ]{re.escape(str(word))}\b", said), f"{name}: {word}"


SETTINGS = rows("Settings")


@pytest.mark.parametrize("key", [k for k, cells in SETTINGS.items() if cells[0].startswith("`")])
def test_the_default_of_a_setting_comes_first(key: str) -> None:
    words = re.findall(r"`(.+?)`", SETTINGS[key][0])
    written: Any = words[0]
    for step in reversed(key.split(".")):
        written = f"{{{step}: {written}}}"
    assert load(written) == load("")


@pytest.mark.parametrize("key", [k for k in SETTINGS if "." in k])
def test_a_setting_that_is_a_word_lists_every_word(key: str) -> None:
    table, _, name = key.partition(".")
    part = SCHEMA["$defs"][table.capitalize()]["properties"][name]
    assert set(part.get("enum", ())) <= set(re.findall(r"`(.+?)`", SETTINGS[key][0]))


@pytest.mark.parametrize("key", SETTINGS)
def test_the_example_of_a_setting_is_good_and_about_it(key: str) -> None:
    text = example(SETTINGS[key])
    assert load(text) != load("")
    assert all(f"{step}:" in text for step in key.split("."))


EXAMPLES = [
    *((f"[{example(c)}]", n) for n, c in rows("Rules").items()),
    *((f"[{{if: {example(c)}, then: [ignore]}}]", n) for s in ("Matchers", "Conditions") for n, c in rows(s).items()),
    *(
        (f"[{{then: [{example(c)}]}}]", n)
        for s in ("Actions", "Strategies")
        for n, c in rows(s).items()
        if n != RESERVED
    ),
]


@pytest.mark.parametrize(("text", "name"), EXAMPLES, ids=[name for _, name in EXAMPLES])
def test_an_example_is_good_and_about_its_row(text: str, name: str) -> None:
    assert load(f"rules: {text}").rules
    assert re.search(rf"\b{name}\b", text)


def test_figures_are_those_of_the_program() -> None:
    assert f"{LEAST_CHARACTERS} characters" in rows("Conditions")["language"][0]
    assert f"{BODY_CHARACTERS:,} characters" in rows("Conditions")["body"][0]
    assert f"{LONGEST_NOTE:,} characters" in rows("Actions")["note"][0]
    assert f"to {MOST} addresses" in rows("Actions")["forward"][0]


def test_the_readme_counts_the_starters() -> None:
    words = {9: "nine", 10: "ten", 11: "eleven", 12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen"}
    count = len(list((ROOT / "templates/policies").glob("*.yaml")))
    assert f"# {words[count]} to begin with: gateway policy starters" in (ROOT / "README.md").read_text("utf-8")
