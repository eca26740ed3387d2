"""`policy`: check, publish, versions, show, rollback, test."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import POLICY, Cli

BAD = "rules:\n  - name: x\n    if: {sender: *@bad.example}\n    then: [quarantine]\n"
UNKNOWN_TEAM = "rules:\n  - name: x\n    then: [{route: nobody}]\n"


def test_a_good_policy_is_called_good(cli: Cli) -> None:
    assert "2 rules" in cli("policy", "check", cli.write("p.yaml", POLICY)).out
    assert cli("policy", "check", cli.write("p.yaml", POLICY), "--json").json["ok"] is True


def test_a_good_policy_that_does_less_than_it_says_is_remarked_on(cli: Cli) -> None:
    file = cli.write("p.yaml", "rules: [{name: x, then: [{assign: ann@acme.test}, {route: support}]}]\n")
    done = cli("policy", "check", file)
    assert f"{file}: remark: rule `x`: `route: support` never happens" in " ".join(done.err.split())
    assert "a good policy with 1 rules" in done.out
    assert len(cli("policy", "check", file, "--json").json["remarks"]) == 1


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
        "probation": None,
        "dropped_rules": [],
        "replay": None,
    }

    versions = cli("policy", "versions", "--json").json
    assert [(v["version"], v["live"], v["note"]) for v in versions] == [(2, True, "quiet"), (1, False, "the first")]
    assert cli("policy", "show").out == "accept: {acknowledge: false}\n"
    found = cli("policy", "show", "1", "--json").json
    assert {k: found[k] for k in ("version", "live", "text")} == {"version": 1, "live": False, "text": POLICY}


def test_what_a_version_changed_is_shown_as_a_unified_diff(cli: Cli) -> None:
    cli("policy", "publish", cli.write("p.yaml", POLICY.replace("vip", "pump")), "--note", "pumps")
    changed = [line for line in cli("policy", "diff", "1", "2").out.splitlines() if line[:1] in "+-"]
    assert changed == ["--- version 1", "+++ version 2", "-      - tag: [vip]", "+      - tag: [pump]"]
    assert cli("policy", "show", "--diff").out == cli("policy", "diff", "1").out
    assert cli("policy", "diff", "2", "1", "--json").json["diff"].splitlines()[:2] == ["--- version 2", "+++ version 1"]
    assert cli("policy", "diff", "1", "1").out == ""
    assert "+block:" in cli("policy", "show", "1", "--json").json["diff"]
    assert "gateway policy versions" in cli("policy", "diff", "1", "9", code=1).err


def test_a_diff_is_coloured_for_eyes_alone(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in cli("policy", "diff", "0", "1").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[32m+block:" in cli("policy", "diff", "0", "1").out


def test_a_bad_policy_is_not_published(cli: Cli) -> None:
    done = cli("policy", "publish", cli.write("p.yaml", UNKNOWN_TEAM), code=1)

    assert "line 3" in done.err
    assert done.out == ""
    assert len(cli("policy", "versions", "--json").json) == 1


@pytest.mark.parametrize("command", ["check", "publish", "replay", "test", "shadow start"])
def test_what_is_wrong_with_a_policy_is_json_in_every_command_that_reads_one(cli: Cli, command: str) -> None:
    file = cli.write("p.yaml", UNKNOWN_TEAM)
    message = [str(cli.folder / "0.eml")] if command == "test" else []

    done = cli("policy", *command.split(), file, *message, "--json", code=1)

    assert (done.json["ok"], done.json["file"]) == (False, file)
    assert [(p["line"], p["path"]) for p in done.json["problems"]] == [(3, "rules[0].then[0].route")]
    assert done.json.get("version", "none of its") == (None if command == "publish" else "none of its")
    assert f"{file}: line 3" in done.err


def test_a_policy_is_read_from_standard_input(cli: Cli) -> None:
    assert (
        "standard input: a good policy with 2 rules" in cli.process("policy", "check", "-", stdin=POLICY.encode()).out
    )

    done = cli.process("policy", "check", "-", "--json", stdin=BAD.encode(), code=1)

    assert done.err.startswith("standard input: line 3, column 18: put quotes around it")
    assert (done.json["file"], done.json["problems"][0]["line"]) == ("-", 3)


def test_standard_input_that_is_no_utf_8_is_wrong_usage(cli: Cli) -> None:
    done = cli.process("policy", "check", "-", stdin=b"rules: \xff", code=2)
    assert "standard input is not UTF-8 (byte 7)" in done.err


def test_a_rollback_publishes_the_old_text_anew(cli: Cli) -> None:
    cli("policy", "publish", cli.write("p.yaml", ""))

    assert cli("policy", "rollback", "1", "--json").json == {
        "account": "acme", "version": 3, "rolled_back_from": 1, "probation": None, "dropped_rules": [], "replay": None,
    }  # fmt: skip
    assert cli("policy", "show", "--json").json["text"] == POLICY


def test_a_rollback_says_that_it_was_not_tried_and_what_brings_mail_back(cli: Cli) -> None:
    cli("policy", "publish", cli.write("p.yaml", ""))
    said = cli("policy", "rollback", "1").out
    assert "not tried on past mail" in said
    assert "gateway reprocess --since" in said


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


def test_what_begins_on_probation_says_so_for_how_long_and_who_is_told(cli: Cli) -> None:
    bad = "rules: [{{name: {}, then: [ignore]}}]"
    cli("account", "edit", "acme", "--admins", "")
    said = cli("policy", "publish", cli.write("a.yaml", bad.format("a")), "--yes").out
    assert "on probation until 20" in said
    assert "version 1 would have waits in quarantine" in said
    assert "Nobody is told" in said
    assert "gateway account edit acme --admins ADDRESS" in said

    cli("account", "edit", "acme", "--admins", "ops@acme.test")
    again = cli("policy", "publish", cli.write("b.yaml", bad.format("b")), "--yes").out
    assert "a mail says so to ops@acme.test" in again
    found = cli("policy", "publish", cli.write("c.yaml", bad.format("c")), "--yes", "--json").json["probation"]
    assert (found["before"], found["told"]) == (1, ["ops@acme.test"])

    table = cli("policy", "versions").out.splitlines()
    assert ["probation" in line for line in table if line.strip()[:1].isdigit()] == [True, True, True, False]
    good = cli("policy", "publish", cli.write("d.yaml", POLICY)).out
    assert "probation" not in good


def test_replay_of_the_same_policy_changes_nothing(cli: Cli) -> None:
    assert "Nothing would change: 2 past messages" in cli("policy", "replay", cli.write("p.yaml", POLICY)).out


# --- later ---


def test_a_version_is_published_later_and_can_be_withdrawn(cli: Cli) -> None:
    file = cli.write("p.yaml", "rules: [{name: all, then: [{tag: [later]}]}]")
    done = cli("policy", "publish", file, "--at", "2126-12-01T08:00:00+01:00", "--note", "winter", "--json").json
    assert done["due_at"] == "2126-12-01T07:00:00Z"
    assert [v["version"] for v in cli("policy", "versions", "--json").json] == [1]

    (waits,) = cli("policy", "scheduled", "--json").json
    assert (waits["id"], waits["note"], waits["result"]) == (done["id"], "winter", "")
    assert "2126-12-01 07:00:00Z" in cli("policy", "scheduled").out

    cli("policy", "unschedule", done["id"])
    assert "policy scheduled" in cli("policy", "unschedule", done["id"], code=1).err
    assert cli("policy", "scheduled", "--json").json[0]["result"].startswith("withdrawn by ")


def test_a_withdrawal_that_was_printed_could_not_be_pasted(cli: Cli) -> None:
    said = cli("policy", "publish", cli.write("p.yaml", ""), "--at", "2126-12-01T08:00:00Z").out

    (waits,) = cli("policy", "scheduled", "--json").json
    assert f"gateway policy unschedule {waits['id']} --account acme" in " ".join(said.split())


def test_a_time_without_an_offset_is_the_accounts_own(cli: Cli) -> None:
    cli("account", "edit", "acme", "--timezone", "Europe/Berlin")
    file = cli.write("p.yaml", "")
    at = cli("policy", "publish", file, "--at", "2126-07-01 08:00", "--json").json["due_at"]
    assert at == "2126-07-01T06:00:00Z"


@pytest.mark.parametrize(
    ("at", "why"),
    [("tomorrow", "RFC 3339"), ("2020-01-01 08:00", "is past"), ("2126-03-31 02:30", "clocks go forward")],
)
def test_a_time_that_never_comes_is_refused(cli: Cli, at: str, why: str) -> None:
    cli("account", "edit", "acme", "--timezone", "Europe/Berlin")
    assert why in cli("policy", "publish", cli.write("p.yaml", ""), "--at", at, code=1).err
    assert cli("policy", "scheduled", "--json").json == []


def test_what_is_to_be_published_later_is_checked_and_tried_now(cli: Cli) -> None:
    later = ("--at", "2126-12-01T08:00:00Z")
    assert "line 3" in cli("policy", "publish", cli.write("p.yaml", UNKNOWN_TEAM), *later, code=1).err
    worse = cli.write("p.yaml", "rules: [{name: all, then: [ignore]}]")
    assert "--yes" in cli("policy", "publish", worse, *later, code=1).err
    assert cli("policy", "scheduled", "--json").json == []
    cli("policy", "publish", worse, *later, "--yes")


# --- the shadow ---


def test_a_candidate_in_the_shadow_shows_what_it_would_change(cli: Cli) -> None:
    assert cli("policy", "shadow", "show", "--json").json == {"running": False}
    file = cli.write("p.yaml", POLICY.replace("vip", "pump"))
    cli("policy", "shadow", "start", file, "--note", "pumps")
    found = cli("policy", "shadow", "show", "--json").json
    assert (found["running"], found["note"], found["replay"]["compared"]) == (True, "pumps", 0)  # nothing came since
    assert "It runs since" in cli("policy", "shadow", "show").out

    assert cli("policy", "shadow", "publish", "--json").json["version"] == 2
    assert cli("policy", "versions", "--json").json[0]["note"] == "pumps"
    assert cli("policy", "shadow", "show", "--json").json == {"running": False}
    assert "shadow start" in cli("policy", "shadow", "publish", code=1).err


def test_a_candidate_is_checked_before_it_runs_and_ends_when_it_is_stopped(cli: Cli) -> None:
    assert "line 3" in cli("policy", "shadow", "start", cli.write("p.yaml", UNKNOWN_TEAM), code=1).err
    cli("policy", "shadow", "start", cli.write("p.yaml", ""))
    cli("policy", "shadow", "stop")
    assert "shadow start" in cli("policy", "shadow", "stop", code=1).err


def test_a_second_candidate_does_not_end_the_one_that_runs(cli: Cli) -> None:
    cli("policy", "shadow", "start", cli.write("p.yaml", ""), "--note", "pumps")
    first = cli("policy", "shadow", "show", "--json").json["id"]
    said = cli("policy", "shadow", "start", cli.write("p.yaml", POLICY), code=1).err
    assert "runs already, since 20" in said
    assert "(pumps)" in said
    assert "`gateway policy shadow stop`" in said
    assert cli("policy", "shadow", "show", "--json").json["id"] == first


# --- one team's rules ---


def test_a_teams_rules_are_published_alone_and_comments_elsewhere_stay(cli: Cli) -> None:
    whole = "# ours\nrules: []  # none yet\nteams:\n  # by its manager\n  support:\n    rules: []\n"
    cli("policy", "publish", cli.write("p.yaml", whole))
    rules = "rules:\n  - name: team's  # mine\n    then: [{tag: [t]}]\n"
    done = cli("policy", "publish", cli.write("t.yaml", rules), "--team", "support", "--note", "tags", "--json").json
    assert (done["version"], done["team"]) == (3, "support")
    assert cli("policy", "show").out == whole.replace("    rules: []", "    " + rules.rstrip().replace("\n", "\n    "))
    assert cli("policy", "versions", "--json").json[0]["note"] == "rules of team support: tags"


def test_a_mistake_in_a_teams_file_is_told_with_its_place_in_that_file(cli: Cli) -> None:
    cli("policy", "publish", cli.write("p.yaml", "# ours\nrules: []\n\n\nteams:\n  support:\n    rules: []\n"))
    file = cli.write("t.yaml", "rules:\n  - {name: x, if: {subject: {contians: a}}, then: [{route: nobody}]}\n")
    done = cli("policy", "publish", file, "--team", "support", code=1)
    assert f"{file}: line 2, column 30" in done.err
    assert f"{file}: line 2, column 60" in done.err
    assert "line 8" not in done.err


def test_a_whole_document_that_lacks_what_a_teams_manager_published_wants_yes(cli: Cli) -> None:
    whole = cli.write("p.yaml", "rules: []\n")
    cli("policy", "publish", whole)
    rules = cli.write("t.yaml", "rules:\n  - {name: dunning, then: [{tag: [t]}]}\n")
    cli("policy", "publish", rules, "--team", "support")
    cli("policy", "publish", rules, "--team", "support")  # its own rules a team may replace

    for how in ([], ["--at", "2126-12-01T08:00:00Z"]):
        said = cli("policy", "publish", whole, *how, code=1).err
        assert "team support: dunning" in said
        assert "--yes" in said
    assert cli("policy", "publish", whole, "--yes", "--json").json["version"] == 5
    assert cli("policy", "publish", whole, "--json").json["version"] == 6


@pytest.mark.parametrize("how", [(), ("--at", "2126-12-01T08:00:00Z")])
def test_yes_agrees_to_nothing_that_was_not_shown(cli: Cli, how: tuple[str, ...]) -> None:
    """A rule of a team's manager was all that was named; mail that lost its ticket by the same document was not."""
    rules = cli.write("t.yaml", "rules:\n  - {name: dunning, then: [{tag: [t]}]}\n")
    cli("policy", "publish", rules, "--team", "support")
    whole = cli.write("p.yaml", "rules: [{name: all, then: [ignore]}]")

    refused = cli("policy", "publish", whole, *how, code=1)
    assert "a rule that a team's manager published: team support: dunning; and 1 of " in " ".join(refused.err.split())
    assert "a new ticket → ignored (ignored-by-rule)" in refused.out
    found = cli("policy", "publish", whole, *how, "--json", code=1).json
    assert (found["version"], found["dropped_rules"], found["replay"]["worse"]) == (None, ["team support: dunning"], 1)

    agreed = cli("policy", "publish", whole, *how, "--yes").out
    assert "Agreed to with --yes: this document lacks" in agreed
    assert "team support: dunning; and 1 of " in agreed
    assert "a new ticket → ignored (ignored-by-rule)" in agreed


