"""A team's rules in the account's document: in their place, and nothing else touched."""

from __future__ import annotations

import pytest

from gateway.commands.team_rules import in_the_team_s_text, with_team_rules
from gateway.core.errors import InvalidInput
from gateway.policy.loader import load
from gateway.policy.problems import PolicyError, Problem

RULES = """\
# mine
rules:
  # the first
  - name: big  # a comment
    if: {bytes_over: 1MB}
    then: [{tag: [a, "no"]}]
"""
IN_PLACE = """\
  finance:
    # mine
    rules:
      # the first
      - name: big  # a comment
        if: {bytes_over: 1MB}
        then: [{tag: [a, "no"]}]
"""
BEFORE = """\
# top
accept: {senders: anyone}   # c1
rules:   # the account's
- name: a
  if: {subject: {regex: "(?i)x"}}
  then: [{route: support}]
"""
AFTER = """\
  # about support
  support: {rules: [{name: s, then: [{tag: [x]}]}]}  # keep

# about mailboxes
mailboxes: {billing@acme.test: {accept: {senders: contacts}}}
"""


@pytest.mark.parametrize(
    "old",
    ["  finance: {rules: []}  # none\n", "  finance:\n    # old\n    rules:\n    - name: o\n      then: [ignore]\n"],
)
def test_they_take_the_place_of_the_old_ones_and_the_rest_stays_as_it_was_typed(old: str) -> None:
    document = f"{BEFORE}teams:   # managers\n{old}{AFTER}"
    assert with_team_rules(document, "finance", RULES) == f"{BEFORE}teams:   # managers\n{IN_PLACE}{AFTER}"


def test_a_team_that_had_none_comes_behind_the_others() -> None:
    whole = with_team_rules(f"{BEFORE}teams:\n{AFTER}", "finance", RULES)
    assert whole == f"{BEFORE}teams:\n{AFTER}".replace("# keep\n", f"# keep\n{IN_PLACE}")


@pytest.mark.parametrize("document", ["", "# only a comment\n", BEFORE, BEFORE.rstrip("\n")])
def test_a_document_without_teams_gets_them_at_its_end(document: str) -> None:
    lines = document.rstrip("\n") + "\n" if document else ""
    assert with_team_rules(document, "finance", RULES) == f"{lines}teams:\n{IN_PLACE}"


@pytest.mark.parametrize(
    "document",
    [
        "teams: {finance: {rules: [{name: o, then: [ignore]}]}, support: {rules: [{name: s, then: [{tag: [x]}]}]}}  # t\nblock: []\n",
        "{accept: {senders: contacts}, teams: {finance: {rules: []}}}",
        "{accept: {senders: contacts}}",
        "---\nteams: {}\n",
    ],
)
def test_teams_in_braces_are_written_anew_and_mean_the_same(document: str) -> None:
    before, after = load(document), load(with_team_rules(document, "finance", RULES))
    assert after.teams["finance"] == load(f"teams:\n{IN_PLACE}").teams["finance"]
    others = {"teams": {k: v for k, v in after.teams.items() if k != "finance"}}
    assert after.model_copy(update=others) == before.model_copy(
        update={"teams": {k: v for k, v in before.teams.items() if k != "finance"}}
    )


@pytest.mark.parametrize("team", ["second line", "null", "yes", "7", "a: b", "# c", "Vertrieb (Süd)", '"'])
def test_a_team_may_be_called_anything(team: str) -> None:
    assert list(load(with_team_rules("", team, RULES)).teams) == [team]


def test_a_text_of_many_lines_stays_what_it_was() -> None:
    text = "rules:\n  - name: n\n    then:\n      - note: |\n          one\n\n            two\n          three\n"
    then = load(with_team_rules(BEFORE, "finance", text)).teams["finance"].rules[0].then
    assert then == load(text).rules[0].then


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("accept: {senders: contacts}\nrules: []", 1, "`accept`"),
        ("rules: []\nblock: []", 2, "`block`"),
        ("", 1, "rules: ["),
        ("rules: 7", 1, "rules: ["),
        ("- a", 1, "rules: ["),
        ("rules: [", 1, ""),
    ],
)
def test_what_is_no_list_of_rules_is_told_with_its_place(text: str, line: int, what: str) -> None:
    with pytest.raises(PolicyError) as caught:
        with_team_rules(BEFORE, "finance", text)
    assert caught.value.problems[0].line == line
    assert what in caught.value.problems[0].message


def test_a_document_that_would_come_out_otherwise_is_left_alone() -> None:
    """A file with a second document in it would end the account's; nothing is published then."""
    with pytest.raises((InvalidInput, PolicyError)):
        with_team_rules(f"{BEFORE}...\n", "finance", "%YAML 1.2\n---\nrules: []\n...\n---\nrules: []\n")


# --- what is found in the whole document, told to somebody who sees these rules alone ---


def test_a_mistake_of_the_whole_document_is_told_where_it_stands_in_the_team_s_text() -> None:
    found = Problem(40, 17, "teams.a.b.rules[0].if.bytes_over", "too much")
    assert in_the_team_s_text(found, "a.b", RULES) == Problem(5, 22, "rules[0].if.bytes_over", "too much")


@pytest.mark.parametrize("path", ["rules[0].then", "teams.support.rules[0].then", "teams.a.b.rules[0]"])
def test_a_mistake_elsewhere_is_said_to_be_the_account_s(path: str) -> None:
    told = in_the_team_s_text(Problem(40, 17, path, "there is no team x"), "a", RULES)
    assert told.line == 2
    assert "the account's policy" in told.message
    assert "line 40, column 17: there is no team x" in told.message


def test_what_is_too_much_in_all_has_no_place() -> None:
    told = in_the_team_s_text(Problem(1, 1, "", "the patterns are too many"), "a", RULES)
    assert told.message == "together with the rest of the account's policy: the patterns are too many"
