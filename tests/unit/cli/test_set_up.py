"""Accounts, mailboxes, teams, agents, contacts and keys."""

from __future__ import annotations

import hashlib

import pytest

from tests.unit.cli.conftest import Cli


def test_an_added_account_says_where_it_receives_and_what_to_publish(cli: Cli) -> None:
    out = cli("account", "add", "Globex", "--listen-only").out

    assert "support@globex.gw.test" in out
    assert "gw1._domainkey.globex.gw.test" in out
    assert "v=DKIM1; k=rsa; p=" in out
    assert "gateway account live globex" in out


def test_an_account_is_shown_with_the_record_made_when_it_was_added(cli: Cli) -> None:
    added = cli("account", "add", "globex", "--domain", "Mail.Globex.Test", "--json").json

    shown = cli("account", "show", "globex", "--json").json

    assert shown == added
    assert shown["domains"] == ["mail.globex.test"]
    assert shown["dkim"]["value"].startswith("v=DKIM1;")
    assert "dkim_key" not in shown


def test_accounts_are_listed_with_the_operators_own(cli: Cli) -> None:
    assert [a["name"] for a in cli("account", "list", "--json").json] == ["acme", "system"]
    assert "acme.gw.test" in cli("account", "list").out


def test_going_live_ends_listen_only(cli: Cli) -> None:
    cli("account", "add", "globex", "--listen-only")

    assert cli("account", "live", "globex", "--json").json["listen_only"] is False

    assert cli("account", "show", "globex", "--json").json["listen_only"] is False


def test_an_account_that_never_kept_mail_is_removed_whole_and_its_names_are_free(cli: Cli) -> None:
    again = ("account", "add", "globex", "--domain", "mail.globex.example")
    cli(*again)
    cli("mailbox", "add", "help@globex.example", "--name", "Help", "--account", "globex")
    assert cli("account", "remove", "globex", "--json").json == {"name": "globex", "removed": True}
    assert [a["name"] for a in cli("account", "list", "--json").json] == ["acme", "system"]
    cli(*again)
    cli("mailbox", "add", "help@globex.example", "--name", "Help", "--account", "globex")


def test_an_account_is_edited(cli: Cli) -> None:
    shown = cli("account", "edit", "acme", "--timezone", "Europe/Berlin", "--language", "de", "--json").json

    assert (shown["timezone"], shown["language"], shown["company_name"]) == ("Europe/Berlin", "de", "Acme")


