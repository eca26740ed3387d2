"""What an admin types is checked whichever command takes it, and kept as it is compared."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Cli

HARM = "Ann\nBcc: x@customer.test\x1b[31m"
LONG = "x" * 5000


@pytest.mark.parametrize("again", ["a.example", "A.example", "a.example."])
def test_a_domain_that_was_named_twice_ended_in_a_traceback(cli: Cli, again: str) -> None:
    made = cli("account", "add", "dup", "--domain", "a.example", "--domain", again, "--json").json

    assert made["domains"] == ["a.example"]


def test_a_domain_in_two_spellings_belonged_to_an_account_already(cli: Cli) -> None:
    both = ("--domain", "m\u00fcller.example", "--domain", "xn--mller-kva.example")

    assert cli("account", "edit", "acme", *both, "--json").json["domains"] == ["xn--mller-kva.example"]


@pytest.mark.parametrize("domain", ["127.0.0.1", "10.1", "a.7"])
def test_an_ip_address_was_taken_for_a_domain(cli: Cli, domain: str) -> None:
    assert "that is an IP address" in cli("account", "edit", "acme", "--domain", domain, code=1).err


@pytest.mark.parametrize(
    "arguments",
    [
        ("mailbox", "edit", "support@acme.test", "--team", ""),
        ("mailbox", "add", "new@acme.test", "--name", "New", "--team", ""),
    ],
)
def test_an_empty_team_was_answered_with_sql(cli: Cli, arguments: tuple[str, ...]) -> None:
    err = cli(*arguments, code=1).err

    assert "teams: support" in err
    assert "syntax" not in err


def test_an_admin_was_named_at_a_domain_whose_mail_comes_here(cli: Cli) -> None:
    cli("account", "add", "dd", "--domain", "dd.example")

    err = cli("account", "edit", "dd", "--admins", "boss@hq.example,Ops@dd.example", code=1).err

    assert "Ops@dd.example: mail at dd.example comes to this gateway" in err
    assert "dd.example comes" in cli("account", "edit", "acme", "--admins", "ops@dd.example", code=1).err
    assert cli("account", "show", "dd", "--json").json["admins"] == []
    moved = ("--no-domain", "dd.example", "--admins", "ops@dd.example")
    assert cli("account", "edit", "dd", *moved, "--json").json["admins"] == ["ops@dd.example"]


def test_a_domain_was_taken_at_which_an_admin_reads(cli: Cli) -> None:
    cli("account", "edit", "acme", "--admins", "Boss@HQ.example")

    err = cli("account", "edit", "acme", "--domain", "hq.example", code=1).err

    assert "the admin" in err
    assert "reads mail there" in err
    assert "reads mail there" in cli("account", "add", "other", "--domain", "hq.example", code=1).err
    elsewhere = ("--domain", "hq.example", "--admins", "boss@home.example")
    assert cli("account", "edit", "acme", *elsewhere, "--json").json["domains"] == ["hq.example"]


def test_an_admin_was_named_at_a_mailbox_whose_mail_comes_here(cli: Cli) -> None:
    cli("account", "add", "pumps")
    for account in ("acme", "pumps"):
        err = cli("account", "edit", account, "--admins", "boss@hq.example,Support@ACME.test", code=1).err
        assert "Support@acme.test: that is a mailbox, whose mail comes to this gateway" in err
    assert cli("account", "show", "acme", "--json").json["admins"] == []

    cli("mailbox", "add", "ops@acme.test", "--name", "Ops")
    cli("mailbox", "remove", "ops@acme.test")
    assert cli("account", "edit", "acme", "--admins", "ops@acme.test", "--json").json["admins"] == ["ops@acme.test"]


def test_a_mailbox_was_made_of_an_admins_address(cli: Cli) -> None:
    cli("account", "add", "pumps")
    cli("account", "edit", "pumps", "--admins", "Boss@OK.test")

    err = cli("mailbox", "add", "boss@ok.test", "--name", "Boss", "--account", "acme", code=1).err

    assert "boss@ok.test: an admin of the account pumps reads mail there" in err
    assert "gateway account edit pumps --admins" in err
    cli("account", "edit", "pumps", "--admins", "")
    cli("mailbox", "add", "boss@ok.test", "--name", "Boss", "--account", "acme")


EDITS = [
    ("mailbox", "edit", "support@acme.test", "--name"),
    ("agent", "edit", "ann@acme.test", "--name"),
    ("account", "edit", "acme", "--company-name"),
    ("contact", "add", "carol@customer.test", "--name"),
    ("contact", "add", "carol@customer.test", "--company"),
    ("contact", "add", "carol@customer.test", "--tag"),
]


@pytest.mark.parametrize("text", [HARM, LONG], ids=["harm", "long"])
@pytest.mark.parametrize("arguments", EDITS)
def test_edit_took_what_add_refuses(cli: Cli, arguments: tuple[str, ...], text: str) -> None:
    assert f"{arguments[-1]}: one line of text, at most" in cli(*arguments, text, code=1).err


def test_a_tag_without_a_name_was_kept(cli: Cli) -> None:
    assert "--tag vip" in cli("contact", "add", "carol@customer.test", "--tag", " ", code=1).err


def test_names_of_any_script_are_taken(cli: Cli) -> None:
    names = ("\u5c71\u7530\u3000\u592a\u90ce", "\u0645\u06cc\u200c\u0634\u0648\u062f", "Anne\u00a0Marie O\u2019Neil")
    for name in names:
        assert cli("contact", "add", "carol@customer.test", "--name", name, "--json").json["name"] == name
        assert cli("agent", "edit", "ann@acme.test", "--name", name, "--json").json["name"] == name


@pytest.mark.parametrize("arguments", [("mailbox", "edit", "support@acme.test"), ("agent", "edit", "ann@acme.test")])
def test_an_empty_language_was_kept_as_one(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli(*arguments, "--language", "fr", "--json").json["language"] == "fr"

    assert cli(*arguments, "--language", "", "--json").json["language"] is None


def test_an_agent_was_added_with_an_empty_language(cli: Cli) -> None:
    new = ("agent", "add", "bob@home.test", "--name", "Bob", "--team", "support", "--language", "", "--json")

    assert cli(*new).json["language"] is None


def test_an_account_was_left_without_a_language(cli: Cli) -> None:
    assert "no language tag" in cli("account", "edit", "acme", "--language", "", code=1).err
    assert "no language tag" in cli("account", "add", "new", "--language", "", code=1).err
    assert cli("account", "show", "acme", "--json").json["language"] == "en"


@pytest.mark.parametrize("arguments", [("foo@gw.test",), ("postmaster@gw.test", "--inbound", "pm"), ("x@mx.gw.test",)])
def test_a_mailbox_was_added_at_the_gateways_own_domain(cli: Cli, arguments: tuple[str, ...]) -> None:
    err = cli("mailbox", "add", *arguments, "--name", "X", code=1).err

    assert "are the gateway's own" in err
    assert "acme.gw.test" in err


@pytest.mark.parametrize("name", ["x ", " x", "x"])
def test_two_teams_looked_alike(cli: Cli, name: str) -> None:
    assert cli("team", "add", "x", "--json").json["name"] == "x"

    assert "team x exists already" in cli("team", "add", name, code=1).err


def test_a_teams_name_is_kept_without_blanks_around_it(cli: Cli) -> None:
    assert cli("team", "add", " second  line ", "--json").json["name"] == "second line"


def test_managers_and_statuses_were_told_as_they_were_typed(cli: Cli) -> None:
    twice = ("--manager", "ann@acme.test", "--manager", "ANN@acme.test", "--json")
    assert cli("team", "edit", "support", *twice).json["managers"] == ["ann@acme.test"]
    assert cli("agent", "status", " Ann@acme.test", "away", "--json").json["address"] == "ann@acme.test"
