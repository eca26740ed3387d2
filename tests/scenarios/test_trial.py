"""A new version's first day, and a candidate beside the live policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import delete, update

from gateway.commands.open_message import open_message
from gateway.commands.publish import publish, rollback
from gateway.commands.release import release
from gateway.commands.reprocess import reprocess
from gateway.commands.schedule import publish_due, schedule
from gateway.core.errors import InvalidInput, StoreUnavailable
from gateway.core.outcome import Accepted
from gateway.store.candidates import start_shadow
from gateway.store.tables import MessageRow, PolicyVersion
from gateway.store.tables.columns import columns
from tests.scenarios.test_replay import go_live
from tests.servers.inprocess import Client, Gateway, numbered

_v = columns(PolicyVersion)

IGNORE = "rules: [{name: all, then: [ignore]}]"
REFUSE = 'rules: [{name: all, then: [{reject: "not here"}]}]'
QUARANTINE = "rules: [{name: all, then: [quarantine]}]"
A_DAY_LATER = datetime.now(UTC) + timedelta(hours=36)  # a day behind any of these tests, however slow the run


@pytest.mark.parametrize(("text", "would_be"), [(IGNORE, "ignored"), (REFUSE, "refused"), (QUARANTINE, "quarantined")])
async def test_what_a_new_version_would_not_ticket_waits_where_the_one_before_did(
    gateway: Gateway, client: Client, text: str, would_be: str
) -> None:
    await client.mail(numbered("ticketed"))
    await go_live(gateway, text)
    reply = await client.mail(numbered(1))
    message = gateway.messages()[0]
    assert (reply.code, message["disposition"], message["reason"]) == (250, "quarantined", "probation")
    decided = next(e for e in gateway.trace(reply.trace)["events"] if e["stage"] == "decide")
    assert f"version 1 is new, and would have {would_be} what version 0 ticketed" in decided["detail"]["text"]


async def test_what_the_version_before_did_not_ticket_either_is_decided_as_it_says(
    gateway: Gateway, client: Client
) -> None:
    await client.mail(numbered("ticketed"))
    await go_live(gateway, IGNORE)
    await client.mail(numbered(1))
    assert gateway.messages()[0]["reason"] == "probation"
    published(gateway, 1, datetime.now(UTC) - timedelta(hours=25))
    await go_live(gateway, REFUSE)
    assert (await client.mail(numbered(2))).code == 550


async def test_a_rule_about_mail_that_never_came_takes_effect_at_once(gateway: Gateway, client: Client) -> None:
    await client.mail(numbered("ticketed"))
    await go_live(gateway, "block: [{subject: {contains: casino}}]")
    assert (await client.mail(numbered("casino"))).code == 550


async def test_agreeing_beforehand_is_no_way_around_probation(gateway: Gateway, client: Client) -> None:
    await client.mail(numbered("ticketed"))
    await go_live(gateway, REFUSE, agreed=True)
    assert (await client.mail(numbered(1))).code == 250


async def test_after_a_day_the_version_has_its_way(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.mail(numbered("ticketed"))
    await go_live(gateway, REFUSE)
    monkeypatch.setattr("gateway.line.now", lambda: A_DAY_LATER)
    assert (await client.mail(numbered(1))).code == 550


@pytest.mark.parametrize("again", [IGNORE.replace("all", "every"), REFUSE])
async def test_a_bad_version_touched_up_on_its_first_day_is_no_way_around_probation(
    gateway: Gateway, client: Client, again: str
) -> None:
    await client.mail(numbered("ticketed"))
    await go_live(gateway, IGNORE)
    await go_live(gateway, again)
    assert (await client.mail(numbered(1))).code == 250
    assert gateway.messages()[0]["reason"] == "probation"


async def test_a_version_that_had_its_day_is_what_the_next_is_held_against(gateway: Gateway, client: Client) -> None:
    await client.mail(numbered("ticketed"))
    await go_live(gateway, IGNORE)
    published(gateway, 1, datetime.now(UTC) - timedelta(hours=25))
    await go_live(gateway, IGNORE.replace("all", "every"))
    await client.mail(numbered(1))
    assert gateway.messages()[0]["disposition"] == "ignored"


@pytest.mark.parametrize("text", [IGNORE, REFUSE, QUARANTINE, "accept: {messages: answers}"])
async def test_what_waits_on_probation_can_be_released_whatever_the_new_version_would_do(
    gateway: Gateway, client: Client, text: str
) -> None:
    await client.mail(numbered("ticketed"))
    await go_live(gateway, text)
    await client.mail(numbered(1))
    waiting = gateway.messages()[0]
    assert waiting["reason"] == "probation"
    outcome = await release(gateway.line, gateway.account_id(), waiting["id"])
    assert isinstance(outcome, Accepted)
    assert outcome.ticket == 2


def published(gateway: Gateway, version: int, at: datetime) -> None:
    with gateway.ground.store.write() as connection:
        connection.execute(update(PolicyVersion).where(_v.version == version).values(created_at=at))


async def test_what_a_new_version_tickets_otherwise_is_ticketed(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "rules: [{name: all, then: [{route: finance}]}]")
    await client.mail(numbered(1))
    assert gateway.messages()[0]["disposition"] == "ticketed"


async def shadow(gateway: Gateway, text: str) -> None:
    start_shadow(gateway.ground.store, gateway.account_id(), text)
    await gateway.line.store_pool(gateway.line.directory.refresh)


async def test_a_candidate_in_the_shadow_says_what_it_would_do_and_does_nothing(
    gateway: Gateway, client: Client
) -> None:
    await shadow(gateway, REFUSE)
    reply = await client.mail(numbered(1))
    assert (reply.code, gateway.messages()[0]["disposition"]) == (250, "ticketed")
    event = next(e for e in gateway.trace(reply.trace)["events"] if e["stage"] == "shadow")
    assert (event["outcome"], event["detail"]["differences"][0]) == (
        "differs",
        {"what": "message", "before": "a new ticket", "after": "refused (rejected-by-rule)"},
    )


async def test_a_candidate_that_agrees_says_nothing(gateway: Gateway, client: Client) -> None:
    await shadow(gateway, "")
    reply = await client.mail(numbered(1))
    assert "shadow" not in {e["stage"] for e in gateway.trace(reply.trace)["events"]}


def asked(outcome: str) -> float:
    return REGISTRY.get_sample_value("gateway_shadow_total", {"outcome": outcome}) or 0


async def test_what_a_candidate_says_is_counted_by_outcome(gateway: Gateway, client: Client) -> None:
    before = [asked(o) for o in ("same", "differs", "broken")]
    await shadow(gateway, IGNORE)
    await client.mail(numbered(1))
    assert [asked(o) for o in ("same", "differs", "broken")] == [before[0], before[1] + 1, before[2]]


@pytest.mark.parametrize("text", ["rules: 7", "rules: [{name: x, then: [{route: nowhere-now}]}]\n\tx", "\x00"])
async def test_a_candidate_that_cannot_be_loaded_leaves_live_mail_alone(
    gateway: Gateway, client: Client, text: str
) -> None:
    """As after a change of release, or a row that was damaged: `shadow start` would not take it."""
    await shadow(gateway, text)
    for n in range(2):
        reply = await client.mail(numbered(n))
        assert (reply.code, gateway.messages()[0]["disposition"]) == (250, "ticketed")
        event = next(e for e in gateway.trace(reply.trace)["events"] if e["stage"] == "shadow")
        assert event["outcome"] == "broken"
        assert event["detail"]["text"].startswith("PolicyError: line ")


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), MemoryError(), StoreUnavailable("gone"), ZeroDivisionError()]
)
async def test_a_candidate_that_crashes_leaves_live_mail_alone(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def crash(*_arguments: object) -> None:
        raise error

    await shadow(gateway, REFUSE)
    monkeypatch.setattr(gateway.line.policies, "candidate", crash)
    reply = await client.mail(numbered(1))
    assert (reply.code, gateway.messages()[0]["disposition"]) == (250, "ticketed")
    event = next(e for e in gateway.trace(reply.trace)["events"] if e["stage"] == "shadow")
    assert (event["outcome"], event["detail"]["text"]) == ("broken", f"{type(error).__name__}: {error}")


# --- what a bad version did is brought back ---


async def test_what_a_bad_version_held_back_and_ignored_is_brought_back(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, account, began = gateway.ground.store, gateway.account_id(), datetime.now(UTC)
    good = await go_live(gateway, "rules: [{name: all, then: [{tag: [x]}]}]")
    await client.mail(numbered("ticketed"))
    await go_live(gateway, IGNORE)
    await client.mail(numbered("held"))
    with monkeypatch.context() as later:
        later.setattr("gateway.line.now", lambda: A_DAY_LATER)
        for name in ("lost", "wanted"):
            await client.mail(numbered(name))
    kept = {m["subject"]: m for m in gateway.messages()}
    assert {s: m["disposition"] for s, m in kept.items()} == {
        "Pump ticketed": "ticketed", "Pump held": "quarantined", "Pump lost": "ignored", "Pump wanted": "ignored",
    }  # fmt: skip

    opened = await open_message(gateway.line, account, kept["Pump wanted"]["id"])  # while the bad version is live still
    assert isinstance(opened, Accepted)
    assert opened.ticket == 2

    assert rollback(store, account, good).version == 3
    await gateway.line.store_pool(gateway.line.directory.refresh)
    done = await reprocess(gateway.line, account, began)
    assert [(c.message.subject, c.after, c.done, c.ticket) for c in done] == [
        ("Pump held", "ticketed", True, 3), ("Pump lost", "ticketed", True, 4),
    ]  # fmt: skip
    assert {m["disposition"] for m in gateway.messages()} == {"ticketed"}


async def test_going_back_to_a_version_that_never_stood_its_trial_is_no_way_around_it(
    gateway: Gateway, client: Client
) -> None:
    await client.mail(numbered("ticketed"))
    await go_live(gateway, IGNORE)
    await go_live(gateway, "")
    rollback(gateway.ground.store, gateway.account_id(), 1)
    await gateway.line.store_pool(gateway.line.directory.refresh)
    await client.mail(numbered(1))
    assert gateway.messages()[0]["reason"] == "probation"


async def test_going_back_to_the_live_version_was_a_way_around_its_trial(gateway: Gateway, client: Client) -> None:
    await client.mail(numbered("ticketed"))
    await go_live(gateway, IGNORE)
    with pytest.raises(InvalidInput, match="version 1 is live already; name an older one"):
        rollback(gateway.ground.store, gateway.account_id(), 1)
    await client.mail(numbered(1))
    assert gateway.messages()[0]["reason"] == "probation"


async def test_publishing_the_live_text_again_ended_its_trial(gateway: Gateway, client: Client) -> None:
    store, account = gateway.ground.store, gateway.account_id()
    await fared_worse_and_then_waited(gateway, client)
    assert publish(store, account, IGNORE, agreed=True, most=3).version == 2
    await gateway.line.store_pool(gateway.line.directory.refresh)
    await client.mail(numbered("last"))
    assert gateway.messages()[0]["reason"] == "probation"


async def test_the_live_text_that_was_due_again_ended_its_trial(gateway: Gateway, client: Client) -> None:
    store, account = gateway.ground.store, gateway.account_id()
    await fared_worse_and_then_waited(gateway, client)
    schedule(store, account, IGNORE, datetime.now(UTC) + timedelta(hours=1), agreed=True)
    with store.write() as connection:  # what fared worse is gone by then
        connection.execute(delete(MessageRow).where(columns(MessageRow).disposition == "ticketed"))
    (said,) = publish_due(store, datetime.now(UTC) + timedelta(hours=1))
    assert said.endswith("published as version 2; on probation: that of this text was not over")
    await gateway.line.store_pool(gateway.line.directory.refresh)
    await client.mail(numbered("last"))
    assert gateway.messages()[0]["reason"] == "probation"


async def fared_worse_and_then_waited(gateway: Gateway, client: Client) -> None:
    """Of the newest messages none would fare worse under the version that is live."""
    await client.mail(numbered("ticketed"))
    await go_live(gateway, IGNORE)
    for n in range(3):
        await client.mail(numbered(n))


@pytest.mark.parametrize("between", [[], [""]])
async def test_going_back_to_the_same_text_of_a_time_without_mail_was_a_way_around_the_trial(
    gateway: Gateway, client: Client, between: list[str]
) -> None:
    await go_live(gateway, IGNORE)  # nothing came yet that could fare worse
    await go_live(gateway, "")
    await client.mail(numbered("ticketed"))
    for text in (IGNORE, *between):
        await go_live(gateway, text)
    rollback(gateway.ground.store, gateway.account_id(), 1)
    await gateway.line.store_pool(gateway.line.directory.refresh)
    await client.mail(numbered(1))
    assert gateway.messages()[0]["reason"] == "probation"


async def test_going_back_to_a_text_that_stood_its_trial_begins_none(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.mail(numbered("ticketed"))
    await go_live(gateway, IGNORE)
    published(gateway, 1, datetime.now(UTC) - timedelta(hours=25))
    await go_live(gateway, "")
    rollback(gateway.ground.store, gateway.account_id(), 1)
    await gateway.line.store_pool(gateway.line.directory.refresh)
    await client.mail(numbered(1))
    assert gateway.messages()[0]["disposition"] == "ignored"
