"""`policy`: check, publish, versions, show, rollback, test."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import POLICY, Cli

BAD = "rules:\n  - name: x\n    if: {sender: *@bad.example}\n    then: [quarantine]\n"
UNKNOWN_TEAM = "rules:\n  - name: x\n    then: [{route: nobody}]\n"


def test_a_good_policy_is_called_good(cli: Cli) -> None:
    assert "2 rules" in cli("policy", "check", cli.write("p.yaml", POLICY)).out
    assert cli("policy", "check", cli.write("p.yaml", POLICY), "--json").json["ok"] is True


def test_problems_are_told_as_compilers_do(cli: Cli) -> None:
    file = cli.write("p.yaml", BAD)

    done = cli("policy", "check", file, code=1)

    assert done.err.startswith(f"{file}: line 3, column 18: put quotes around it")
    assert done.out == ""


def test_problems_are_json_with_their_places(cli: Cli) -> None:
    found = cli("policy", "check", cli.write("p.yaml", BAD), "--json", code=1).json

    assert (found["ok"], found["problems"][0]["line"], found["problems"][0]["column"]) == (False, 3, 18)


def test_names_are_looked_up_only_in_an_account(bare: Cli, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    file = cli.write("p.yaml", UNKNOWN_TEAM)
    assert "nobody" in cli("policy", "check", file, code=1).err

    monkeypatch.delenv("GATEWAY_ACCOUNT")

    assert "only checked with --account" in bare("policy", "check", file).out


@pytest.mark.parametrize("content", [b"rules: \xff\xfe\n", None])
def test_a_file_that_cannot_be_read_is_wrong_usage(cli: Cli, content: bytes | None) -> None:
    if content:
        (cli.folder / "p.yaml").write_bytes(content)
    else:
        (cli.folder / "p.yaml").mkdir()

    assert "p.yaml" in cli("policy", "check", str(cli.folder / "p.yaml"), code=2).err.replace("│\n│ ", "")


def test_a_policy_is_published_as_the_next_version(cli: Cli) -> None:
    file = cli.write("p.yaml", "accept: {acknowledge: false}\n")

    assert cli("policy", "publish", file, "--note", "quiet", "--yes", "--json").json == {
        "account": "acme",
        "version": 2,
    }

    versions = cli("policy", "versions", "--json").json
    assert [(v["version"], v["live"], v["note"]) for v in versions] == [(2, True, "quiet"), (1, False, "the first")]
    assert cli("policy", "show").out == "accept: {acknowledge: false}\n"
    assert cli("policy", "show", "1", "--json").json == {"version": 1, "live": False, "text": POLICY}


def test_a_bad_policy_is_not_published(cli: Cli) -> None:
    done = cli("policy", "publish", cli.write("p.yaml", UNKNOWN_TEAM), "--json", code=1)

    assert "line 3" in done.err
    assert done.out == ""
    assert len(cli("policy", "versions", "--json").json) == 1


def test_a_rollback_publishes_the_old_text_anew(cli: Cli) -> None:
    cli("policy", "publish", cli.write("p.yaml", ""))

    assert cli("policy", "rollback", "1", "--json").json == {"account": "acme", "version": 3, "rolled_back_from": 1}
    assert cli("policy", "show", "--json").json["text"] == POLICY


def test_there_is_no_rollback_to_what_never_was(cli: Cli) -> None:
    assert "gateway policy versions" in cli("policy", "rollback", "9", code=1).err


def test_a_policy_is_tested_on_a_message_and_nothing_is_kept(cli: Cli) -> None:
    message, policy = str(cli.folder / "0.eml"), cli.write("p.yaml", POLICY)
    options = ("--account", "acme", "--sender", "carol@customer.test", "--client-ip", "127.0.0.9")

    judged = cli.process("policy", "test", policy, message, *options, "--json").json

    assert (judged["disposition"], judged["auth"]["sender"]) == ("accept", "verified")
    assert {r["rule"]: r["result"] for r in judged["rules"]} == {
        "block 1": "not matched",
        "urgent": "matched",
        "wait": "not matched",
    }
    page = cli.process("policy", "test", policy, message, *options).out
    assert "\x1b" not in page
    assert 'no  subject: contains "suspicious"' in page
    assert len(cli("log", "--json").json) == 4


def test_a_bad_policy_is_not_tested(cli: Cli) -> None:
    done = cli("policy", "test", cli.write("p.yaml", BAD), str(cli.folder / "0.eml"), code=1)

    assert "line 3, column 18" in done.err


def test_replay_shows_in_groups_what_would_change(cli: Cli) -> None:
    file = cli.write("new.yaml", POLICY.replace("tag: [vip]", "tag: [pump]"))

    done = cli("policy", "replay", file, "--since", "1d")
    found = cli("policy", "replay", file, "--json").json

    assert f"1 of {found['compared']} past messages would be decided otherwise; 1 were kept unread" in done.out
    assert "carol@customer.test" in done.out
    assert (found["changed"], found["worse"]) == (1, 0)
    assert found["groups"][0]["differences"] == [{"what": "tag", "before": "vip", "after": "pump"}]


def test_a_policy_that_takes_tickets_away_is_published_only_when_agreed_to(cli: Cli) -> None:
    file = cli.write("new.yaml", "rules: [{name: all, then: [ignore]}]")

    refused = cli("policy", "publish", file, code=1)
    assert "--yes" in refused.err
    assert "a new ticket → ignored (ignored-by-rule)" in refused.out
    assert cli("policy", "publish", file, "--json", code=1).json["replay"]["worse"] == 1
    assert [v["version"] for v in cli("policy", "versions", "--json").json] == [1]

    assert cli("policy", "publish", file, "--yes", "--json").json["version"] == 2


def test_replay_of_the_same_policy_changes_nothing(cli: Cli) -> None:
    assert "Nothing would change: 2 past messages" in cli("policy", "replay", cli.write("p.yaml", POLICY)).out