@pytest.mark.parametrize("how", [(), ("--at", "2126-12-01T08:00:00Z"), ("--team", "support")])
def test_json_of_a_refusal_lacked_the_account_and_that_of_a_schedule_the_version(
    cli: Cli, how: tuple[str, ...]
) -> None:
    file = cli.write("p.yaml", "rules: [{name: all, then: [ignore]}]")
    refused = cli("policy", "publish", file, *how, "--json", code=1).json
    done = cli("policy", "publish", file, *how, "--yes", "--json").json
    assert refused.keys() == done.keys()
    assert (refused["account"], refused["version"], refused["probation"]) == ("acme", None, None)
    assert done["version"] == (None if "--at" in how else 2)
    bad = cli("policy", "publish", cli.write("b.yaml", BAD), *how, "--json", code=1).json
    assert (bad["account"], bad["version"]) == ("acme", None)


@pytest.mark.parametrize(
    ("note", "why"),
    [("x" * 501, "501 characters"), ("one\ntwo", "one line"), ("\x1b[31m", "one line"), ("\udcff", "UTF-8")],
)
def test_a_note_that_the_api_would_not_take_was_taken_by_commands(cli: Cli, note: str, why: str) -> None:
    file = cli.write("p.yaml", "")
    for command in (("publish",), ("publish", "--at", "2126-12-01T08:00:00Z"), ("shadow", "start")):
        said = cli("policy", *command, file, "--note", note, code=2).err
        assert why in " ".join(said.replace("│", " ").split())
    assert len(cli("policy", "versions", "--json").json) == 1
    cli("policy", "publish", file, "--note", "ä" * 500)


