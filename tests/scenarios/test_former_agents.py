"""Agents who have left: rules that still name them tell them nothing."""

from __future__ import annotations

from sqlalchemy import select

from gateway.store.removal import remove_agent
from gateway.store.tables import Outbox
from gateway.store.tables.columns import columns
from tests.scenarios.test_replay import go_live
from tests.servers.inprocess import Client, Gateway, numbered

_o = columns(Outbox)
ANN, BOB, CFO = "ann@acme.test", "bob@acme.test", "cfo@acme.test"


def leave(gateway: Gateway, address: str) -> None:
    remove_agent(gateway.ground.store, gateway.account_id(), address, agent=None, team="support", by="test")


def told(gateway: Gateway) -> set[str]:
    with gateway.ground.store.read() as connection:
        rows = connection.execute(select(_o.recipient).where(_o.kind.in_(("new-ticket", "assigned"))))
        return set(rows.scalars())


async def test_a_rule_that_still_names_an_agent_who_left_does_not_tell_him(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, f"rules: [{{then: [{{notify: [{ANN}, {CFO}]}}]}}]")
    leave(gateway, ANN)
    reply = await client.mail(numbered(1))
    assert told(gateway) == {BOB, CFO}
    (step,) = [e for e in gateway.trace(reply.trace)["events"] if e["stage"] == "notify"]
    assert ANN in str(step)
    assert CFO not in str(step)
    assert "no agent any more" in step["reason"]


async def test_notify_only_of_him_alone_leaves_the_usual_notices(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, f"rules: [{{then: [{{notify_only: [{ANN}]}}]}}]")
    leave(gateway, ANN)
    await client.mail(numbered(1))
    assert told(gateway) == {BOB}
