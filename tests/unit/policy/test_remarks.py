"""What `policy check` says of a policy that is good and does less than its writer thinks."""

from __future__ import annotations

import pytest

from gateway.cli.starters import starters
from gateway.policy import remarks as module
from gateway.policy.loader import load
from gateway.policy.remarks import remarks

LANGUAGE = "{language: de}"


def said(then: str) -> tuple[str, ...]:
    return remarks(load(f"rules: [{{name: r, then: {then}}}]"))


@pytest.mark.parametrize(
    "text",
    [
        f"rules: [{{if: {LANGUAGE}, then: [ignore]}}]",
        f"rules: [{{if: {{any: [{{subject: a}}, {LANGUAGE}]}}, then: [ignore]}}]",
        f"teams: {{sales: {{rules: [{{if: {LANGUAGE}, then: [ignore]}}]}}}}",
        f"block: [{LANGUAGE}]",
    ],
)
def test_a_language_that_nobody_can_tell_here_is_told_with_what_to_install(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_installed", lambda: False)
    (sentence,) = remarks(load(text))
    assert "pip install 'support-mail-gateway[language]'" in sentence
    monkeypatch.setattr(module, "is_installed", lambda: True)
    assert remarks(load(text)) == ()


@pytest.mark.parametrize(
    ("then", "never", "since"),
    [
        (
            "[{assign: ann@acme.example}, {assign: bob@acme.example}]",
            "assign: bob@acme.example",
            "assign: ann@acme.example",
        ),
        ("[{route: sales}, {assign: {team: finance}}]", "assign: finance by least-open", "route: sales"),
        ("[ignore, quarantine]", "quarantine", "ignore"),
        ("[new_ticket, ignore]", "new_ticket", "mail that is ignored"),
        ("[{reject: Go away}, {route: sales}]", "route: sales", "mail that is refused"),
    ],
)
def test_actions_of_one_rule_that_exclude_each_other_are_told(then: str, never: str, since: str) -> None:
    (sentence,) = said(then)
    assert sentence.startswith(f"rule `r`: `{never}` never happens, since ")
    assert since in sentence


@pytest.mark.parametrize(
    "then",
    [
        "[quarantine, {route: sales}]",
        "[{route: sales}, {route: sales}]",
        "[{set: {priority: high}}, {set: {state: pending}}]",
        "[{tag: [a]}, {tag: [b]}, {notify: a@b.example}, {notify: c@d.example}]",
        "[new_ticket, {route: sales}]",
        "[{route: sales}, {assign: {team: finance, reassign: true}}]",
        "[ignore, {tag: [a]}]",
    ],
)
def test_what_goes_together_is_not_remarked_on(then: str) -> None:
    assert said(then) == ()


def test_two_rules_may_want_different_things() -> None:
    text = "rules: [{name: a, then: [{route: sales}]}, {name: b, then: [{route: finance}]}]"
    assert remarks(load(text)) == ()


def test_no_starter_deserves_a_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_installed", lambda: True)
    for starter in starters():
        assert remarks(load(starter.text)) == (), starter.name