def test_going_back_to_the_live_version_ended_its_probation(cli: Cli) -> None:
    cli("policy", "publish", cli.write("p.yaml", "rules: [{name: all, then: [ignore]}]"), "--yes")
    assert "version 2 is live already; name an older one" in cli("policy", "rollback", "2", code=1).err
    assert cli("policy", "versions", "--json").json[0]["version"] == 2


def test_what_yes_agreed_to_is_json_too(cli: Cli) -> None:
    cli("policy", "publish", cli.write("t.yaml", "rules: [{name: a, then: [{tag: [t]}]}]"), "--team", "support")
    found = cli("policy", "publish", cli.write("p.yaml", "rules: [{name: x, then: [ignore]}]"), "--yes", "--json").json
    assert (found["version"], found["dropped_rules"], found["replay"]["worse"]) == (3, ["team support: a"], 1)


def test_a_rollback_does_not_drop_a_teams_rules_unasked(cli: Cli) -> None:
    cli("policy", "publish", cli.write("t.yaml", "rules: [{name: dunning, then: [{tag: [t]}]}]"), "--team", "support")
    refused = cli("policy", "rollback", "1", "--json", code=1)
    assert "version 1 lacks, or changes, a rule that a team's manager published: team support: dunning" in refused.err
    assert "--yes" in refused.err
    assert refused.json == {
        "account": "acme", "version": None, "rolled_back_from": None, "probation": None,
        "dropped_rules": ["team support: dunning"], "replay": None,
    }  # fmt: skip

    agreed = cli("policy", "rollback", "1", "--yes").out
    assert "Agreed to with --yes: version 1 lacks, or changes, a rule" in agreed
    assert "Version 3 is the policy" in agreed


