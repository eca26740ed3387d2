"""Past mail through a candidate: what would be decided otherwise, and the guard that `publish` makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.commands.losses import NotAgreed
from gateway.commands.publish import publish
from gateway.commands.release import release
from gateway.commands.replay import Replay, replay
from gateway.commands.reprocess import reprocess
from gateway.store.policies import live_version
from tests.servers.inprocess import Client, Gateway, numbered

DAY = timedelta(days=1)


def replayed(gateway: Gateway, text: str, since: datetime | None = None) -> Replay:
    return replay(gateway.ground.store, gateway.account_id(), text, since or datetime.now(UTC) - DAY)


def told(found: Replay) -> list[tuple[int, bool, list[tuple[str, str, str]]]]:
    return [
        (len(g.messages), g.messages[0].worse, [(d.what, d.before, d.after) for d in g.differences])
        for g in found.groups()
    ]


async def go_live(gateway: Gateway, text: str, *, agreed: bool = True) -> int:
    version = publish(gateway.ground.store, gateway.account_id(), text, agreed=agreed).version
    await gateway.line.store_pool(gateway.line.directory.refresh)
    return version


async def test_a_policy_that_says_the_same_changes_nothing(gateway: Gateway, client: Client) -> None:
    for n in range(3):
        await client.mail(numbered(n))
    found = replayed(gateway, "")
    assert (found.compared, found.unread, found.changed) == (3, 0, ())


async def test_changes_are_grouped_and_counted_and_what_fares_worse_comes_first(
    gateway: Gateway, client: Client
) -> None:
    for n in range(3):
        await client.mail(numbered(n))
    await client.mail(numbered("casino"))
    found = replayed(
        gateway,
        """
        block: [{subject: {contains: casino}}]
        rules:
          - {name: all, then: [{route: finance}, {tag: [vip, new]}]}
        """,
    )
    assert told(found) == [
        (1, True, [("message", "a new ticket", "refused (blocked)")]),
        (3, False, [("team", "", "finance, unassigned"), ("tag", "", "new, vip")]),
    ]
    newest = found.groups()[1].messages[0].message
    assert (newest.subject, newest.author) == ("Pump 2", "carol@customer.test")


async def test_mail_is_judged_by_the_facts_of_its_day(gateway: Gateway, client: Client) -> None:
    """The contact that an answer made known since is not known to the first message."""
    await client.mail(numbered(1))
    found = replayed(gateway, "accept: {senders: contacts}")
    assert [c.worse for c in found.changed] == [True]


async def test_only_mail_since_the_moment_asked_for_is_replayed(gateway: Gateway, client: Client) -> None:
    await client.mail(numbered(1))
    assert replayed(gateway, "", datetime.now(UTC) + DAY).compared == 0


async def test_nothing_is_sent_or_stored(gateway: Gateway, client: Client) -> None:
    await client.mail(numbered(1))
    before = (gateway.messages(), gateway.log())
    replayed(gateway, "rules: [{name: all, then: [quarantine]}]")
    assert (gateway.messages(), gateway.log()) == before


async def test_what_a_person_let_go_is_not_said_to_fare_worse(gateway: Gateway, client: Client) -> None:
    version = await go_live(gateway, "rules: [{name: all, then: [quarantine]}]")
    reply = await client.mail(numbered(1))
    message = gateway.messages()[0]
    assert (message["disposition"], reply.code) == ("quarantined", 250)
    await release(gateway.line, gateway.account_id(), message["id"])
    assert gateway.messages()[0]["disposition"] == "ticketed"
    found = replayed(gateway, "rules: [{name: all, then: [quarantine]}]")
    assert (found.compared, found.worse, version) == (1, (), 1)


async def test_mail_sent_through_again_with_nobody_told_is_no_difference_to_the_policy_that_did_it(
    gateway: Gateway, client: Client
) -> None:
    await go_live(gateway, "rules: [{name: all, then: [ignore]}]")
    await client.mail(numbered(1))
    await go_live(gateway, "")
    await reprocess(gateway.line, gateway.account_id(), datetime.now(UTC) - DAY)
    assert gateway.messages()[0]["disposition"] == "ticketed"
    assert replayed(gateway, "").changed == ()
    assert told(replayed(gateway, "rules: [{then: [{tag: [x]}]}]")) == [(1, False, [("tag", "", "x")])]


async def test_mail_refused_alike_is_one_group_whoever_stands_in_cc(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "import_cc: all")
    for n in range(3):
        await client.mail(numbered(n, f"Cc: c{n}@customer.test"))
    assert told(replayed(gateway, "block: [{subject: {contains: pump}}]")) == [
        (3, True, [("message", "a new ticket", "refused (blocked)")])
    ]


async def test_mail_that_was_kept_unread_is_counted_apart(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(gateway.line.intake, "_recall", lambda *_: 1 / 0)
        await client.mail(numbered(1))
    found = replayed(gateway, "")
    assert (found.compared, found.unread) == (0, 1)


async def test_progress_ends_with_all_of_it(gateway: Gateway, client: Client) -> None:
    for n in range(3):
        await client.mail(numbered(n))
    steps: list[tuple[int, int]] = []
    replay(gateway.ground.store, gateway.account_id(), "", datetime.now(UTC) - DAY, lambda *step: steps.append(step))
    assert steps == [(3, 3)]


async def test_publish_refuses_what_would_take_tickets_away_until_it_is_agreed_to(
    gateway: Gateway, client: Client
) -> None:
    await client.mail(numbered(1))
    store, account = gateway.ground.store, gateway.account_id()
    with pytest.raises(NotAgreed, match="1 of 1 messages of the last 7 days") as caught:
        publish(store, account, "rules: [{name: all, then: [ignore]}]")
    assert live_version(store, account) == 0
    assert caught.value.losses.replay is not None
    assert len(caught.value.losses.replay.worse) == 1
    assert publish(store, account, "rules: [{name: all, then: [ignore]}]", agreed=True).version == 1
    assert publish(store, account, "rules: [{name: all, then: [{tag: [x]}]}]").version == 2
