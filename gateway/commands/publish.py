"""Check, publish and roll back an account's policy. A broken document never replaces a good one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from gateway.commands.dropped_rules import DropsTeamRules, dropped
from gateway.commands.replay import Replay, replay
from gateway.core.clock import now
from gateway.core.errors import InvalidInput
from gateway.notify.templates_for import templates_for_agents, templates_for_customers
from gateway.policy.document import PolicyDocument
from gateway.policy.loader import load
from gateway.policy.values import Known
from gateway.store import changes, policies
from gateway.store.engine import Store
from gateway.store.history import beginning_of

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
    """Read a policy against the teams, mailboxes and agents of the account, and the templates there are. Raises PolicyError
    with every problem.
    """
    teams, mailboxes, agents = policies.names(store, account_id)
    known = Known(
        teams=teams,
        mailboxes=mailboxes,
        agents=agents,
        gateway_domains=policies.gateway_domains(store),
        agent_templates=templates_for_agents(),
        customer_templates=templates_for_customers(),
    )
    return load(text, known)


def publish(
    store: Store,
    account_id: str,
    text: str,
    *,
    note: str = "",
    author: str = "",
    agreed: bool = False,
    instead_of: int | None = None,
    most: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> int:
    """Make it the next immutable version and the live one; returns its number. Tried on the mail of the last days first:
    where some of it fares worse and that is `agreed` to, the version begins on probation (`policy.trial`).

    `instead_of`: the live version that the text was made of, which lacks nothing of it but what its maker took out; `most`:
    so many messages are tried, the newest. Raises PolicyError, DropsTeamRules, FaresWorse, and InvalidInput where another
    than `instead_of` is live.
    """
    if instead_of is None and not agreed:
        keep_team_rules(store, account_id, text)
    found = tried(store, account_id, text, agreed=agreed, most=most, on_progress=on_progress)
    worse = bool(found.worse)
    return changes.publish_policy(
        store, account_id, text, note=note, author=author, probation=worse, instead_of=instead_of
    )


def keep_team_rules(store: Store, account_id: str, text: str, *, since: datetime | None = None) -> None:
    """Raises DropsTeamRules where the text lacks what teams' managers published (after `since`), and PolicyError."""
    lost = dropped(store, account_id, check(store, account_id, text), since=since)
    if lost:
        raise DropsTeamRules(lost)


def tried(
    store: Store,
    account_id: str,
    text: str,
    *,
    agreed: bool = False,
    most: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Replay:
    """Checked, and tried on the mail of the last days. Raises PolicyError, and FaresWorse where that is not `agreed` to."""
    check(store, account_id, text)
    since = now() - REPLAYED
    since = beginning_of(store, account_id, since, most) if most else since
    found = replay(store, account_id, text, since, on_progress)
    if found.worse and not agreed:
        raise FaresWorse(found)
    return found


def rollback(store: Store, account_id: str, version: int, *, author: str = "") -> int:
    """Publish an old version's text anew; returns the new number. Not tried on past mail, and on probation only where that
    version's own was not over when another took its place: who goes back wants it now, and that text has judged mail
    before. Raises UnknownThing, PolicyError when the text names what is not there any more.
    """
    text = policies.policy_text(store, account_id, version)
    check(store, account_id, text)
    note = f"rollback to version {version}"
    probation = policies.never_stood_its_trial(store, account_id, version)
    return changes.publish_policy(
        store, account_id, text, note=note, author=author, rolled_back_from=version, probation=probation
    )
