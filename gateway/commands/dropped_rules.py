"""Rules that team managers published, and that a whole document, written from an older one, would do away with."""

from __future__ import annotations

from gateway.policy.document import PolicyDocument
from gateway.policy.loader import load_published
from gateway.store.engine import Store
from gateway.store.policies import policy_text, versions_of_managers


def dropped(store: Store, account_id: str, document: PolicyDocument, live: int, *, since: int = -1) -> tuple[str, ...]:
    """The rules of teams in the version `live` that a manager of theirs once published, and that do not stand in `document`
    as they are. Whole documents that have them, published later, make them nobody else's.

    `since`: a version that `document` was held against before; only what managers brought in behind it is told then.
    Raises StoreUnavailable.
    """
    past = _Past(store, account_id)
    missing = [
        (team, name, rule)
        for team in past.document(live).teams
        for name, rule in past.document(live).named_rules(team)
        if rule not in _rules(document, team)
    ]
    if not missing or since == live:
        return ()
    managers = versions_of_managers(store, account_id)

    def is_lost(team: str, rule: object) -> bool:
        begun = next((v for v, of in managers if of == team and v <= live and past.began_in(v, team, rule)), None)
        return begun is not None and (begun > since or rule not in past.rules(since, team))

    return tuple(name for team, name, rule in missing if is_lost(team, rule))


class _Past:
    """Published documents, each read once."""

    def __init__(self, store: Store, account_id: str) -> None:
        self._store, self._account_id = store, account_id
        self._read: dict[int, PolicyDocument] = {}

    def document(self, version: int) -> PolicyDocument:
        if version not in self._read:
            self._read[version] = load_published(policy_text(self._store, self._account_id, version))
        return self._read[version]

    def rules(self, version: int, team: str) -> tuple[object, ...]:
        return _rules(self.document(version), team)

    def began_in(self, version: int, team: str, rule: object) -> bool:
        """That version has it, and the one before had not."""
        return rule in self.rules(version, team) and rule not in self.rules(version - 1, team)


def _rules(document: PolicyDocument, team: str) -> tuple[object, ...]:
    return document.teams[team].rules if team in document.teams else ()
