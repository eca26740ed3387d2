"""Check, publish and roll back an account's policy. A broken document never replaces a good one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.commands.dropped_rules import dropped
from gateway.commands.losses import REPLAYED, Losses, NotAgreed
from gateway.commands.replay import replay
from gateway.core.clock import now
from gateway.notify.templates_for import templates_for_agents, templates_for_customers
from gateway.policy.document import PolicyDocument
from gateway.policy.loader import load
from gateway.policy.values import Known
from gateway.store import changes, policies
from gateway.store.engine import Store
from gateway.store.history import beginning_of


@dataclass(frozen=True, slots=True)
class Published:
    """The number of a version that is live now, and what was agreed to lose by it."""

    version: int
    losses: Losses


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
) -> Published:
    """Make it the next immutable version and the live one. Tried on the mail of the last days first: where some of it fares
    worse and that is `agreed` to, the version begins on probation (`policy.trial`).

    `instead_of`: the live version that the text was made of, which lacks nothing of it but what its maker took out; `most`:
    so many messages are tried, the newest. Raises PolicyError, NotAgreed, and InvalidInput where another than `instead_of`
    is live.
    """
    losses = losses_of(store, account_id, text, whole=instead_of is None, most=most, on_progress=on_progress)
    if losses and not agreed:
        raise NotAgreed(losses)
    worse = losses.replay is not None
    version = changes.publish_policy(
        store, account_id, text, note=note, author=author, probation=worse, instead_of=instead_of
    )
    return Published(version, losses)


def losses_of(
    store: Store,
    account_id: str,
    text: str,
    *,
    whole: bool = True,
    most: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Losses:
    """Checked, and all that it would take away. Of rules only a `whole` document, written from an older one, takes any.
    Raises PolicyError.
    """
    document = check(store, account_id, text)
    rules = dropped(store, account_id, document) if whole else ()
    since = now() - REPLAYED
    since = beginning_of(store, account_id, since, most) if most else since
    found = replay(store, account_id, text, since, on_progress)
    return Losses(rules, found if found.worse else None)


def rollback(store: Store, account_id: str, version: int, *, author: str = "", agreed: bool = False) -> Published:
    """Publish an old version's text anew. Not tried on past mail, and on probation only where that version's own was not
    over when another took its place: who goes back wants it now, and that text has judged mail before. Rules that teams'
    managers published since it does away with as any document does: where that is `agreed` to.

    Raises UnknownThing, PolicyError when the text names what is not there any more, NotAgreed.
    """
    text = policies.policy_text(store, account_id, version)
    losses = Losses(dropped(store, account_id, check(store, account_id, text)))
    if losses and not agreed:
        raise NotAgreed(losses, f"version {version}")
    note = f"rollback to version {version}"
    probation = policies.never_stood_its_trial(store, account_id, version)
    new = changes.publish_policy(
        store, account_id, text, note=note, author=author, rolled_back_from=version, probation=probation
    )
    return Published(new, losses)
