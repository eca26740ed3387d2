"""Past mail through another policy: what it would have done otherwise. Nothing is sent, stored or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway.core.decision import Decision, Facts
from gateway.core.place import AgentTeams
from gateway.parse.language import detected_language
from gateway.policy.differences import Difference, differences, fares_worse
from gateway.policy.engine import Policy, compile_policy, decide
from gateway.policy.loader import load, load_published
from gateway.store.engine import Store
from gateway.store.facts import UnreadableFacts, decision_of, load_facts
from gateway.store.history import PastMessage, count_of_history, history
from gateway.store.policies import policy_text
from gateway.store.roster import load_roster

OnProgress = Callable[[int, int], None]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changed:
    """One message that the candidate decides otherwise; `worse`: it was ticketed and would not be."""

    message: PastMessage
    differences: tuple[Difference, ...]
    worse: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Messages that differ alike, the newest first."""

    differences: tuple[Difference, ...]
    messages: tuple[Changed, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """`unread` messages have no facts: they were parked before anything was known of them, or a newer release wrote them."""

    compared: int
    unread: int
    changed: tuple[Changed, ...]

    @property
    def worse(self) -> tuple[Changed, ...]:
        return tuple(c for c in self.changed if c.worse)

    def groups(self) -> list[Group]:
        """The largest first; those whose mail fares worse before all others."""
        counted = Counter(c.differences for c in self.changed)
        worse = {c.differences for c in self.changed if c.worse}
        order = sorted(counted, key=lambda d: (d not in worse, -counted[d]))
        return [Group(d, tuple(c for c in reversed(self.changed) if c.differences == d)) for d in order]


def replay(
    store: Store,
    account_id: str,
    text: str,
    since: datetime,
    on_progress: OnProgress = lambda _done, _all: None,
) -> Replay:
    """Every kept message since then through `text`, with the facts as they were; against what was decided when it came.

    What a person did since (a release, a file let go, `reprocess`) is no difference. Raises PolicyError, StoreUnavailable.
    """
    candidate = compile_policy(load(text), 0)
    teams = _agent_teams(store, account_id)
    lived = _Lived(store, account_id)
    total = count_of_history(store, account_id, since)
    changed: list[Changed] = []
    compared = unread = done = 0
    for page in history(store, account_id, since):
        for message in page:
            found = _facts_and_decision(message, teams)
            if found is None:
                unread += 1
                continue
            compared += 1
            changed += _compared(message, *found, candidate, lived)
        done += len(page)
        on_progress(done, max(total, done))
    return Replay(compared, unread, tuple(changed))


class _Lived:
    """The policies that decided then, compiled when one is needed."""

    def __init__(self, store: Store, account_id: str) -> None:
        self._store, self._account_id = store, account_id
        self._compiled: dict[int, Policy] = {}

    def __call__(self, version: int) -> Policy:
        if version not in self._compiled:
            text = policy_text(self._store, self._account_id, version)
            self._compiled[version] = compile_policy(load_published(text), version)
        return self._compiled[version]


def _agent_teams(store: Store, account_id: str) -> AgentTeams:
    """Of today: who was in which team then is not kept with each message."""
    with store.read() as connection:
        return load_roster(connection, account_id).agent_teams()


def _facts_and_decision(message: PastMessage, teams: AgentTeams) -> tuple[Facts, Decision] | None:
    if message.facts is None or message.decision is None:
        return None
    try:
        facts, decision = load_facts(message.facts), decision_of(message.decision)
    except UnreadableFacts:
        return None
    return replace(facts, place=replace(facts.place, agent_teams=teams)), decision


def as_asked(facts: Facts, candidate: Policy) -> Facts:
    """With the language of the words, where the candidate asks and nobody did when the message came."""
    if not candidate.asks_language or facts.detected_language:
        return facts
    return replace(facts, detected_language=detected_language(facts.message))


def _compared(
    message: PastMessage, facts: Facts, before: Decision, candidate: Policy, lived: _Lived
) -> Iterator[Changed]:
    after = decide(as_asked(facts, candidate), candidate)
    found = differences(before, after)
    if not found:
        return
    # as that policy alone would have it: a person may have let the message or a file go, or sent it through again with nobody
    # told, and what came of that is not the rules'
    before = decide(facts, lived(before.policy_version))
    found = differences(before, after)
    if found:
        yield Changed(message, found, fares_worse(before, after))


def json_of(found: Replay, most: int | None = None) -> Json:
    """As it is shown and answered: groups with their messages, at most so many in each."""
    return {
        "compared": found.compared,
        "unread": found.unread,
        "changed": len(found.changed),
        "worse": len(found.worse),
        "groups": [_group(group, most) for group in found.groups()],
    }


def _group(group: Group, most: int | None) -> Json:
    return {
        "count": len(group.messages),
        "worse": group.messages[0].worse,
        "differences": [{"what": d.what, "before": d.before, "after": d.after} for d in group.differences],
        "messages": [_message(changed) for changed in group.messages[:most]],
    }


def _message(changed: Changed) -> Json:
    message = changed.message
    return {
        "message": message.id,
        "trace": message.trace,
        "received_at": message.received_at.isoformat().replace("+00:00", "Z"),
        "author": message.author,
        "subject": message.subject,
    }
