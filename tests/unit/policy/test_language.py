"""`language`: who says in which language a message is written, in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.place import Context
from gateway.policy.explain import explain
from tests.unit.policy.shapes import CONTACT, SUPPORT, facts, problems, rules


def asked(wanted: str, detected: str = "", **changes: object) -> tuple[bool, str]:
    policy = rules(f"rules: [{{name: r, if: {{language: {wanted}}}, then: [ignore]}}]")
    found = explain(replace(facts(**changes), detected_language=detected), policy)[0].conditions[0]
    return found.holds, found.saw


def test_the_header_comes_first() -> None:
    headers = (("Content-Language", "de-AT, (none), en"),)
    assert asked("de", "fr", headers=headers) == (True, "de-AT, en (Content-Language)")
    assert asked("en", "fr", headers=headers)[0]
    assert not asked("fr", "fr", headers=headers)[0]


def test_then_the_words_the_contact_the_mailbox_and_the_account() -> None:
    contact = Context(contact=replace(CONTACT, language="pl"))
    mailbox = (replace(SUPPORT, language="fr"),)
    everything = {"mailboxes": mailbox, "language": "de"}
    assert asked("es", "es", **everything)[1] == "es (detected)"
    known = replace(facts(**everything), context=contact)
    seen = rules("rules: [{name: r, if: {language: pl}, then: [ignore]}]")
    assert explain(known, seen)[0].conditions[0].saw == "pl (the contact's)"
    assert asked("fr", **everything) == (True, "fr (the mailbox's)")
    assert asked("de", language="de") == (True, "de (the account's)")


@pytest.mark.parametrize(
    ("wanted", "tag", "holds"),
    [
        ("de", "de-AT", True), ("DE", "de", True), ("de-AT", "de", False), ("de-AT", "de-at", True), ("de", "den", False),
        ("[fr, de]", "de", True), ("[fr, es]", "de", False),
    ],
)  # fmt: skip
def test_a_language_matches_its_varieties(wanted: str, tag: str, holds: bool) -> None:
    assert asked(wanted, tag)[0] is holds


def test_only_policies_that_ask_have_words_looked_at() -> None:
    assert not rules("rules: [{name: r, then: [ignore]}]").asks_language
    for text in (
        "rules: [{name: r, if: {any: [{subject: x}, {none: [{language: de}]}]}, then: [ignore]}]",
        "teams: {support: {rules: [{name: r, if: {language: de}, then: [{tag: x}]}]}}",
        "block: [{language: de}]",
    ):
        assert rules(text).asks_language


@pytest.mark.parametrize(
    ("written", "cure"), [("German", "write de"), ("de_AT", "write de-AT"), ("klingonisch", "write en, de or pt-BR")]
)
def test_a_mistake_is_told_with_its_cure(written: str, cure: str) -> None:
    said = problems(f"rules: [{{if: {{language: {written}}}, then: [ignore]}}]")
    assert said == f'line 1, column 25: "{written}" is no language tag: {cure}'


def test_whose_mail_it_is_cannot_hang_on_what_the_contact_speaks() -> None:
    said = problems("author_from: [{if: {language: de}, take: reply-to}]")
    assert "`language` is not known yet where it is decided whose mail this is" in said
