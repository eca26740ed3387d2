"""Versions that are published later, candidates in the shadow, and what admins are told of a version on probation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.commands import shadow
from gateway.commands.publish import publish
from gateway.commands.release import release
from gateway.commands.schedule import publish_due, schedule
from gateway.commands.team_rules import publish_team_rules
from gateway.core.errors import UnknownThing
from gateway.core.policy_notice import NOT_PUBLISHED, PROBATION
from gateway.notify.folder import templates_folder
from gateway.notify.render import Templates
from gateway.outbox.preparing import Preparation
from gateway.policy.problems import PolicyError
from gateway.store import candidates, changes, listing, outbox, team_changes
from gateway.store.policies import live_version, policy_text, versions
from gateway.store.policy_notices import TOLD_AT, queue_probation_notices
from gateway.store.tables import Outbox, Team
from gateway.store.tables.columns import columns
from tests.scenarios.test_replay import go_live
from tests.servers.inprocess import Client, Gateway, make_seed, numbered
from tests.servers.postgres import postgres  # noqa: F401 - a fixture

IGNORE = "rules: [{name: all, then: [ignore]}]"
TAG = "rules: [{name: all, then: [{tag: [x]}]}]"
TO_FINANCE = "rules: [{name: all, then: [{route: finance}]}]"
NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=12)  # long behind the last of these tests, however slow the run
_o, _team = columns(Outbox), columns(Team)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def seed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return make_seed(tmp_path_factory.mktemp(f"policies-{request.param}"), server)


def test_a_teams_managers_are_those_named_last(gateway: Gateway) -> None:
    store, account = at_hand(gateway)

    def managers() -> list[str]:
        return next(t["managers"] for t in listing.teams(store, account) if t["name"] == "support")

    team_changes.set_managers(store, account, "support", ["ann@acme.test", "BOB@acme.test"])
    assert managers() == ["ann@acme.test", "bob@acme.test"]
    with pytest.raises(UnknownThing, match=r"fay@acme\.test is no agent of the team support; its agents: ann"):
        team_changes.set_managers(store, account, "support", ["fay@acme.test"])
    team_changes.set_managers(store, account, "support", ["bob@acme.test"])
    assert managers() == ["bob@acme.test"]
    team_changes.set_managers(store, account, "support", [])
    assert managers() == []


def at_hand(gateway: Gateway) -> tuple[Any, str]:
    return gateway.ground.store, gateway.account_id()


def admins(gateway: Gateway, *addresses: str) -> None:
    changes.edit_account(gateway.ground.store, gateway.account_id(), {"admins": list(addresses)})


def owed(gateway: Gateway, kind: str) -> list[Any]:
    with gateway.ground.store.read() as connection:
        return list(connection.execute(select(_o.recipient, _o.message_id).where(_o.kind == kind).order_by(_o.id)))


def letters(gateway: Gateway, kind: str) -> list[str]:
    """The mails of a kind that would leave now."""
    ground = gateway.ground
    prepare = Preparation(
        ground.store, ground.secret, ground.tokens, Templates(templates_folder()), ground.blobs, "gw.test"
    )
    claims = [c for c in outbox.claim(ground.store, datetime.now(UTC) + timedelta(days=2), 100) if c.kind == kind]
    made = prepare(claims)
    assert [p.fault for p in made] == [""] * len(claims)
    return [p.letter.content.decode() for p in made if p.letter]


def rename_finance(gateway: Gateway) -> None:
    with gateway.ground.store.write() as connection:
        connection.execute(update(Team).where(_team.name == "finance").values(name="money"))


# --- later ---


def test_a_version_is_published_when_its_time_has_come_and_once(gateway: Gateway) -> None:
    store, account = at_hand(gateway)
    schedule(store, account, TAG, LATER, note="winter", author="ann")
    assert publish_due(store, LATER - timedelta(seconds=1)) == []
    (said,) = publish_due(store, LATER)
    assert said.endswith(": published as version 1")
    assert publish_due(store, LATER) == []
    (live,) = versions(store, account)
    assert (live["note"], live["author"], live["live"]) == ("winter", "ann", True)
    assert candidates.scheduled(store, account)[0].result == "published as version 1"


def test_two_that_are_due_are_published_in_their_order(gateway: Gateway) -> None:
    store, account = at_hand(gateway)
    schedule(store, account, TO_FINANCE, LATER + timedelta(minutes=1))
    schedule(store, account, TAG, LATER)
    assert len(publish_due(store, LATER + timedelta(hours=1))) == 2
    assert policy_text(store, account, live_version(store, account)) == TO_FINANCE


def test_a_version_published_in_between_does_not_stop_it_and_the_result_says_so(gateway: Gateway) -> None:
    store, account = at_hand(gateway)
    schedule(store, account, TAG, LATER)
    publish(store, account, "")
    publish_due(store, LATER)
    assert policy_text(store, account, 2) == TAG
    assert candidates.scheduled(store, account)[0].result == (
        "published as version 2; in the place of version 1, which came after it was scheduled"
    )


def test_a_version_published_while_it_is_tried_makes_it_be_tried_anew(gateway: Gateway) -> None:
    store, account = at_hand(gateway)
    schedule(store, account, TAG, LATER)
    (candidate,) = candidates.due(store, LATER)
    publish(store, account, "")
    how: Any = {"probation": False, "result": str, "instead_of": 0}
    assert candidates.publish_due(store, candidate, **how) is None
    assert len(publish_due(store, LATER)) == 1
    assert live_version(store, account) == 2


def test_what_was_withdrawn_is_not_published(gateway: Gateway) -> None:
    store, account = at_hand(gateway)
    candidate = schedule(store, account, TAG, LATER).id
    candidates.unschedule(store, account, candidate, by="ann")
    assert publish_due(store, LATER) == []
    assert live_version(store, account) == 0


async def test_past_mail_that_fares_worse_by_then_puts_it_on_probation(gateway: Gateway, client: Client) -> None:
    store, account = at_hand(gateway)
    schedule(store, account, IGNORE, LATER)
    await client.mail(numbered(1))
    (said,) = publish_due(store, LATER)
    assert "on probation: 1 messages of the last 7 days fare worse" in said
    assert versions(store, account)[0]["probation"] is True


def test_what_does_not_fit_any_more_is_not_published_and_admins_are_told_why(gateway: Gateway) -> None:
    store, account = at_hand(gateway)
    admins(gateway, "ops@acme.test", "boss@acme.test")
    candidate = schedule(store, account, TO_FINANCE, LATER, author="ann").id
    rename_finance(gateway)
    (said,) = publish_due(store, LATER)
    assert "was not published: line 1" in said
    assert publish_due(store, LATER) == []
    assert live_version(store, account) == 0
    assert "finance" in candidates.scheduled(store, account)[0].result
    assert owed(gateway, NOT_PUBLISHED) == [("ops@acme.test", candidate), ("boss@acme.test", candidate)]
    assert all("- line 1, column" in text for text in letters(gateway, NOT_PUBLISHED))


def test_what_would_drop_rules_that_a_teams_manager_published_since_is_not_published(gateway: Gateway) -> None:
    store, account = at_hand(gateway)
    admins(gateway, "ops@acme.test")
    rules = "rules: [{name: dunning, then: [{tag: [t]}]}]"
    publish_team_rules(store, account, "finance", rules)
    schedule(store, account, TAG, LATER, agreed=True)  # of that one it is known
    assert len(publish_due(store, LATER)) == 1
    assert live_version(store, account) == 2
    candidate = schedule(store, account, TO_FINANCE, LATER).id
    publish_team_rules(store, account, "finance", rules)
    (said,) = publish_due(store, LATER)
    assert "team finance: dunning" in said
    assert live_version(store, account) == 3
    assert owed(gateway, NOT_PUBLISHED) == [("ops@acme.test", candidate)]


# --- the shadow ---


async def test_the_shadow_is_shown_from_its_start_on_and_published(gateway: Gateway, client: Client) -> None:
    store, account = at_hand(gateway)
    await client.mail(numbered("before"))
    shadow.start(store, account, TO_FINANCE, author="bob")
    for n in range(3):
        await client.mail(numbered(n))
    found = shadow.watch(store, account)
    assert found is not None
    assert (found.candidate.author, found.found.compared) == ("bob", 3)
    (group,) = found.found.groups()
    assert [(d.what, d.after) for d in group.differences] == [("team", "finance, unassigned")]
    assert shadow.watch(store, account, most=2).found.compared == 2  # type: ignore[union-attr]  # it runs

    assert shadow.make_live(store, account).version == 1
    assert shadow.watch(store, account) is None


def test_a_teams_rules_may_mean_what_only_the_account_s_policy_makes_possible(gateway: Gateway) -> None:
    """By itself the rule would never see a ticket: new mail joins one only where the account says so."""
    store, account = at_hand(gateway)
    rules = "rules: [{if: {ticket: {state: open}}, then: [{tag: [again]}]}]"
    with pytest.raises(PolicyError, match="line 1, column 15"):
        publish_team_rules(store, account, "finance", rules)
    publish(store, account, "accept: {join_open_ticket: true}")
    assert publish_team_rules(store, account, "finance", rules).version == 2


# --- probation ---


async def test_admins_are_told_when_five_messages_wait_once_a_version(gateway: Gateway, client: Client) -> None:
    store, _ = at_hand(gateway)
    admins(gateway, "ops@acme.test", "boss@acme.test")
    await client.mail(numbered("ticketed"))
    await go_live(gateway, IGNORE)
    for n in range(TOLD_AT):
        assert queue_probation_notices(store, NOW) == 0, n
        await client.mail(numbered(n))
    assert queue_probation_notices(store, NOW) == 2
    assert queue_probation_notices(store, NOW) == 0
    assert owed(gateway, PROBATION) == [("ops@acme.test", "1"), ("boss@acme.test", "1")]
    await client.mail(numbered("sixth"))
    newest = gateway.messages()[0]["id"]
    for text in letters(gateway, PROBATION):
        for words in ("Version 1 holds mail back", "for now: 6.", "and 1 more", "Pump sixth", newest):
            assert words in text.replace("=\r\n", ""), words

    await go_live(gateway, "rules: [{name: others, then: [ignore]}]")  # on trial by itself: the tickets of before
    for n in range(TOLD_AT):
        await client.mail(numbered(f"again {n}"))
    assert queue_probation_notices(store, NOW) == 2  # the version before was on trial itself, and is no measure
    again = letters(gateway, PROBATION)
    assert len(again) == 2
    assert all("Version 2 holds mail back" in text and "policy rollback" not in text for text in again)


async def test_mail_that_waits_for_versions_mended_on_their_first_day_is_counted_together(
    gateway: Gateway, client: Client
) -> None:
    store, _ = at_hand(gateway)
    admins(gateway, "ops@acme.test")
    await client.mail(numbered("ticketed"))
    for version in (1, 2):
        await go_live(gateway, f"rules: [{{name: mended {version}, then: [ignore]}}]")
        for n in range(TOLD_AT // 2):
            await client.mail(numbered(f"{version} {n}"))
    assert queue_probation_notices(store, NOW) == 0
    await client.mail(numbered("fifth"))
    told = datetime.now(UTC)
    assert queue_probation_notices(store, told) == 1
    (letter,) = letters(gateway, PROBATION)
    assert f"for now: {TOLD_AT}." in letter.replace("=\r\n", "")

    await go_live(gateway, "rules: [{name: mended again, then: [ignore]}]")
    assert queue_probation_notices(store, told) == 0  # of what waits so far they know
    for n in range(TOLD_AT):
        await client.mail(numbered(f"after {n}"))
    assert queue_probation_notices(store, told) == 1


async def test_what_was_dealt_with_does_not_count(gateway: Gateway, client: Client) -> None:
    store, account = at_hand(gateway)
    admins(gateway, "ops@acme.test")
    await client.mail(numbered("ticketed"))
    await go_live(gateway, "rules: [{name: all, then: [quarantine]}]")
    for n in range(TOLD_AT):
        await client.mail(numbered(n))
    await release(gateway.line, account, gateway.messages()[0]["id"])
    assert queue_probation_notices(store, NOW) == 0


async def test_who_becomes_admin_later_is_told_then(gateway: Gateway, client: Client) -> None:
    store, _ = at_hand(gateway)
    await client.mail(numbered("ticketed"))
    await go_live(gateway, IGNORE)
    for n in range(TOLD_AT):
        await client.mail(numbered(n))
    assert queue_probation_notices(store, NOW) == 0
    admins(gateway, "ops@acme.test")
    assert queue_probation_notices(store, NOW) == 1