def test_an_account_trusts_sealers_of_its_own_until_told_otherwise(cli: Cli) -> None:
    assert cli("account", "show", "acme", "--json").json["arc_sealers"] == []

    edited = cli(
        "account", "edit", "acme", "--arc-sealers", "Lists.Example, b\u00fccher.example,lists.example", "--json"
    ).json

    assert edited["arc_sealers"] == ["lists.example", "xn--bcher-kva.example"]
    assert "lists.example, xn--bcher-kva.example" in cli("account", "show", "acme").out
    assert cli("account", "edit", "acme", "--arc-sealers", "", "--json").json["arc_sealers"] == []
    assert "ARC sealers" not in cli("account", "show", "acme").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("account", "edit", "acme", "--arc-sealers", "google"), 1, "'google': a whole domain name is needed"),
        (("account", "edit", "acme", "--arc-sealers", "a.test,b..test"), 1, "for example google.com"),
        (("account", "edit", "acme", "--arc-sealers", ",".join(f"a{n}.test" for n in range(21))), 1, "at most 20"),
        (("account", "add", "acme"), 1, "acme exists already"),
        (("account", "add", "not ok"), 1, "DNS label"),
        (("account", "add", "www"), 1, "reserved"),
        (("account", "show", "nobody"), 1, "accounts: acme, system"),
        (("account", "edit", "acme"), 2, "--company-name"),
        (("account", "remove", "system"), 1, "operator's own"),
        (("account", "remove", "nobody"), 1, "no account"),
        (("account", "edit", "acme", "--timezone", "Mars/Base"), 1, "no time zone"),
        (("mailbox", "add", "no-address", "--name", "X"), 1, "no mail address"),
        (("mailbox", "add", "new@acme.test"), 2, "Missing option '--name'"),
        (("mailbox", "add", "new@acme.test", "--name", " "), 1, "a name is needed"),
        (("mailbox", "add", "support@other.test", "--name", "X"), 1, "--inbound"),
        (("mailbox", "add", "new@acme.test", "--name", "X", "--team", "nope"), 1, "teams: support"),
        (("mailbox", "show", "nope@acme.test"), 1, "support@acme.test"),
        (("mailbox", "edit", "support@acme.test"), 2, "--team"),
        (("mailbox", "edit", "support@acme.test", "--name", " "), 1, "a name is needed"),
        (("team", "add", "support"), 1, "exists already"),
        (("agent", "add", "bob@acme.test", "--name", "Bob"), 2, "Missing option '--team'"),
        (("agent", "add", "bob@acme.test", "--team", "support"), 2, "Missing option '--name'"),
        (("agent", "edit", "ann@acme.test"), 2, "--team"),
        (("agent", "edit", "ann@acme.test", "--team", "nope"), 1, "teams: support"),
        (("agent", "add", "support@acme.test", "--name", "Bob", "--team", "support"), 1, "a mailbox already"),
        (("agent", "status", "ann@acme.test", "asleep"), 1, "available, in-email"),
        (("agent", "status", "nobody@acme.test", "away"), 1, "no agent"),
        (("contact", "add", "nobody"), 1, "no mail address"),
        (("key", "add", "--scope", "root"), 2, "--scope"),
        (("key", "add", "--scope", "write"), 2, "a key that writes is a team's"),
        (("key", "revoke", "nope"), 1, "gateway key list"),
    ],
)
def test_bad_input_is_refused_in_plain_words(cli: Cli, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = cli(*arguments, code=code)

    assert words in done.err.replace("│\n│", "")
    assert done.out == ""
    assert "Traceback" not in done.err


def test_without_an_account_those_that_exist_are_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_ACCOUNT")
    cli("account", "add", "globex")

    done = cli("mailbox", "list", code=2)

    assert "acme, globex, system" in done.err


def test_the_option_outranks_the_environment(cli: Cli) -> None:
    assert cli("mailbox", "list", "--account", "system", "--json").json[0]["address"] == "postmaster@system.gw.test"


def test_mailboxes_say_where_to_forward_them(cli: Cli) -> None:
    added = cli("mailbox", "add", "Billing@acme.test", "--name", "Acme Billing", "--json").json

    assert added["inbound_address"] == "billing@acme.gw.test"
    listed = cli("mailbox", "list", "--json").json
    assert [m["inbound_address"] for m in listed] == [
        "support@acme.gw.test",
        "support@acme.gw.test",
        "billing@acme.gw.test",
    ]
    assert "billing@acme.gw.test" in cli("mailbox", "show", "billing@acme.test").out


def test_a_mailbox_is_edited(cli: Cli) -> None:
    cli("team", "add", "finance")

    shown = cli("mailbox", "edit", "support@acme.test", "--team", "finance", "--language", "fr", "--json").json

    assert (shown["team"], shown["language"], shown["name"]) == ("finance", "fr", "Acme Support")


def test_agents_are_added_available_and_change_their_status(cli: Cli) -> None:
    cli("team", "add", "finance")
    added = cli(
        "agent", "add", "bob@acme.test", "--name", "Bob", "--team", "support", "--team", "finance", "--json"
    ).json
    assert (added["status"], added["teams"]) == ("available", ["finance", "support"])

    cli("agent", "status", "bob@acme.test", "away")

    listed = cli("agent", "list", "--json").json
    assert [(a["address"], a["status"]) for a in listed] == [("ann@acme.test", "available"), ("bob@acme.test", "away")]
    assert cli("team", "list", "--json").json[0] == {"name": "finance", "agents": ["bob@acme.test"], "managers": []}


def test_contacts_are_added_and_brought_up_to_date(cli: Cli) -> None:
    cli("contact", "add", "carol@customer.test", "--name", "Carol")

    again = cli("contact", "add", "Carol@customer.test", "--name", "Carol C.", "--tag", "vip", "--json").json

    assert (again["name"], again["tags"]) == ("Carol C.", ["vip"])
    assert len(cli("contact", "list", "--json").json) == 1


def test_a_key_is_shown_once_and_kept_as_its_digest(cli: Cli) -> None:
    made = cli("key", "add", "--scope", "write", "--team", "support", "--note", "shop", "--json").json

    assert set(made) == {"id", "key"}
    assert made["key"].startswith("gw_")
    listed = cli("key", "list", "--json")
    assert made["key"] not in listed.out
    assert listed.json[0]["scope"] == "write"
    database = (
        (cli.folder / "var" / "gateway.db").read_bytes() + (cli.folder / "var" / "gateway.db-wal").read_bytes()
        if (cli.folder / "var" / "gateway.db-wal").exists()
        else (cli.folder / "var" / "gateway.db").read_bytes()
    )
    assert made["key"].encode() not in database
    assert hashlib.sha256(made["key"].encode()).hexdigest().encode() in database


def test_a_key_alone_stands_on_standard_output(cli: Cli) -> None:
    done = cli("key", "add")

    assert done.out.startswith("gw_")
    assert len(done.out.split()) == 1
    assert "only time" in done.err


def test_a_revoked_key_is_listed_as_such_and_cannot_be_revoked_again(cli: Cli) -> None:
    key = cli("key", "add", "--json").json["id"]

    cli("key", "revoke", key)

    assert cli("key", "list", "--json").json[0]["revoked_at"]
    cli("key", "revoke", key, code=1)


LISTS = [(noun, "list") for noun in ("account", "mailbox", "team", "agent", "contact", "key", "ticket", "message")]
LISTS += [(noun, "list") for noun in ("quarantine", "parked", "outbox")] + [("policy", "versions"), ("log",)]


@pytest.mark.parametrize("arguments", LISTS)
def test_lists_are_one_json_document_or_plain_text(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert isinstance(cli(*arguments, "--json").json, list)
    assert "\x1b" not in cli(*arguments).out


def test_a_teams_managers_are_agents_of_it(cli: Cli) -> None:
    assert "no agent of the team" in cli("team", "edit", "support", "--manager", "bob@acme.test", code=1).err
    cli("team", "edit", "support", "--manager", "Ann@acme.test")
    assert cli("team", "list", "--json").json == [
        {"name": "support", "agents": ["ann@acme.test"], "managers": ["ann@acme.test"]}
    ]
    assert "managed by" in cli("team", "list").out
    cli("team", "edit", "support", "--no-manager")
    assert cli("team", "list", "--json").json[0]["managers"] == []
    assert "--no-manager" in cli("team", "edit", "support", code=2).err


def test_a_key_of_a_team_is_one_that_writes(cli: Cli) -> None:
    assert "--scope write" in cli("key", "add", "--team", "support", code=2).err
    assert "there is no team" in cli("key", "add", "--scope", "write", "--team", "nobody", code=1).err
    cli("key", "add", "--scope", "write", "--team", "support", "--json")
    assert [k["team"] for k in cli("key", "list", "--json").json] == ["support"]


# --- what a new admin ran into ---


def test_adding_a_known_contact_erased_what_was_not_named(cli: Cli) -> None:
    known = ("contact", "add", "carol@petal.test")
    cli(*known, "--name", "Carol Blum", "--company", "Petal", "--language", "de", "--tag", "vip")

    again = cli(*known, "--tag", "gold", "--json").json

    assert (again["name"], again["company"], again["language"]) == ("Carol Blum", "Petal", "de")
    assert again["tags"] == ["vip", "gold"]
    less = cli(*known, "--no-tag", "vip", "--company", "", "--json").json
    assert (less["name"], less["company"], less["tags"]) == ("Carol Blum", None, ["gold"])


def test_a_domain_took_the_mail_of_another_accounts_mailbox(cli: Cli) -> None:
    cli("mailbox", "add", "support@pumps.test", "--name", "Pumps", "--inbound", "pumps")

    err = cli("account", "add", "b2", "--domain", "pumps.test", code=1).err

    assert "support@pumps.test is a mailbox of another account already" in err
    err = cli("account", "edit", "acme", "--domain", "acme.test", code=1).err
    assert "the agent ann@acme.test reads mail there" in err
    cli("account", "add", "b2", "--domain", "b2.test")
    assert "comes to the account b2 already" in cli("mailbox", "add", "x@b2.test", "--name", "X", code=1).err
    cli("account", "edit", "b2", "--no-domain", "b2.test")
    cli("mailbox", "add", "x@b2.test", "--name", "X")
    assert "is no domain of this account" in cli("account", "edit", "b2", "--no-domain", "b2.test", code=1).err


def test_an_accounts_domains_could_not_be_changed(cli: Cli) -> None:
    shown = cli("account", "edit", "acme", "--domain", "Mail.Acme.Test", "--json").json
    assert shown["domains"] == ["mail.acme.test"]
    shown = cli("account", "edit", "acme", "--domain", "in.acme.test", "--no-domain", "mail.acme.test", "--json").json
    assert shown["domains"] == ["in.acme.test"]


def test_an_agent_who_was_there_already_was_taken_for_a_mailbox(cli: Cli) -> None:
    again = ("agent", "add", "Ann@acme.test", "--name", "Ann", "--team", "support")

    err = cli(*again, code=1).err

    assert "ann@acme.test is an agent already; `gateway agent edit ann@acme.test` changes it" in err
    assert "mailbox" not in err
    cli("account", "add", "globex")
    assert "of another account" in cli(*again, "--account", "globex", code=1).err


def test_an_agent_had_to_be_removed_to_change_teams(cli: Cli) -> None:
    for name in ("finance", "sales"):
        cli("team", "add", name)
    cli("team", "edit", "support", "--manager", "ann@acme.test")

    both = cli("agent", "edit", "ann@acme.test", "--team", "support", "--team", "finance", "--json").json

    assert both["teams"] == ["finance", "support"]
    managers = {t["name"]: t["managers"] for t in cli("team", "list", "--json").json}
    assert managers["support"] == ["ann@acme.test"]
    assert "in sales now" in cli("agent", "edit", "ann@acme.test", "--team", "sales").out
    assert {t["name"]: t["managers"] for t in cli("team", "list", "--json").json}["support"] == []


def test_a_revocation_that_was_printed_could_not_be_pasted(cli: Cli) -> None:
    key = cli("key", "list", "--json").json
    assert key == []

    err = cli("key", "add").err

    key_id = cli("key", "list", "--json").json[0]["id"]
    assert f"gateway key revoke {key_id} --account acme" in err


# --- what the database belongs to ---


def test_a_configuration_that_an_editor_emptied_had_all_mail_refused(cli: Cli) -> None:
    """`receive` reads it for each message, a restart of `serve` too; both took the accounts for others' and said 5xx."""
    (cli.folder / "gateway.toml").write_text('data_dir = "var"\n')
    for arguments, code in [
        (("receive", "--sender", "<>", "--recipient", "support@acme.gw.test"), 75),
        (("serve",), 1),
        (("account", "list"), 1),
    ]:
        said = cli.process(*arguments, stdin=b"Subject: x\r\n\r\nx\r\n", code=code).err
        assert (
            'accounts of this database lie below gw.test, and the configuration says gateway.localhost; write domain = "gw.test"'
            in said
        )


def test_the_accounts_move_to_another_domain_on_purpose(cli: Cli) -> None:
    config = cli.folder / "gateway.toml"
    config.write_text(config.read_text().replace('domain = "gw.test"', 'domain = "new.test"'))
    assert "`gateway db domain`" in cli("account", "list", code=1).err
    moved = {"domain": "new.test", "before": "gw.test", "policies": []}
    assert cli("db", "domain", "--json").json == moved
    assert cli("account", "show", "acme", "--json").json["address"] == "support@acme.new.test"
    addresses = [m["address"] for m in cli("mailbox", "list", "--account", "acme", "--json").json]
    assert sorted(addresses) == ["support@acme.new.test", "support@acme.test"]
    assert "accounts lie below new.test" in cli("db", "domain").out


@pytest.mark.parametrize(
    ("domain", "set_up", "in_the_way"),
    [
        ("test", (), "support@acme.test is a mailbox already"),
        ("test", (), "the agent ann@acme.test would read what comes back to this gateway"),
        (
            "mail.test",
            ("account", "edit", "acme", "--domain", "in.mail.test"),
            "in.mail.test is an account's own domain",
        ),
        ("boss.test", ("account", "edit", "acme", "--admins", "Max@Boss.test"), "the admin Max@boss.test would read"),
    ],
)
def test_a_domain_at_which_somebody_is_already_was_taken_all_the_same(
    cli: Cli, domain: str, set_up: tuple[str, ...], in_the_way: str
) -> None:
    """A traceback for the mailbox; agents' notices came back as mail, and what was received there before was refused."""
    if set_up:
        cli(*set_up)
    config = cli.folder / "gateway.toml"
    config.write_text(config.read_text().replace('domain = "gw.test"', f'domain = "{domain}"'))
    assert in_the_way in cli("db", "domain", code=1).err
    assert f"lie below gw.test, and the configuration says {domain}" in cli("account", "list", code=1).err


def test_policies_that_speak_of_the_domain_before_are_named(cli: Cli) -> None:
    cli("mailbox", "add", "sales@acme.gw.test", "--account", "acme", "--name", "Sales", "--inbound", "sales")
    text = "mailboxes: {sales@acme.gw.test: {body: html}}\n"
    cli("policy", "publish", cli.write("of.yaml", text), "--account", "acme", "--yes")
    config = cli.folder / "gateway.toml"
    config.write_text(config.read_text().replace('domain = "gw.test"', 'domain = "new.test"'))
    assert "Policies that still speak of gw.test: acme; publish them anew." in cli("db", "domain").out
    addresses = [m["address"] for m in cli("mailbox", "list", "--account", "acme", "--json").json]
    assert "sales@acme.new.test" in addresses
