"""Mailboxes and agents that change or leave, and what the live policy still says of those that left."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gateway.commands.accounts import check_language
from gateway.commands.publish import check
from gateway.core.addresses import without_controls
from gateway.core.errors import InvalidInput
from gateway.policy.problems import PolicyError
from gateway.store import policies, removal
from gateway.store.engine import Store


def edit_agent(
    store: Store,
    account_id: str,
    address: str,
    *,
    name: str | None = None,
    language: str | None = None,
    teams: Collection[str] = (),
) -> None:
    """`teams`: all that he belongs to from now on. Raises InvalidInput, UnknownThing."""
    check_language(language)
    if name is not None and not without_controls(name).strip():
        raise InvalidInput("--name: an agent needs a name that customers can read")
    given = {"name": without_controls(name).strip() if name else None, "language": language}
    values = {k: v for k, v in given.items() if v is not None}
    removal.edit_agent(store, account_id, address, values, teams=teams)


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
