"""A new version's first day, and a candidate beside the live policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from gateway.core.clock import new_id
from gateway.store.tables import Account, PolicyCandidate
from gateway.store.tables.columns import columns
from tests.scenarios.test_replay import go_live
from tests.servers.inprocess import Client, Gateway, numbered

IGNORE = "rules: [{name: all, then: [ignore]}]"
REFUSE = 'rules: [{name: all, then: [{reject: "not here"}]}]'
QUARANTINE = "rules: [{name: all, then: [quarantine]}]"
A_DAY_LATER = datetime.now(UTC) + timedelta(hours=25)


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


async def test_what_a_new_version_tickets_otherwise_is_ticketed(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "rules: [{name: all, then: [{route: finance}]}]")
    await client.mail(numbered(1))
    assert gateway.messages()[0]["disposition"] == "ticketed"


async def shadow(gateway: Gateway, text: str) -> None:
    account, candidate = gateway.account_id(), new_id()
    with gateway.ground.store.write() as connection:
        row = {"account_id": account, "id": candidate, "purpose": "shadow", "text": text, "created_at": A_DAY_LATER}
        connection.execute(PolicyCandidate.__table__.insert().values(note="", author="", result="", **row))  # type: ignore[attr-defined]
        connection.execute(update(Account).where(columns(Account).id == account).values(shadow_id=candidate))
    gateway.line.directory._by_domain.clear()


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
