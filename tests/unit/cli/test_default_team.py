"""Whose business mail of a mailbox without a team is."""

from __future__ import annotations

from contextlib import closing

from sqlalchemy import update

from gateway.store.engine import Store
from gateway.store.named import account_id
from gateway.store.roster import load_roster
from gateway.store.tables import MailboxRow
from gateway.store.tables.columns import columns
from tests.unit.cli.conftest import Cli


def _team_of_mail(cli: Cli, account: str) -> str | None:
    """The team that mail without a route goes to."""
    with closing(_store(cli)) as store, store.read() as connection:
        roster = load_roster(connection, account_id(store, account))
        return roster.team_name(roster.default_team)


def _store(cli: Cli) -> Store:
    return Store(f"sqlite:///{cli.folder / 'var' / 'gateway.db'}", cli.folder / "var")


def _team_of_a_ticket(cli: Cli, account: str, mailbox: str) -> object:
    opened = ("ticket", "open", "--account", account, "--mailbox", mailbox, "--to", "carol@customer.test")
    return cli(*opened, "--subject", "Pump", "--json").json["team"]


def test_removing_the_own_mailbox_sent_all_mail_to_the_alphabetically_first_team(cli: Cli) -> None:
    cli("account", "add", "defa")
    cli("team", "add", "billing", "--account", "defa")
    cli("mailbox", "add", "help@defa.test", "--name", "Help", "--default", "--account", "defa")

    cli("mailbox", "remove", "support@defa.gw.test", "--account", "defa")

    assert _team_of_mail(cli, "defa") == "support"
    assert _team_of_a_ticket(cli, "defa", "help@defa.test") == "support"
    assert cli("mailbox", "show", "help@defa.test", "--account", "defa", "--json").json["team"] == "support"


def test_a_mailbox_that_became_the_default_lost_the_team_of_the_one_before(cli: Cli) -> None:
    cli("team", "add", "billing")
    cli("mailbox", "add", "help@acme.test", "--name", "Help")
    assert "support, the account's default" in cli("mailbox", "show", "help@acme.test").out

    assert cli("mailbox", "edit", "help@acme.test", "--default", "--json").json["team"] == "support"
    cli("mailbox", "edit", "help@acme.test", "--team", "billing")
    assert cli("mailbox", "edit", "support@acme.test", "--default", "--json").json["team"] == "support"


def test_a_default_mailbox_that_has_no_team_since_long_gets_its_team_before_the_lender_leaves(cli: Cli) -> None:
    cli("account", "add", "defa")
    cli("team", "add", "billing", "--account", "defa")
    cli("mailbox", "add", "help@defa.test", "--name", "Help", "--default", "--account", "defa")
    with closing(_store(cli)) as store, store.write() as connection:
        of_help = columns(MailboxRow).address_key == "help@defa.test"
        connection.execute(update(MailboxRow).where(of_help).values(team_id=None))

    cli("mailbox", "remove", "support@defa.gw.test", "--account", "defa")

    assert cli("mailbox", "show", "help@defa.test", "--account", "defa", "--json").json["team"] == "support"


def test_mail_and_desk_agree_on_the_team_where_no_mailbox_has_one(cli: Cli) -> None:
    cli("account", "add", "defa")
    cli("team", "add", "billing", "--account", "defa")
    with closing(_store(cli)) as store, store.write() as connection:
        connection.execute(update(MailboxRow).values(team_id=None))

    assert _team_of_mail(cli, "defa") == "support"
    assert _team_of_a_ticket(cli, "defa", "support@defa.gw.test") == "support"
