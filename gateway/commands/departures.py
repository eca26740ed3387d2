"""Mailboxes and agents that leave, and what the live policy still says of those that left."""

from __future__ import annotations

from typing import Any

from gateway.commands.publish import check
from gateway.policy.problems import PolicyError
from gateway.store import policies, removal
from gateway.store.engine import Store


def remove_agent(
    store: Store, account_id: str, address: str, *, give_to: str, by: str, dry_run: bool = False
) -> dict[str, Any]:
    """Open tickets go to `give_to`, an agent's address or a team's name; returns what moves. Raises InvalidInput."""
    agent, team = (give_to, None) if "@" in give_to else (None, give_to)
    if dry_run:
        return removal.plan_removal(store, account_id, address, agent=agent, team=team)
    return removal.remove_agent(store, account_id, address, agent=agent, team=team, by=by)


def remove_mailbox(store: Store, account_id: str, address: str) -> None:
    """Raises UnknownThing, InvalidInput."""
    removal.remove_mailbox(store, account_id, address)


def policy_problems(store: Store, account_id: str) -> list[str]:
    """What of the live policy names somebody who is not there any more: it falls through to the default team."""
    version = policies.live_version(store, account_id)
    try:
        check(store, account_id, policies.policy_text(store, account_id, version))
    except PolicyError as error:
        return [f"policy version {version}, {line}" for line in str(error).splitlines()]
    return []
