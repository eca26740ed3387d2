"""What people do to tickets; after each of it the audit still agrees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.cli.conftest import Cli


@pytest.fixture(autouse=True)
def _audit_agrees(cli: Cli) -> Iterator[None]:
    yield
    assert cli("audit", "--json").json["problems"] == []


def _show(cli: Cli, number: int = 1) -> dict[str, Any]:
    return dict(cli("ticket", "show", str(number), "--json").json)


def _owed(cli: Cli, kind: str) -> list[str]:
    return [n["recipient"] for n in cli("outbox", "list", "--json").json if n["kind"] == kind]


def test_an_assigned_agent_is_told_once(cli: Cli) -> None:
    assigned = cli("ticket", "assign", "1", "Ann@acme.test", "--json").json

    assert (assigned["assignee"], assigned["team"]) == ("ann@acme.test", "support")
    assert assigned["messages"][0]["disposition"] == "ticketed"
    assert assigned["history"][0]["outcome"] == "assigned"
    assert _owed(cli, "assigned") == ["ann@acme.test"]
    assert "already" in cli("ticket", "assign", "1", "ann@acme.test").out
    assert _owed(cli, "assigned") == ["ann@acme.test"]


def test_a_ticket_that_comes_back_to_an_agent_is_told_again_and_audit_knows_who_wanted_it(cli: Cli) -> None:
    cli("agent", "add", "bob@acme.test", "--name", "Bob", "--team", "support")

    for agent in ("ann", "bob", "ann"):
        cli("ticket", "assign", "1", f"{agent}@acme.test")

    assert sorted(_owed(cli, "assigned")) == ["ann@acme.test", "ann@acme.test", "bob@acme.test"]
    history = _show(cli)["history"]
    assert [(h["detail"]["from"], h["detail"]["to"]) for h in history] == [
        (None, "ann@acme.test"),
        ("ann@acme.test", "bob@acme.test"),
        ("bob@acme.test", "ann@acme.test"),
    ]


def test_the_notice_of_an_account_that_only_listens_is_withheld(cli: Cli) -> None:
    from gateway.store.engine import Store

    store = Store(f"sqlite:///{cli.folder / 'var' / 'gateway.db'}", cli.folder / "var")
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE account SET listen_only = 1")
    store.close()

    cli("ticket", "assign", "1", "ann@acme.test")

    assert [n["kind"] for n in cli("outbox", "list", "--state", "withheld", "--json").json] == ["assigned"]


def test_a_ticket_goes_to_a_team_with_nobody_assigned(cli: Cli) -> None:
    cli("team", "add", "finance")
    cli("ticket", "assign", "1", "ann@acme.test")

    moved = cli("ticket", "assign", "1", "--team", "finance", "--json").json

    assert (moved["team"], moved["assignee"]) == ("finance", None)
    assert moved["history"][-1]["outcome"] == "unassigned"


def test_an_agent_of_another_team_brings_the_ticket_there(cli: Cli) -> None:
    cli("team", "add", "finance")
    cli("agent", "add", "fay@acme.test", "--name", "Fay", "--team", "finance")

    assert cli("ticket", "assign", "1", "fay@acme.test", "--json").json["team"] == "finance"


def test_who_takes_a_ticket_is_not_told_so(cli: Cli) -> None:
    taken = cli("ticket", "take", "1", "--agent", "ann@acme.test", "--json").json

    assert taken["assignee"] == "ann@acme.test"
    assert taken["history"][0]["detail"]["by"] == "ann@acme.test"
    assert _owed(cli, "assigned") == []
    assert "already" in cli("ticket", "take", "1", "--agent", "ann@acme.test").out


def test_a_note_is_shown_with_its_ticket_and_in_the_trace(cli: Cli) -> None:
    cli("ticket", "note", "1", "  Call her back.\nSecond line \x1b[31m ")

    shown = _show(cli)
    assert [n["text"] for n in shown["notes"]] == ["Call her back.\nSecond line \x1b[31m"]
    page = cli("ticket", "show", "1").out
    assert "Call her back." in page
    assert "\x1b" not in page
    assert "Call her back." in cli("trace", shown["messages"][0]["trace"]).out


def test_a_closed_ticket_is_reopened_once(cli: Cli) -> None:
    cli("ticket", "close", "1")

    assert cli("ticket", "reopen", "1", "--json").json["state"] == "open"

    assert "was open already" in cli("ticket", "reopen", "1").out
    assert [h["outcome"] for h in _show(cli)["history"]] == ["closed", "open"]


def test_tickets_are_listed_by_state(cli: Cli) -> None:
    cli("ticket", "open", "--mailbox", "support@acme.test", "--to", "dave@customer.test", "--subject", "Call")
    cli("ticket", "close", "1")

    states = {s: [t["number"] for t in cli("ticket", "list", "--state", s, "--json").json] for s in ("open", "closed")}

    assert states == {"open": [2], "closed": [1]}
    assert cli("ticket", "list", "--state", "pending", "--json").json == []


def test_a_ticket_opened_by_hand_has_a_participant_and_sends_nothing(cli: Cli) -> None:
    owed = len(cli("outbox", "list", "--json").json)
    arguments = (
        "--mailbox",
        "Support@acme.test",
        "--to",
        "dave@customer.test",
        "--subject",
        " The\npump ",
        "--name",
        "Dave",
    )

    opened = cli("ticket", "open", *arguments, "--json").json

    assert (opened["number"], opened["subject"], opened["state"]) == (2, "The pump", "open")
    assert opened["participants"] == [{"address": "dave@customer.test", "name": "Dave", "role": "customer"}]
    assert (opened["mailbox"], opened["team"], opened["messages"]) == ("support@acme.test", "support", [])
    assert opened["history"][0]["reason"] == "by hand"
    assert len(cli("outbox", "list", "--json").json) == owed
    assert "was not written to" in cli("ticket", "open", *arguments).out


def test_a_ticket_without_a_message_is_worked_on_like_others_and_owes_no_notice(cli: Cli) -> None:
    cli("ticket", "open", "--mailbox", "support@acme.test", "--to", "dave@customer.test", "--subject", "Call")

    for arguments in (("assign", "2", "ann@acme.test"), ("note", "2", "He will call again"), ("close", "2")):
        cli("ticket", *arguments)

    shown = _show(cli, 2)
    assert [h["outcome"] for h in shown["history"]] == ["opened", "assigned", "closed"]
    assert [n["text"] for n in shown["notes"]] == ["He will call again"]
    assert _owed(cli, "assigned") == []


def test_audit_notices_a_ticket_that_lost_its_message(cli: Cli) -> None:
    from gateway.store.engine import Store

    store = Store(f"sqlite:///{cli.folder / 'var' / 'gateway.db'}", cli.folder / "var")
    with store.write() as connection:
        connection.exec_driver_sql(
            "UPDATE message SET ticket_id = NULL, disposition = 'ignored' WHERE disposition = 'ticketed'"
        )
    assert "ticket 1: holds no message" in cli("audit", code=1).err
    with store.write() as connection:
        connection.exec_driver_sql("DELETE FROM ticket")
    store.close()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("assign", "1"), 1, "--team TEAM"),
        (("assign", "1", "nobody@acme.test"), 1, "agents: ann@acme.test"),
        (("assign", "1", "ann@acme.test", "--team", "nope"), 1, "teams: support"),
        (("assign", "99", "ann@acme.test"), 1, "no ticket 99"),
        (("assign", "99999999999999", "ann@acme.test"), 2, "2147483647"),
        (("take", "1"), 2, "--agent"),
        (("take", "1", "--agent", "nobody@acme.test"), 1, "agents: ann@acme.test"),
        (("note", "1", "  "), 1, "the note is empty"),
        (("note", "1", "x" * 64_001), 1, "64001 characters"),
        (("note", "99", "x"), 1, "no ticket 99"),
        (("reopen", "99"), 1, "no ticket 99"),
        (("open", "--mailbox", "nope@acme.test", "--to", "d@x.test", "--subject", "S"), 1, "support@acme.test"),
        (("open", "--mailbox", "support@acme.test", "--to", "nobody", "--subject", "S"), 1, "no mail address"),
        (("open", "--mailbox", "support@acme.test", "--to", "d@x.test", "--subject", " "), 1, "--subject"),
        (("open", "--mailbox", "support@acme.test", "--to", "d@x.test"), 2, "--subject"),
    ],
)
def test_bad_input_is_refused_in_plain_words(cli: Cli, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = cli("ticket", *arguments, code=code)

    assert words in done.err.replace("│\n│", "")
    assert done.out == ""


def test_an_agent_is_not_put_into_a_team_by_an_assignment(cli: Cli) -> None:
    cli("team", "add", "finance")

    assert (
        "ann@acme.test is not in team finance; in: support"
        in cli("ticket", "assign", "1", "ann@acme.test", "--team", "finance", code=1).err
    )


# --- departures ---


def _two_agents(cli: Cli) -> None:
    cli("team", "add", "finance")
    cli("agent", "add", "bob@acme.test", "--name", "Bob", "--team", "finance")
    cli("ticket", "open", "--mailbox", "support@acme.test", "--to", "dave@customer.test", "--subject", "Call")
    for number in ("1", "2"):
        cli("ticket", "assign", number, "ann@acme.test")


def test_an_agent_that_leaves_gives_open_tickets_away_and_keeps_closed_ones(cli: Cli) -> None:
    _two_agents(cli)
    cli("ticket", "close", "2")

    done = cli("agent", "remove", "ann@acme.test", "--give-to", "bob@acme.test", "--json").json

    assert done["removed"] is True
    assert [t["number"] for t in done["tickets"]] == [1]
    assert done["unsent_notices"] == 2
    assert [a["address"] for a in cli("agent", "list", "--json").json] == ["bob@acme.test"]
    assert [(t["assignee"], t["team"]) for t in cli("ticket", "list", "--json").json] == [
        ("ann@acme.test", "support"),
        ("bob@acme.test", "finance"),
    ]
    cancelled = cli("outbox", "list", "--state", "cancelled", "--json").json
    assert {n["recipient"] for n in cancelled} == {"ann@acme.test"}


def test_a_dry_run_moves_nothing(cli: Cli) -> None:
    _two_agents(cli)

    plan = cli("agent", "remove", "ann@acme.test", "--give-to", "finance", "--dry-run", "--json").json

    assert (plan["given_to"], plan["removed"]) == ("finance", False)
    assert [t["number"] for t in plan["tickets"]] == [1, 2]
    assert len(cli("agent", "list", "--json").json) == 2
    assert _show(cli)["assignee"] == "ann@acme.test"


def test_tickets_given_to_a_team_are_nobodys(cli: Cli) -> None:
    _two_agents(cli)

    assert "2 open tickets go to finance" in cli("agent", "remove", "ann@acme.test", "--give-to", "finance").out

    assert (_show(cli)["assignee"], _show(cli)["team"]) == (None, "finance")


def test_an_agent_that_left_may_come_again_at_the_same_address(cli: Cli) -> None:
    before = cli("agent", "list", "--json").json[0]["number"]
    cli("agent", "remove", "ann@acme.test", "--give-to", "support")

    again = cli("agent", "add", "ann@acme.test", "--name", "Ann", "--team", "support", "--json").json

    assert again["number"] > before, "answers to mail of before must not open anything"


def test_the_live_policy_is_searched_for_who_left(cli: Cli) -> None:
    policy = cli.write("to-ann.yaml", "rules: [{name: all, then: [{assign: ann@acme.test}]}]\n")
    cli("policy", "publish", policy, "--yes")

    done = cli("agent", "remove", "ann@acme.test", "--give-to", "support", "--json")

    assert "ann@acme.test" in done.json["policy_problems"][0]
    assert "the live policy still names the agent" in done.err


def test_an_agent_is_edited(cli: Cli) -> None:
    edited = cli("agent", "edit", "ann@acme.test", "--name", "Ann B.", "--language", "de", "--json").json

    assert (edited["name"], edited["language"], edited["teams"]) == ("Ann B.", "de", ["support"])


def test_a_removed_mailbox_keeps_its_tickets_and_gives_its_address_free(cli: Cli) -> None:
    cli("mailbox", "add", "billing@acme.test", "--name", "Billing")
    cli("ticket", "open", "--mailbox", "billing@acme.test", "--to", "dave@customer.test", "--subject", "Bill")

    removed = cli("mailbox", "remove", "billing@acme.test", "--json").json

    assert removed["removed"] is True
    assert "billing@acme.test" not in cli("mailbox", "list").out
    assert _show(cli, 2)["mailbox"] == "billing@acme.test"
    assert "no mailbox" in cli("mailbox", "remove", "billing@acme.test", code=1).err
    cli("mailbox", "add", "billing@acme.test", "--name", "Billing again")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("mailbox", "remove", "support@acme.test"), 1, "--default"),
        (("mailbox", "remove", "nope@acme.test"), 1, "no mailbox"),
        (("agent", "edit", "ann@acme.test"), 2, "--name"),
        (("agent", "edit", "ann@acme.test", "--name", " "), 1, "--name"),
        (("agent", "edit", "nobody@acme.test", "--name", "X"), 1, "no agent"),
        (("agent", "edit", "ann@acme.test", "--notices", "mine"), 2, "not available in this version"),
        (("agent", "edit", "ann@acme.test", "--signature", "x.txt"), 2, "not available in this version"),
        (("agent", "remove", "ann@acme.test"), 2, "--give-to"),
        (("agent", "remove", "ann@acme.test", "--give-to", "ann@acme.test"), 1, "the agent that leaves"),
        (("agent", "remove", "ann@acme.test", "--give-to", "nope"), 1, "teams: support"),
        (("agent", "remove", "ann@acme.test", "--give-to", "nobody@acme.test"), 1, "agents: ann@acme.test"),
        (("agent", "remove", "nobody@acme.test", "--give-to", "support", "--dry-run"), 1, "no agent"),
        (("account", "edit", "acme", "--relay", "smtp://x"), 2, "not available in this version"),
        (("account", "edit", "acme", "--number-prefix", "two words"), 1, "--number-prefix"),
        (("account", "edit", "acme", "--company-name", " "), 1, "--company-name"),
    ],
)
def test_bad_changes_are_refused_in_plain_words(cli: Cli, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = cli(*arguments, code=code)

    assert words in done.err.replace("│\n│", "")
    assert done.out == ""


def test_the_prefix_of_numbers_is_changed(cli: Cli) -> None:
    assert cli("account", "edit", "acme", "--number-prefix", "HELP#", "--json").json["number_prefix"] == "HELP#"

    assert _show(cli)["label"] == "HELP#1"