@pytest.mark.parametrize("team", ["nope", ""])
def test_a_team_that_is_none_is_no_mistake_of_the_accounts_policy(cli: Cli, team: str) -> None:
    rules = cli.write("t.yaml", "rules: [{name: a, then: [{tag: [t]}]}]")
    said = cli("policy", "publish", rules, "--team", team, code=1).err
    assert f"--team: there is no team '{team}'; teams: " in said
    assert "support" in said
    assert "line " not in said


def test_a_whole_document_that_has_them_goes_through(cli: Cli) -> None:
    cli("policy", "publish", cli.write("t.yaml", "rules: [{name: a, then: [{tag: [t]}]}]"), "--team", "support")
    text = cli("policy", "show").out
    assert cli("policy", "publish", cli.write("p.yaml", f"# mine\n{text}"), "--json").json["version"] == 3


def test_a_teams_file_holds_rules_alone(cli: Cli) -> None:
    file = cli.write("t.yaml", "accept: {senders: contacts}\nrules: []\n")
    assert f"{file}: line 1, column 1" in cli("policy", "publish", file, "--team", "support", code=1).err


# --- a stored message ---


def test_a_policy_is_tested_on_a_stored_message_by_its_id(cli: Cli) -> None:
    message = next(m for m in cli("message", "list", "--json").json if m["disposition"] == "ticketed")
    policy = cli.write("p.yaml", POLICY)
    judged = cli("policy", "test", policy, message["id"], "--json").json
    assert (judged["disposition"], judged["auth"]["sender"]) == ("accept", "verified")
    assert {r["rule"]: r["result"] for r in judged["rules"]}["urgent"] == "matched"
    assert "own envelope" in cli("policy", "test", policy, message["id"], "--sender", "a@b.test", code=2).err
    assert "no message" in cli("policy", "test", policy, "0" * 32, code=1).err


def test_a_message_that_was_kept_unread_cannot_be_tested(cli: Cli) -> None:
    message = next(m for m in cli("message", "list", "--json").json if m["disposition"] == "parked")
    assert "kept unread" in cli("policy", "test", cli.write("p.yaml", ""), message["id"], code=1).err
