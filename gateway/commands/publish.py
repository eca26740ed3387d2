"""Check, publish and roll back an account's policy. A broken document never replaces a good one."""

from __future__ import annotations

from gateway.policy.document import PolicyDocument
from gateway.policy.loader import load
from gateway.policy.values import Known
from gateway.store import changes, policies
from gateway.store.engine import Store


def check(store: Store, account_id: str, text: str) -> PolicyDocument:
    """Read a policy against the teams, mailboxes and agents of the account. Raises PolicyError with every problem."""
    teams, mailboxes, agents = policies.names(store, account_id)
    return load(text, Known(teams=teams, mailboxes=mailboxes, agents=agents))


def publish(store: Store, account_id: str, text: str, *, note: str = "", author: str = "") -> int:
    """Make it the next immutable version and the live one; returns its number. Raises PolicyError."""
    check(store, account_id, text)
    return changes.publish_policy(store, account_id, text, note=note, author=author)


def rollback(store: Store, account_id: str, version: int, *, author: str = "") -> int:
    """Publish an old version's text anew; returns the new number. Raises UnknownThing, PolicyError when the text names
    what is not there any more.
    """
    text = policies.policy_text(store, account_id, version)
    check(store, account_id, text)
    note = f"rollback to version {version}"
    return changes.publish_policy(store, account_id, text, note=note, author=author, rolled_back_from=version)
