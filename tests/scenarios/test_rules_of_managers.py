"""Rules that teams' managers publish are not lost unasked: whoever publishes a whole document, when, and what came between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.commands import publish as publishing
from gateway.commands import schedule as scheduling
from gateway.commands.losses import NotAgreed
from gateway.commands.publish import publish, rollback
from gateway.commands.schedule import publish_due, schedule
from gateway.commands.team_rules import publish_team_rules
from gateway.store import candidates
from gateway.store.changes import PublishedMeanwhile
from gateway.store.policies import live_version, policy_text
from tests.scenarios.test_policy_versions import seed  # noqa: F401 - a fixture: both databases
from tests.servers.inprocess import Client, Gateway, numbered

BASE = "rules: [{name: vip, then: [{tag: [vip]}]}]\n"
RULES = "rules: [{{name: {}, then: [{{tag: [x]}}]}}]"
LATER = datetime.now(UTC) + timedelta(hours=1)


class Account:
    """What its admins and the manager of one team do."""

    def __init__(self, gateway: Gateway) -> None:
        self.at = (gateway.ground.store, gateway.account_id())

    def manager(self, rule: str, **how: Any) -> int:
        return publish_team_rules(*self.at, "finance", RULES.format(rule), **how).version

    def admin(self, text: str, **how: Any) -> int:
        return publish(*self.at, text, **how).version

    def again(self, **how: Any) -> int:
        """The output of `policy show`, published as it is."""
        return self.admin(self.text, **how)

    def refused(self, act: Callable[[], Any], *rules: str) -> None:
        before = self.live
        with pytest.raises(NotAgreed) as caught:
            act()
        assert caught.value.losses.rules == tuple(f"team finance: {rule}" for rule in rules)
        assert self.live == before

    @property
    def live(self) -> int:
        return live_version(*self.at)

    @property
    def text(self) -> str:
        return policy_text(*self.at, self.live)


@pytest.fixture
def account(gateway: Gateway) -> Account:
    return Account(gateway)


def once(act: Callable[[], Any]) -> Callable[..., None]:
    done: list[object] = []
    return lambda *_: None if done else done.append(act())


def overtaken(monkeypatch: pytest.MonkeyPatch, module: Any, act: Callable[..., Any]) -> None:
    """Between what was found out about the live version and the end, somebody does that."""
    found_out = module.dropped

    def dropped(*arguments: Any, **how: Any) -> Any:
        found = found_out(*arguments, **how)
        act()
        return found

    monkeypatch.setattr(module, "dropped", dropped)


# --- at the same time ---


async def test_what_a_manager_published_while_a_whole_document_was_tried_was_lost(
    account: Account, client: Client
) -> None:
    await client.mail(numbered(1))
    account.admin(BASE)
    manager = once(lambda: account.manager("dunning"))
    with pytest.raises(NotAgreed, match="team finance: dunning"):
        publish(*account.at, BASE, on_progress=manager)
    assert "dunning" in account.text


def test_what_a_manager_published_behind_the_last_look_was_lost(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.admin(BASE)
    overtaken(monkeypatch, publishing, once(lambda: account.manager("dunning")))
    with pytest.raises(NotAgreed, match="team finance: dunning"):
        account.admin(BASE)
    assert "dunning" in account.text


def test_what_a_manager_published_behind_the_last_look_was_lost_by_going_back(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in (BASE, ""):
        account.admin(text)
    overtaken(monkeypatch, publishing, once(lambda: account.manager("dunning")))
    with pytest.raises(NotAgreed, match=r"version 1 lacks, or changes, a rule .* team finance: dunning"):
        rollback(*account.at, 1)
    assert "dunning" in account.text


def test_a_version_that_takes_nothing_away_is_published_behind_the_one_that_came_between(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.admin(BASE)
    overtaken(monkeypatch, publishing, once(lambda: account.manager("dunning")))
    assert account.admin(BASE, agreed=True) == 3
    assert account.text == BASE


def test_who_is_overtaken_time_and_again_is_told_to_do_it_again(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.admin(BASE)
    names = iter("abcdefgh")
    overtaken(monkeypatch, publishing, lambda: account.manager(next(names)))
    with pytest.raises(PublishedMeanwhile, match="do it again"):
        account.admin("", agreed=True)
    assert "teams" in account.text


async def test_what_a_manager_published_while_a_later_version_was_tried_was_lost(
    account: Account, client: Client
) -> None:
    await client.mail(numbered(1))
    account.admin(BASE)
    manager = once(lambda: account.manager("dunning"))
    with pytest.raises(NotAgreed, match="team finance: dunning"):
        schedule(*account.at, BASE, LATER, on_progress=manager)
    assert candidates.scheduled(*account.at) == []


def test_what_a_manager_published_behind_the_last_look_was_lost_when_a_later_version_was_due(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.admin(BASE)
    with monkeypatch.context() as patch:
        overtaken(patch, scheduling, once(lambda: account.manager("dunning")))
        schedule(*account.at, BASE, LATER)
    (said,) = publish_due(account.at[0], LATER)
    assert "team finance: dunning" in said
    assert "dunning" in account.text


# --- whole documents in between ---


def test_a_whole_version_in_between_made_a_managers_rule_the_admins(account: Account) -> None:
    account.admin(BASE)
    account.manager("dunning")
    account.again()
    account.refused(lambda: rollback(*account.at, 1), "dunning")
    account.refused(lambda: account.admin(BASE), "dunning")
    account.refused(lambda: schedule(*account.at, BASE, LATER), "dunning")
    assert account.admin(BASE, agreed=True) == 4
    assert account.admin(BASE) == 5  # that was agreed to


@pytest.mark.parametrize("how_back", ["rollback", "publish"])
def test_going_back_to_a_wrong_version_first_made_a_managers_rule_the_admins(account: Account, how_back: str) -> None:
    account.admin(BASE)
    account.manager("dunning")
    account.admin(BASE, agreed=True)
    if how_back == "rollback":
        rollback(*account.at, 2)
    else:
        account.admin(policy_text(*account.at, 2))
    account.refused(lambda: rollback(*account.at, 1), "dunning")
    account.refused(lambda: account.admin(BASE), "dunning")


@pytest.mark.parametrize("then", ["publish", "rollback"])
def test_a_whole_version_in_between_let_a_later_one_take_a_managers_rule_away(account: Account, then: str) -> None:
    account.admin(BASE)
    schedule(*account.at, BASE, LATER)
    account.manager("dunning")
    if then == "publish":
        account.again()
    else:
        account.admin(BASE, agreed=True)
        rollback(*account.at, 2)
    (said,) = publish_due(account.at[0], LATER)
    assert "team finance: dunning" in said
    assert "dunning" in account.text


def test_of_rules_that_were_there_who_scheduled_it_was_asked(account: Account) -> None:
    account.manager("dunning")
    account.again()
    schedule(*account.at, BASE, LATER, agreed=True)
    account.again()
    assert len(publish_due(account.at[0], LATER)) == 1
    assert account.text == BASE


def test_rules_that_admins_wrote_for_a_team_are_no_managers(account: Account) -> None:
    account.admin("teams: {finance: {" + RULES.format("ours") + "}}")
    publish_team_rules(*account.at, "finance", RULES.format("ours")[:-1] + ", {name: mine, then: [{tag: [y]}]}]")
    account.refused(lambda: account.admin(""), "mine")


def test_a_later_version_of_the_release_before_is_held_against_what_was_live_then(account: Account) -> None:
    account.manager("dunning")
    schedule(*account.at, BASE, LATER, agreed=True)
    forget_since(account)
    assert len(publish_due(account.at[0], LATER)) == 1
    assert account.text == BASE


def forget_since(account: Account) -> None:
    with account.at[0].write() as connection:
        connection.exec_driver_sql("UPDATE policy_candidate SET since_version = NULL")


# --- notes ---


def test_an_admins_note_could_pass_for_a_managers(account: Account) -> None:
    account.admin("teams: {finance: {" + RULES.format("ours") + "}}", note="Rules of team finance tidied")
    account.admin("teams: {finance: {" + RULES.format("other") + "}}", note="rules of team finance: tidied")
    assert account.admin("") == 3


def test_rules_that_a_manager_published_by_the_release_before_were_lost(account: Account) -> None:
    """During a rolling upgrade: that release does not write whose they are, only the note."""
    account.manager("dunning", note="as: ever")
    with account.at[0].write() as connection:
        connection.exec_driver_sql("UPDATE policy_version SET team = NULL")
    account.refused(lambda: account.admin(BASE), "dunning")


def test_whole_documents_of_the_release_before_are_no_managers(account: Account) -> None:
    account.admin("teams: {finance: {" + RULES.format("ours") + "}}", note="Rules of team finance tidied")
    with account.at[0].write() as connection:
        connection.exec_driver_sql("UPDATE policy_version SET team = NULL")
    assert account.admin("") == 2
