"""What was received, as commands show it: a ticket, a quarantined, a parked and a refused message."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.cli.conftest import Cli, compose

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def _of(cli: Cli, noun: str) -> dict[str, Any]:
    listed = cli(noun, "list", "--json").json
    assert len(listed) == 1
    return dict(listed[0])


def test_tickets_are_listed_with_the_names_of_interfaces(cli: Cli) -> None:
    ticket = _of(cli, "ticket")

    names = "number account mailbox subject state priority team assignee tags fields participants created_at updated_at messages"
    assert set(names.split()) <= set(ticket)
    assert (ticket["number"], ticket["mailbox"], ticket["priority"]) == (1, "support@acme.test", "high")


def test_a_ticket_is_shown_with_its_full_messages(cli: Cli) -> None:
    message = cli("ticket", "show", "1", "--json").json["messages"][0]

    assert message["auth"]["sender"] == "verified"
    assert message["attachments"][0]["disposition"] == "stripped"
    assert message["rules"][0]["rule"] == "urgent"


def test_the_tickets_page_tells_verdict_reason_files_and_notices(cli: Cli) -> None:
    page = cli("ticket", "show", "1").out

    for told in ("A-1", "vip", "high", "Carol <carol@customer.test>", "verified", "pass", "setup.pdf", "stripped"):
        assert told in page
    assert 'yes subject: contains "urgent"' in page
    assert "[bold]not markup[/bold]" in page
    assert "ann@acme.test  pending" in page


@pytest.mark.parametrize(
    "arguments", [("ticket", "list"), ("ticket", "show", "1"), ("message", "list"), ("log",), ("outbox", "list")]
)
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_mail_cannot_speak_to_the_terminal(cli: Cli, arguments: tuple[str, ...], more: tuple[str, ...]) -> None:
    assert not UNSAFE.search(cli(*arguments, *more).out)


def test_mail_cannot_speak_to_a_terminal_that_shows_colours(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")

    for arguments in (("ticket", "list"), ("ticket", "show", "1"), ("log",)):
        shown = cli(*arguments).out
        assert "\x1b[" in shown
        ours = re.compile("\x1b\\[[0-9;]*m")
        assert not UNSAFE.search(ours.sub("", shown))
        assert "\x1b[31mred" not in shown
        assert max(len(line) for line in ours.sub("", shown).splitlines()) <= 60


def test_a_ticket_is_closed_once(cli: Cli) -> None:
    assert cli("ticket", "close", "1", "--json").json["state"] == "closed"

    assert "was closed already" in cli("ticket", "close", "1").out
    assert cli("ticket", "list", "--state", "open", "--json").json == []


def test_messages_are_listed_by_what_became_of_them(cli: Cli) -> None:
    became = {m["subject"].partition(" ")[0]: m["disposition"] for m in cli("message", "list", "--json").json}
    assert {"urgent": "ticketed", "suspicious": "quarantined"}.items() <= became.items()

    ticketed = cli("message", "list", "--disposition", "ticketed", "--json").json

    assert [m["ticket"] for m in ticketed] == [1]
    shown = cli("message", "show", ticketed[0]["id"], "--json").json
    assert ticketed[0].items() <= shown.items()
    assert "html" in shown


def test_quarantine_shows_only_what_is_in_it(cli: Cli) -> None:
    held = _of(cli, "quarantine")

    assert held["reason"] == "quarantined-by-rule"
    assert "quarantined-by-rule" in cli("quarantine", "show", held["id"]).out
    assert (
        "is ticketed" in cli("quarantine", "show", cli("ticket", "list", "--json").json[0]["messages"][0], code=1).err
    )


def test_a_released_message_opens_its_ticket(cli: Cli) -> None:
    held = _of(cli, "quarantine")["id"]

    done = cli.process("quarantine", "release", held, "--account", "acme", "--json")

    assert done.json["outcome"] == "accepted"
    assert cli("quarantine", "list", "--json").json == []
    assert cli("ticket", "show", str(done.json["ticket"]), "--json").json["messages"][0]["id"] == held
    again = cli.process("quarantine", "release", held, "--account", "acme", "--json", code=1)
    assert "not quarantined" in again.err
    assert again.out == ""


def test_a_parked_message_that_is_still_too_complex_stays_parked(cli: Cli) -> None:
    parked = _of(cli, "parked")
    assert parked["reason"] == "too-complex"
    assert "too-complex" in cli("parked", "show", parked["id"]).out

    done = cli.process("parked", "rerun", parked["id"], "--account", "acme", "--json", code=1)

    assert done.json["outcome"] == "parked"
    assert "gateway: parked: too-complex" in done.err


def test_the_log_has_refused_mail_too(cli: Cli) -> None:
    line = cli("log", "--outcome", "refused", "--json").json[0]

    names = "trace at account outcome reason client reverse_path recipients reply"
    assert set(names.split()) <= set(line)
    assert (line["reason"], line["reverse_path"]) == ("blocked", "x@spam.test")
    assert len(cli("log", "--json").json) == 4


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--since", "1h"), 4),
        (("--since", "2000-01-01"), 4),
        (("--since", "0s"), 0),
        (("--sender", "x@spam.test"), 1),
        (("--recipient", "nobody@acme.gw.test"), 0),
        (("--account", "system"), 0),
        (("--limit", "2"), 2),
    ],
)
def test_the_log_is_filtered(cli: Cli, options: tuple[str, ...], count: int) -> None:
    assert len(cli("log", *options, "--json").json) == count


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("log", "--since", "yesterday"), 2, "90m, 1h, 2d"),
        (("log", "--since", "999999w"), 2, "90m, 1h, 2d"),
        (("log", "--outcome", "lost"), 2, "accepted"),
        (("log", "--account", "nobody"), 1, "no account"),
        (("log", "--recipient", "support"), 2, "no mail address"),
        (("log", "--sender", ""), 2, "no mail address"),
        (("trace",), 2, "--message-id"),
        (("trace", "AAAAAAAAAAAAAAAA"), 1, "gateway log"),
        (("trace", "--message-id", "nope@nowhere.test"), 1, "nope@nowhere.test"),
        (("ticket", "show", "0"), 2, "equal to 1"),
        (("ticket", "show", "99"), 1, "no ticket 99"),
        (("ticket", "show", "zero"), 2, "integer"),
        (("ticket", "close", "99"), 1, "no ticket 99"),
        (("message", "show", "nope"), 1, "no message nope"),
        (("message", "list", "--disposition", "lost"), 2, "ticketed"),
        (("quarantine", "show", "nope"), 1, "no message nope"),
        (("outbox", "retry", "nope"), 1, "gateway outbox list"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_bad_input_is_refused_in_plain_words(cli: Cli, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = cli(*arguments, code=code)

    assert words in done.err.replace("│\n│", "")
    assert done.out == ""


def test_a_trace_tells_every_check_rule_and_file(cli: Cli) -> None:
    trace = cli("log", "--outcome", "accepted", "--json").json[0]["trace"]

    page = cli("trace", trace).out

    stages = re.findall(r"^\d\d:\d\d:\d\d\.\d{3}  (\w+)", page, re.MULTILINE)
    assert {"receive", "parse", "locate", "verify", "scan", "recall", "decide", "commit"} <= set(stages)
    assert re.search(r"spf +pass +smtp\.mailfrom=carol@customer\.test", page)
    assert re.search(r"dmarc +pass", page)
    assert "scanner-off" in page
    assert 'yes subject: contains "urgent"   saw "urgent pump' in page
    assert "-> set: priority = high" in page
    assert re.search(r"setup\.pdf .*really exe +stripped", page)
    assert "ann@acme.test  pending" in page


def test_a_trace_as_json_has_the_names_of_interfaces_and_the_rules(cli: Cli) -> None:
    trace = cli("log", "--outcome", "accepted", "--json").json[0]["trace"]

    found = cli("trace", trace.lower(), "--json").json

    assert {"id", "account", "client", "reverse_path", "recipients", "reply", "message", "events"} <= set(found)
    assert found["rules"][0]["conditions"][0]["holds"] is True
    assert {"at", "stage", "outcome", "reason", "detail"} == set(found["events"][0])
    assert cli("trace", "--message-id", "<urgent@customer.test>", "--json").json == [found]


def test_a_trace_of_another_account_is_not_there(cli: Cli) -> None:
    trace = cli("log", "--outcome", "accepted", "--json").json[0]["trace"]

    assert "in account system" in cli("trace", trace, "--account", "system", code=1).err


def test_the_trace_of_refused_mail_says_why(cli: Cli) -> None:
    trace = cli("log", "--outcome", "refused", "--json").json[0]["trace"]

    page = cli("trace", trace).out

    assert re.search(r"decide +reject +blocked", page)
    assert "550 5.7.1" in page


def test_the_outbox_lists_what_is_owed_and_makes_it_due(cli: Cli) -> None:
    owed = cli("outbox", "list", "--state", "pending", "--json").json
    assert {n["kind"] for n in owed} == {"acknowledgement", "new-ticket"}

    assert cli("outbox", "retry", owed[0]["id"], "--json").json == {"due": 1}
    assert cli("outbox", "retry", "--json").json == {"due": 2}


def test_a_message_is_received_from_a_pipe(cli: Cli) -> None:
    content = compose("dave@customer.test", "hello")
    arguments = ("receive", "--sender", "<>", "--recipient", "support@acme.gw.test", "--json")

    done = cli.process(*arguments, stdin=content)

    assert done.json["outcome"] == "accepted"
    again = cli.process(*arguments, stdin=content)
    assert again.json["duplicate"] is True
    assert again.json["trace"] == done.json["trace"]


def test_a_pipe_to_nobody_here_is_refused_so_that_the_mail_server_returns_it(cli: Cli) -> None:
    arguments = ("receive", "--sender", "dave@customer.test", "--recipient", "support@nobody.test")

    done = cli.process(*arguments, stdin=compose("dave@customer.test", "hello"), code=65)

    assert "no account receives mail at nobody.test" in done.err
    assert done.out == ""


def test_a_pipe_took_messages_of_any_size(cli: Cli) -> None:
    """Larger ones than SMTP takes, and than the scanners look at to their end."""
    arguments = ("receive", "--sender", "dave@customer.test", "--recipient", "support@acme.gw.test")
    config = (cli.folder / "gateway.toml").read_text()
    cli.write("gateway.toml", re.sub(r"^\[smtp\]$", "[smtp]\nmax_message_bytes = 2000", config, flags=re.MULTILINE))

    done = cli.process(*arguments, stdin=compose("dave@customer.test", "hello") + b"x\n" * 1000, code=65)

    assert done.err == "gateway: refused: too-big, at most 2000 octets are taken\n"


@pytest.mark.parametrize("fault", ["no database", "bad configuration", "a bug"])
def test_a_pipe_meets_our_own_faults_with_try_again(cli: Cli, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Any exit code but 75 makes the mail server return mail that it could have kept."""
    if fault == "no database":
        (cli.folder / "var" / "gateway.db").unlink()
    elif fault == "bad configuration":
        (cli.folder / "gateway.toml").write_text("nonsense = 1\n")
    else:
        monkeypatch.setattr("gateway.cli.receive.on_the_line", lambda *_: 1 / 0)
    monkeypatch.setattr(
        "sys.stdin", type("Stdin", (), {"buffer": type("Pipe", (), {"read": lambda self, most: b"x"})()})()
    )

    cli("receive", "--sender", "<>", "--recipient", "support@acme.gw.test", code=75)


def test_audit_agrees_then_notices_a_flipped_bit(cli: Cli) -> None:
    report = cli("audit", "--json").json
    assert report["ok"] is True
    assert report["counts"]["accepted"] == 3

    from gateway.store.engine import Store

    store = Store(f"sqlite:///{cli.folder / 'var' / 'gateway.db'}", cli.folder / "var")
    with store.write() as connection:
        connection.exec_driver_sql(
            "UPDATE message SET content = CAST(content || x'00' AS BLOB) WHERE disposition = 'ticketed'"
        )
    store.close()

    done = cli("audit", "--json", code=1)
    assert done.json["ok"] is False
    assert "not the bytes that came" in done.err
    assert "not the bytes that came" in cli("audit", code=1).err
