"""Check, publish and roll back an account's policy. A broken document never replaces a good one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from gateway.commands.replay import Replay, replay
from gateway.core.clock import now
from gateway.core.errors import InvalidInput
from gateway.policy.document import PolicyDocument
from gateway.policy.loader import load
from gateway.policy.values import Known
from gateway.store import changes, policies
from gateway.store.engine import Store

REPLAYED = timedelta(days=7)
"""How much past mail a new version is tried on before it is live."""


class FaresWorse(InvalidInput):
    """Mail that was ticketed would get no ticket under the new version; `found` tells which. Nothing was published."""

    def __init__(self, found: Replay) -> None:
        super().__init__(
            f"{len(found.worse)} of {found.compared} messages of the last {REPLAYED.days} days were ticketed and would be "
            "refused, ignored or quarantined; nothing is published. If that is meant, publish with --yes"
        )
        self.found = found


def check(store: Store, account_id: str, text: str) -> PolicyDocument:
    """Read a policy against the teams, mailboxes and agents of the account. Raises PolicyError with every problem."""
    teams, mailboxes, agents = policies.names(store, account_id)
    return load(text, Known(teams=teams, mailboxes=mailboxes, agents=agents))


def publish(
    store: Store,
    account_id: str,
    text: str,
    *,
    note: str = "",
    author: str = "",
    agreed: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> int:
    """Make it the next immutable version and the live one; returns its number. Tried on the mail of the last days first:
    where some of it fares worse and that is `agreed` to, the version begins on probation (`policy.trial`).

    Raises PolicyError, and FaresWorse.
    """
    check(store, account_id, text)
    found = replay(store, account_id, text, now() - REPLAYED, on_progress)
    if found.worse and not agreed:
        raise FaresWorse(found)
    return changes.publish_policy(store, account_id, text, note=note, author=author, probation=bool(found.worse))


def rollback(store: Store, account_id: str, version: int, *, author: str = "") -> int:
    """Publish an old version's text anew; returns the new number. Raises UnknownThing, PolicyError when the text names
    what is not there any more.
    """
    text = policies.policy_text(store, account_id, version)
    check(store, account_id, text)
    note = f"rollback to version {version}"
    return changes.publish_policy(store, account_id, text, note=note, author=author, rolled_back_from=version)
