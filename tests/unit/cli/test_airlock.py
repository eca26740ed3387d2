"""`attachment` and `quarantine`: an admin's hands on what is held back."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from tests.unit.cli.conftest import ESCAPE, Cli, compose

HOLDING = (
    "attachments: {violation: hold}\nrules: [{name: wait, if: {subject: {contains: suspicious}}, then: [quarantine]}]\n"
)
EXE = b"MZ" + b"\0" * 58 + b"\x80\0\0\0" + b"\0" * 64 + b"PE\0\0"


@pytest.fixture
def held(cli: Cli) -> str:
    """The id of a message that went on while its file waits."""
    cli("policy", "publish", cli.write("holding.yaml", HOLDING), "--yes")
    content = compose("Carol <carol@customer.test>", "held drawing", program=True)
    arguments = ("--sender", "carol@customer.test", "--recipient", "support@acme.gw.test", "--json")
    message: str = cli.process("receive", *arguments, stdin=content).json["message"]
    return message


def test_a_held_file_is_listed_released_and_saved(cli: Cli, held: str, tmp_path: Path) -> None:
    (file,) = cli("attachment", "list", "--held", "--json").json
    assert (file["message"], file["name"], file["disposition"], file["reason"]) == (held, "setup.pdf", "held", "exe")
    assert "setup.pdf" in cli("attachment", "list", held).out
    n, target = str(file["n"]), tmp_path / "saved.bin"
    assert "it is held: exe" in cli("attachment", "save", held, n, str(target), code=1).err
    assert not target.exists()

    said = cli("attachment", "release", held, n).out

    assert "is released; it was held: exe" in said
    assert cli("attachment", "list", "--held", "--json").json == []
    cli("attachment", "save", held, n, str(target))
    assert target.read_bytes() == EXE
    assert "is there already" in cli("attachment", "save", held, n, str(target), code=1).err
    shown = cli("ticket", "show", "2").out
    assert f"released by {getpass.getuser()}" in shown
    assert "it was held: exe" in shown
    assert f"by {getpass.getuser()}" in cli("trace", file["trace"]).out
    assert "kept already" in cli("attachment", "release", held, n, code=1).err
    assert cli("audit", "--json").json["problems"] == []


def test_a_stripped_file_is_never_released_and_what_is_not_there_says_so(cli: Cli, held: str) -> None:
    stripped = next(f for f in cli("attachment", "list", "--json").json if f["disposition"] == "stripped")
    told = cli("attachment", "release", stripped["message"], str(stripped["n"]), code=1).err
    assert "never released" in told
    assert "no file 99" in cli("attachment", "release", held, "99", code=1).err
    assert "no message nope" in cli("attachment", "list", "nope", code=1).err
    assert "no message nope" in cli("attachment", "release", "nope", "1", code=1).err


def test_quarantine_is_listed_with_since_author_subject_and_reason(cli: Cli) -> None:
    out = cli("quarantine", "list").out
    head, row = out.splitlines()
    assert head.split() == ["message", "since", "author", "subject", "reason"]
    assert "suspicious offer" in row
    assert "quarantined-by-rule" in row


def test_the_preview_tells_why_and_is_safe_to_look_at(cli: Cli) -> None:
    cli("policy", "publish", cli.write("holding.yaml", HOLDING), "--yes")
    content = compose("Carol <carol@customer.test>", f"suspicious {ESCAPE}", f"It leaks. {ESCAPE}\n", program=True)
    arguments = ("--sender", "carol@customer.test", "--recipient", "support@acme.gw.test", "--json")
    message = cli.process("receive", *arguments, stdin=content).json["message"]

    out = cli("quarantine", "show", message).out

    for words in ("a rule holds it back", "the author is unverified", "setup.pdf", "held: exe", "It leaks.", "Subject"):
        assert words in out, words
    assert not set(out) & set("\x1b\x07\x9b\u202e")
    found = cli("quarantine", "show", message, "--json").json
    assert found["why"][0] == "a rule holds it back"
    assert "html" not in found
    assert {h["name"] for h in found["headers"]} >= {"From", "To", "Subject"}
    ticketed = cli("ticket", "list", "--json").json[0]["messages"][0]
    assert "is ticketed, not quarantined" in cli("quarantine", "show", ticketed, code=1).err


def test_who_lets_a_message_go_stands_in_its_trace(cli: Cli) -> None:
    waiting = cli("quarantine", "list", "--json").json[0]
    cli.process("quarantine", "release", waiting["id"], "--account", "acme")
    out = cli("trace", waiting["trace"]).out
    assert "release" in out
    assert f"by {getpass.getuser()}" in out


def test_an_account_names_its_admins_and_its_days_of_quarantine(cli: Cli) -> None:
    before = cli("account", "show", "acme", "--json").json
    assert (before["admins"], before["quarantine_days"]) == ([], 30)
    edit = ("account", "edit", "acme", "--json")
    after = cli(*edit, "--admins", "ops@acme.test, boss@acme.test,OPS@acme.test", "--quarantine-days", "14").json
    assert [a.lower() for a in after["admins"]] == ["ops@acme.test", "boss@acme.test"]
    assert after["quarantine_days"] == 14
    assert "expires after 14 days" in cli("account", "show", "acme").out
    assert cli(*edit, "--admins", "").json["admins"] == []


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--admins", "nobody", "no mail address"),
        ("--admins", "support@acme.gw.test", "the gateway's own"),
        ("--admins", ",".join(f"a{n}@acme.test" for n in range(21)), "at most 20"),
        ("--quarantine-days", "0", "1 to 3650"),
        ("--quarantine-days", "4000", "1 to 3650"),
    ],
)
def test_what_cannot_be_told_or_kept_is_refused(cli: Cli, option: str, value: str, words: str) -> None:
    assert words in cli("account", "edit", "acme", option, value, code=1).err
    assert cli("account", "show", "acme", "--json").json["admins"] == []


@pytest.mark.parametrize(
    "command",
    [
        ("quarantine", "show"),
        ("quarantine", "release"),
        ("quarantine", "delete"),
        ("attachment", "list"),
        ("message", "open"),
    ],
)
def test_an_id_that_is_no_utf8_is_refused_in_words(cli: Cli, command: tuple[str, str]) -> None:
    """It ended with a traceback of the database's driver."""
    said = cli(*command, "\udcff", code=1)
    assert said.err == "gateway: '\\udcff' is not UTF-8: nothing here is called that\n"
