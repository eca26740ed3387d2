"""Published policies, read back."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.core.clock import now
from gateway.core.errors import UnknownThing
from gateway.store.engine import Store
from gateway.store.tables import Account, Agent, Domain, MailboxRow, PolicyCandidate, PolicyVersion, Team
from gateway.store.tables.columns import columns

_v, _c, _a = columns(PolicyVersion), columns(PolicyCandidate), columns(Account)
_t, _b, _g, _d = columns(Team), columns(MailboxRow), columns(Agent), columns(Domain)

NOTED = "rules of team "
"""So begins the note of a version by which a manager published rules; then the team's name, a colon, and his own note."""

PROBATION = timedelta(hours=24)
"""How long mail that a new version would not ticket, and the one before would have, waits for a person instead. Only for
versions that past mail fared worse under: a rule about mail that never came takes nobody's ticket away.
"""


def policy_text(store: Store, account_id: str, version: int) -> str:
    """The text of a version; version 0 is the empty document every account begins with. Raises UnknownThing."""
    if version == 0:
        return ""
    with store.read() as connection:
        found = connection.execute(select(_v.text).where(_v.account_id == account_id, _v.version == version)).scalar()
    if found is None:
        raise UnknownThing(
            f"there is no policy version {version} in this account; `gateway policy versions` lists them"
        )
    return str(found)


@dataclass(frozen=True, slots=True)
class Probation:
    """Since when a version is on probation, and the one it is held against. `begun`: when the first of the versions was
    published that took each other's place on their first day, and are all held against `before`.
    """

    since: datetime
    before: int
    begun: datetime


def probation_of(store: Store, account_id: str, version: int) -> Probation | None:
    """As `probation_in`, in a view of its own."""
    with store.read() as connection:
        return probation_in(connection, account_id, version)


def probation_in(connection: Connection, account_id: str, version: int) -> Probation | None:
    """None for a version that past mail fared no worse under.

    One that took the place of another on probation is held against what that one is held against: a word mended on a bad
    version's first day would else make it the good one.
    """
    mine = (_v.account_id == account_id, _v.version <= version)
    query = select(_v.version, _v.created_at, _v.probation).where(*mine).order_by(_v.version.desc())
    since: datetime | None = None
    until: datetime | None = None
    for row in connection.execute(query):
        if not row.probation or (until is not None and row.created_at + PROBATION <= until):
            return Probation(since, row.version, until) if since and until else None
        since, until = since or row.created_at, row.created_at
    return Probation(since, 0, until) if since and until else None


def never_stood_its_trial(store: Store, account_id: str, text: str) -> bool:
    """When this text was live last it was on probation, and that was not over when another version took its place, or is
    not over now.
    """
    same = select(func.max(_v.version)).where(_v.account_id == account_id, _v.text == text).scalar_subquery()
    query = select(_v.probation, _v.created_at).where(_v.account_id == account_id, _v.version >= same)
    with store.read() as connection:
        rows = connection.execute(query.order_by(_v.version).limit(2)).all()
    if not rows or not rows[0].probation:
        return False
    replaced = rows[1].created_at if len(rows) > 1 else now()
    return bool(replaced < rows[0].created_at + PROBATION)


def candidate_text(store: Store, account_id: str, candidate_id: str) -> str:
    """The text of a policy that is not live. Raises UnknownThing."""
    with store.read() as connection:
        found = connection.execute(select(_c.text).where(_c.account_id == account_id, _c.id == candidate_id)).scalar()
    if found is None:
        raise UnknownThing(f"there is no candidate {candidate_id} in this account")
    return str(found)


def live_version(store: Store, account_id: str) -> int:
    with store.read() as connection:
        return int(connection.execute(select(_a.policy_version).where(_a.id == account_id)).scalar() or 0)


def versions_of_managers(store: Store, account_id: str) -> list[tuple[int, str]]:
    """Versions by which managers published their team's rules, the newest first, each with the team's name."""
    perhaps_theirs = (_v.account_id == account_id, _v.team.is_distinct_from(""))
    query = select(_v.version, _v.team, _v.note).where(*perhaps_theirs).order_by(_v.version.desc())
    with store.read() as connection:
        rows = connection.execute(query).all()
    told = ((row.version, _team_in(row.note) if row.team is None else row.team) for row in rows)
    return [(version, team) for version, team in told if team]


def _team_in(note: str) -> str:
    """Whose rules the release before published, which may still run beside this one, and writes it nowhere else; empty for
    a whole document. No team's name has a colon.
    """
    return note.removeprefix(NOTED).partition(": ")[0] if note.startswith(NOTED) else ""


def version_at(store: Store, account_id: str, moment: datetime) -> int:
    """The version that was live at a moment; 0 before the first."""
    then = (_v.account_id == account_id, _v.created_at <= moment)
    with store.read() as connection:
        return int(connection.execute(select(func.max(_v.version)).where(*then)).scalar() or 0)


def versions(store: Store, account_id: str) -> list[dict[str, Any]]:
    """Every version, newest first."""
    live = live_version(store, account_id)
    with store.read() as connection:
        rows = connection.execute(select(*_v).where(_v.account_id == account_id).order_by(_v.version.desc())).all()
    return [
        {
            "version": r.version,
            "live": r.version == live,
            "author": r.author,
            "note": r.note,
            "probation": r.probation,
            "rolled_back_from": r.rolled_back_from,
            "created_at": r.created_at.isoformat().replace("+00:00", "Z"),
        }
        for r in rows
    ]


def diff(store: Store, account_id: str, first: int, second: int) -> str:
    """What changed from one version to another, as a unified diff; empty where nothing did. Raises UnknownThing."""
    before, after = (policy_text(store, account_id, version).splitlines() for version in (first, second))
    lines = difflib.unified_diff(before, after, f"version {first}", f"version {second}", lineterm="")
    return "\n".join(lines)


def names(store: Store, account_id: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Teams, mailboxes' addresses and agents' addresses of an account: what a policy may name."""
    with store.read() as connection:
        teams = connection.execute(select(_t.name).where(_t.account_id == account_id)).scalars()
        mailboxes = connection.execute(
            select(_b.address_key).where(_b.account_id == account_id, _b.removed_at.is_(None))
        ).scalars()
        agents = connection.execute(
            select(_g.address_key).where(_g.account_id == account_id, _g.removed_at.is_(None))
        ).scalars()
        return frozenset(teams), frozenset(mailboxes), frozenset(agents)


def gateway_domains(store: Store) -> frozenset[str]:
    """Domains of any account whose mail comes to this gateway."""
    with store.read() as connection:
        return frozenset(connection.execute(select(_d.domain)).scalars())
