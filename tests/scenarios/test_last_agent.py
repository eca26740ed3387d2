"""`last_agent_first`: a customer comes back to the agent who knows him (U15); and whose rules run on what an agent is given."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from gateway.commands.replay import replay
from gateway.core.clock import now
from gateway.store import ticket_reading
from gateway.store.tables import Agent
from gateway.store.tables.columns import columns
from tests.scenarios.test_replay import go_live
from tests.servers.inprocess import Client, Gateway, numbered

BACK = "rules: [{name: back, then: [{assign: {team: support, strategy: round-robin, last_agent_first: true}}]}]"
TURNS = "rules: [{name: turns, then: [{assign: {team: support, strategy: round-robin}}]}]"
DAVE = numbered("dave").replace(b"carol@", b"dave@").replace(b"Carol", b"Dave")


def assignees(gateway: Gateway) -> list[str]:
    found = ticket_reading.tickets(gateway.ground.store, gateway.account_id())
    return [t["assignee"] for t in sorted(found, key=lambda t: t["number"])]


async def test_a_customer_comes_back_to_who_served_him_last(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, BACK)
    for content in (numbered(1), DAVE, numbered(2), numbered(3)):
        await client.mail(content)
    ann, bob = "ann@acme.test", "bob@acme.test"
    assert assignees(gateway) == [ann, bob, ann, ann]


async def test_without_it_turns_are_taken_whoever_writes(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, TURNS)
    for n in range(3):
        await client.mail(numbered(n))
    assert assignees(gateway) == ["ann@acme.test", "bob@acme.test", "ann@acme.test"]


@pytest.mark.parametrize("gone", ["away", "other-team"])
async def test_one_who_is_not_there_is_not_waited_for(gateway: Gateway, client: Client, gone: str) -> None:
    await go_live(gateway, BACK)
    await client.mail(numbered(1))
    if gone == "away":
        with gateway.ground.store.write() as connection:
            connection.execute(update(Agent).where(columns(Agent).address == "ann@acme.test").values(status="away"))
        gateway.line.committer._commit._rosters._known.clear()
        expected = "bob@acme.test"
    else:
        await go_live(gateway, BACK.replace("team: support", "team: finance"))
        expected = "fay@acme.test"
    await client.mail(numbered(2))
    assert assignees(gateway)[-1] == expected


ASSIGNED = """
rules: [{name: fays, then: [{assign: fay@acme.test}]}]
teams:
  support: {rules: [{name: s, then: [{tag: by-support}]}]}
  finance: {rules: [{name: f, then: [{tag: by-finance}]}]}
"""


async def test_the_rules_of_the_team_that_a_ticket_is_of_ran_on_it_and_a_replay_agrees(
    gateway: Gateway, client: Client
) -> None:
    """Given to somebody of finance it was finance's ticket, and the rules of support had seen it."""
    await go_live(gateway, ASSIGNED)
    await client.mail(numbered(1))
    (ticket,) = ticket_reading.tickets(gateway.ground.store, gateway.account_id())
    assert (ticket["team"], ticket["assignee"], ticket["tags"]) == ("finance", "fay@acme.test", ["by-finance"])
    again = replay(gateway.ground.store, gateway.account_id(), ASSIGNED, now() - timedelta(days=1))
    assert (again.compared, again.changed) == (1, ())
