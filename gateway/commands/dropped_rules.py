"""Rules that team managers published, and that a whole document, written from an older one, would do away with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gateway.policy.document import PolicyDocument
from gateway.policy.loader import load_published
from gateway.store.engine import Store
from gateway.store.policies import last_whole_version, live_version, policy_text, version_at

NOTE_OF_A_TEAM = "rules of team "
"""How the note of each version begins that a team's manager published."""


def dropped(
    store: Store, account_id: str, document: PolicyDocument, *, since: datetime | None = None
) -> tuple[str, ...]:
    """The rules that managers published behind the last whole document (and after `since`), are live, and do not stand in
    this one as they are. Raises StoreUnavailable.
    """
    live = live_version(store, account_id)
    known = last_whole_version(store, account_id, NOTE_OF_A_TEAM)
    if since is not None:
        known = max(known, version_at(store, account_id, since))
    if known >= live:
        return ()
    now, before = (load_published(policy_text(store, account_id, version)) for version in (live, known))
    return tuple(_lost(now, before, document))


def _lost(now: PolicyDocument, before: PolicyDocument, document: PolicyDocument) -> Iterator[str]:
    for team, of_team in now.teams.items():
        kept = [*_rules(before, team), *_rules(document, team)]
        named = zip(now.named_rules(team), of_team.rules, strict=True)
        yield from (name for (name, _), rule in named if rule not in kept)


def _rules(document: PolicyDocument, team: str) -> tuple[object, ...]:
    return document.teams[team].rules if team in document.teams else ()
