"""Where there is only one account beside the operator's own, nothing has to name it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from tests.unit.cli.conftest import Cli


@pytest.fixture(autouse=True)
def _nothing_names_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_ACCOUNT")


NOUNS = ("mailbox", "team", "agent", "contact", "key", "ticket", "message", "quarantine", "parked", "attachment")
COMMANDS = [(noun, "list") for noun in NOUNS]
COMMANDS += [("policy", "versions"), ("policy", "scheduled"), ("policy", "show"), ("policy", "shadow", "show")]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_the_only_account_had_to_be_named_though_the_readme_says_otherwise(
    cli: Cli, arguments: tuple[str, ...]
) -> None:
    assert cli(*arguments, "--json").out == cli(*arguments, "--account", "acme", "--json").out


def test_what_changes_something_takes_the_only_account_too(cli: Cli) -> None:
    cli("team", "add", "billing")

    assert [t["name"] for t in cli("team", "list", "--account", "acme", "--json").json] == ["billing", "support"]


def test_an_account_that_was_named_by_an_empty_text_is_not_the_only_one(cli: Cli) -> None:
    """`--account "$ACCOUNT"` with a variable that is not set; `account remove ""`."""
    assert "say which account" in cli("mailbox", "list", "--account", "", code=2).err
    assert "say which account" in cli("account", "remove", "", code=2).err


def test_what_is_of_all_accounts_stays_so(cli: Cli) -> None:
    assert {x["account"] for x in cli("log", "--json").json} == {"acme"}
    out = CliRunner().invoke(app, ["log", "--help"]).output
    assert "Only this account" in out


def test_the_shell_completes_in_the_only_account(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {
        "_GATEWAY_COMPLETE": "complete_bash", "COMP_CWORD": "5",
        "COMP_WORDS": f"gateway --config {cli.folder / 'gateway.toml'} agent edit ",
    }  # fmt: skip
    for name, value in asked.items():
        monkeypatch.setenv(name, value)

    assert "ann@acme.test" in CliRunner().invoke(app, [], prog_name="gateway").output


@pytest.mark.parametrize("arguments", [("log",), ("outbox", "list"), ("where", "--sender", "carol@customer.test")])
def test_what_is_about_all_accounts_did_not_know_one_in_capitals(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli(*arguments, "--account", " ACME", "--json").out == cli(*arguments, "--account", "acme", "--json").out
