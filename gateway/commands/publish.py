"""Check, publish and roll back an account's policy. A broken document never replaces a good one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from gateway.commands.dropped_rules import dropped
from gateway.commands.losses import REPLAYED, Losses, NotAgreed
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
from gateway.store.policies import live_version

OnProgress = Callable[[int, int], None]

_ATTEMPTS = 5
"""Each takes milliseconds, and people publish by hand."""


@dataclass(frozen=True, slots=True)
class Part:
    """A text that was made of the version `of`, and lacks nothing of it but what the manager of `team` took out."""

    team: str
    of: int


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
    part: Part | None = None,
    most: int | None = None,
    on_progress: OnProgress = lambda _done, _all: None,
) -> Published:
    """Make it the next immutable version and the live one. Tried on the mail of the last days first: where some of it fares
    worse and that is `agreed` to, the version begins on probation (`policy.trial`); so it does where that of the
    same text was not over, whatever mail it is tried on this time.

    `part`: of which team's rules alone the text was made; else it is a whole document, written from an older one, and may
    lack rules that managers published. `most`: so many messages are tried, the newest. Raises PolicyError, NotAgreed, and
    PublishedMeanwhile where another version came while a `part` was tried, or time and again.
    """
    document, replayed = tried(store, account_id, text, most=most, on_progress=on_progress)

    def attempt() -> Published:
        live = part.of if part else live_version(store, account_id)
        losses = Losses(() if part else dropped(store, account_id, document, live), replayed)
        if losses and not agreed:
            raise NotAgreed(losses)
        probation = replayed is not None or policies.never_stood_its_trial(store, account_id, text)
        version = changes.publish_policy(
            store, account_id, text,
            note=note, author=author, probation=probation, team=part.team if part else "", instead_of=live,
        )  # fmt: skip
        return Published(version, losses)

    return attempt() if part else _unless_overtaken(attempt)


def tried(
    store: Store,
    account_id: str,
    text: str,
    *,
    most: int | None = None,
    on_progress: OnProgress = lambda _done, _all: None,
) -> tuple[PolicyDocument, Replay | None]:
    """Checked, and tried on the mail of the last days; None where none of that fares worse. Raises PolicyError.

    This takes its time. Whatever depends on the live version is found out behind it.
    """
    document = check(store, account_id, text)
    since = now() - REPLAYED
    since = beginning_of(store, account_id, since, most) if most else since
    found = replay(store, account_id, text, since, on_progress)
    return document, found if found.worse else None


def _unless_overtaken(attempt: Callable[[], Published]) -> Published:
    """Once more where another version was published between what was found out about the live one and its end: that one may
    have rules of a manager which nobody was asked about.
    """
    for _ in range(_ATTEMPTS - 1):
        with suppress(changes.PublishedMeanwhile):
            return attempt()
    return attempt()


def rollback(store: Store, account_id: str, version: int, *, author: str = "", agreed: bool = False) -> Published:
    """Publish an old version's text anew. Not tried on past mail, and on probation only where that text's own was not over
    when another took its place (or is not now): who goes back wants it now, and that text has judged mail before. Rules
    that teams' managers published it does away with as any document does: where that is `agreed` to.

    Raises UnknownThing, PolicyError when the text names what is not there any more, NotAgreed, and InvalidInput for the
    version that is live.
    """
    text = policies.policy_text(store, account_id, version)

    def attempt() -> Published:
        live = live_version(store, account_id)
        if version == live:  # its text anew would end its probation
            raise InvalidInput(f"version {version} is live already; name an older one to go back to")
        losses = Losses(dropped(store, account_id, check(store, account_id, text), live))
        if losses and not agreed:
            raise NotAgreed(losses, f"version {version}")
        new = changes.publish_policy(
            store, account_id, text,
            note=f"rollback to version {version}", author=author, rolled_back_from=version,
            probation=policies.never_stood_its_trial(store, account_id, text), instead_of=live,
        )  # fmt: skip
        return Published(new, losses)

    return _unless_overtaken(attempt)
