"""What is kept of forwarders: learnt from a challenge that came back, forgotten when it came back twice, drifting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from ipaddress import ip_network
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, insert, select, update

from gateway.core.errors import UnknownThing
from gateway.core.forwarder import Challenge, Drift, Forwarder, Remark
from gateway.core.outcome import Reason
from gateway.core.trace import Step
from gateway.parse.confirmation import read_confirmation
from gateway.store.filing import Answered, Filing
from gateway.store.tables import ChallengeRow, Confirmation, ForwarderRow, MailboxRow
from gateway.store.tables.columns import columns

MOST = 8
"""Forwarders of one mailbox. A company that moved has two for a while; more than this is a mistake or an attack."""

CAME_TWICE = Remark(
    "came-twice",
    is_good=False,
    text="the challenge came back a second time, by another server; what the first return taught is forgotten, for one of "
    "the two may be somebody who reads the mailbox and sent it on himself",
    cure="let one server only forward this mailbox, then check again",
)
TWICE, GOOD, NOT_YET = "twice", "all-good", "not-yet"
"""Codes of remarks: it came back again by the same server; nothing is wrong; a server still tries."""

_f, _c, _b = columns(ForwarderRow), columns(ChallengeRow), columns(MailboxRow)
_forwarder: TypeAdapter[Forwarder] = TypeAdapter(Forwarder)

Json = dict[str, Any]


def forwarders_of(connection: Connection, account_id: str) -> dict[str, tuple[Forwarder, ...]]:
    """The forwarders of each mailbox of an account, by the mailbox's id, the oldest first."""
    found: defaultdict[str, list[Forwarder]] = defaultdict(list)
    query = select(_f.mailbox_id, _f.value).where(_f.account_id == account_id).order_by(_f.learnt_at, _f.id)
    for row in connection.execute(query):
        found[row.mailbox_id].append(_forwarder.validate_python(row.value, strict=False))
    return {mailbox: tuple(known) for mailbox, known in found.items()}


def challenge_of(row: Any) -> Challenge:
    """A row of `challenge` as the value that judges read."""
    return Challenge(**{name: getattr(row, name) for name in Challenge.__slots__})


def learnt_from(connection: Connection, filing: Filing, now: datetime) -> tuple[Step, ...]:
    """All that a message just kept says of forwarders, as steps of its trace; costs ordinary mail no statement."""
    if filing.answered:
        return tuple(_settle(connection, filing, now))
    if filing.reason is Reason.FORWARDING_CONFIRMATION and not filing.again:
        _keep_confirmation(connection, filing, now)
    return tuple(_drifted(connection, filing, now))


def _settle(connection: Connection, filing: Filing, now: datetime) -> list[Step]:
    """Keep what a message said of its challenge; the steps tell it in the message's trace. Under the account's row.

    One challenge teaches once, within its time, and only while its mailbox is there.
    """
    challenge = filing.facts.context.challenge if filing.facts else None
    answered = filing.answered
    if challenge is None or answered is None:
        return []
    mine = (_c.account_id == filing.account_id, _c.id == challenge.id)
    row = connection.execute(select(*_c).where(*mine)).first()
    if row is None or now > row.expires_at or not _is_there(connection, row):
        return [Step(now, "challenge", "late", "its time is over, so nothing is learnt")]
    if answered.forwarder is None:
        return _reported(connection, row, filing, answered, now)
    if row.state == "returned":
        return _again(connection, row, answered, answered.forwarder, now)
    returns = row.lesson.get("returns", 0) + 1
    if answered.why_not:
        # left open: what does not prove its way must not keep the true one from teaching
        _note(connection, row, _lesson(filing, answered, learnt=False) | {"returns": returns})
        return [Step(now, "challenge", "returned", answered.why_not, _told(answered))]
    learnt = _learn(connection, row, answered.forwarder, now)
    lesson = _lesson(filing, answered, learnt=True) | {"returns": returns}
    _note(connection, row, lesson, state="returned", settled_at=now)
    return [Step(now, "challenge", "learnt", "", _told(answered) | {"forwarder": dump(learnt)})]


def dump(forwarder: Forwarder) -> Json:
    """Plain JSON of a forwarder."""
    return dict(_forwarder.dump_python(forwarder, mode="json"))


def _is_there(connection: Connection, row: Any) -> bool:
    mine = (_b.account_id == row.account_id, _b.id == row.mailbox_id, _b.removed_at.is_(None))
    return connection.execute(select(_b.id).where(*mine)).first() is not None


def _lesson(filing: Filing, answered: Answered, *, learnt: bool) -> Json:
    remarks = [asdict(r) for r in answered.remarks]
    shown = dump(answered.forwarder) if answered.forwarder else None
    trace = filing.envelope.trace_id
    return {"learnt": learnt, "why_not": answered.why_not, "remarks": remarks, "forwarder": shown, "trace": trace}


def _told(answered: Answered) -> Json:
    return {"remarks": [r.code for r in answered.remarks]}


def _note(connection: Connection, row: Any, lesson: Json, **values: Any) -> None:
    mine = (_c.account_id == row.account_id, _c.id == row.id)
    connection.execute(update(ChallengeRow).where(*mine).values(lesson=lesson, **values))


def _reported(connection: Connection, row: Any, filing: Filing, answered: Answered, now: datetime) -> list[Step]:
    """A delivery report, or an automatic answer. Reports can be made by anybody: they never end a challenge for good."""
    over = any(not r.is_good and r.code != NOT_YET for r in answered.remarks)
    if row.state == "open" and not row.lesson.get("forwarder"):
        ended = {"state": "bounced", "settled_at": now} if over else {}
        _note(connection, row, _lesson(filing, answered, learnt=False), **ended)
    return [Step(now, "challenge", "bounced" if over else "reported", "", _told(answered))]


def _again(connection: Connection, row: Any, answered: Answered, seen: Forwarder, now: datetime) -> list[Step]:
    """It taught already. By the same server it is a copy; by another, one of the two is not the company's forwarder."""
    mine = (_f.account_id == row.account_id, _f.challenge_id == row.id)
    known = [
        _forwarder.validate_python(v, strict=False) for v in connection.execute(select(_f.value).where(*mine)).scalars()
    ]
    lesson = row.lesson | {"returns": row.lesson.get("returns", 1) + 1}
    if answered.why_not or any(is_same(k, seen) for k in known):
        told = [asdict(r) for r in answered.remarks if r.code == TWICE]
        others = [r for r in row.lesson["remarks"] if r["code"] not in (TWICE, GOOD)]
        _note(connection, row, lesson | ({"remarks": [*told, *others]} if told and not answered.why_not else {}))
        return [Step(now, "challenge", "again", answered.why_not)]
    connection.execute(delete(ForwarderRow).where(*mine))
    lesson["remarks"] = [asdict(CAME_TWICE)]
    _note(connection, row, lesson | {"learnt": False, "why_not": "it came back by two different servers"})
    detail = {"forgotten": [dump(k) for k in known], "seen": dump(seen)}
    return [Step(now, "challenge", "forgotten", CAME_TWICE.code, detail)]


def _learn(connection: Connection, row: Any, forwarder: Forwarder, now: datetime) -> Forwarder:
    """Instead of what was known of the same server, beside what is known of others."""
    mine = (_f.account_id == row.account_id, _f.mailbox_id == row.mailbox_id)
    query = select(_f.id, _f.value).where(*mine).order_by(_f.learnt_at, _f.id)
    known = [(r.id, _forwarder.validate_python(r.value, strict=False)) for r in connection.execute(query)]
    same = [id_ for id_, one in known if is_same(one, forwarder)]
    others = [id_ for id_, _ in known if id_ not in same]
    learnt = replace(forwarder, id=same[0] if same else forwarder.id)
    too_many = others[: max(0, len(others) - MOST + 1)]
    connection.execute(delete(ForwarderRow).where(*mine, _f.id.in_([*same, *too_many])))
    values = {"account_id": row.account_id, "id": learnt.id, "mailbox_id": row.mailbox_id, "challenge_id": row.id}
    connection.execute(insert(ForwarderRow).values(**values, learnt_at=now, value=dump(learnt), drifts={}))
    return learnt


def is_same(known: Forwarder, seen: Forwarder) -> bool:
    """Whether two are one server: of a provider, whose networks are shared, by the reverse-path that names the mailbox."""
    if known.provider or seen.provider:
        return (known.provider, known.reverse_path) == (seen.provider, seen.reverse_path)
    return any(_overlap(a, b) for a in known.networks for b in seen.networks)


def _overlap(one: str, other: str) -> bool:
    a, b = ip_network(one, strict=False), ip_network(other, strict=False)
    return a.version == b.version and a.overlaps(b)


def _drifted(connection: Connection, filing: Filing, now: datetime) -> list[Step]:
    """Events of what known forwarders began to do otherwise: once for each forwarder and thing, until learnt anew."""
    drifts: Sequence[Drift] = getattr(filing.facts.auth, "drifts", ()) if filing.facts else ()
    if not drifts:
        return []
    steps = []
    for forwarder_id, of_one in _by_forwarder(drifts).items():
        mine = (_f.account_id == filing.account_id, _f.id == forwarder_id)
        row = connection.execute(select(_f.value, _f.drifts).where(*mine)).first()
        fresh = [d for d in of_one if row is not None and d.what not in row.drifts]
        if row is None or not fresh:
            continue
        told = {"at": now.isoformat(), "trace": filing.envelope.trace_id}
        seen = {d.what: {"before": d.before, "after": d.after} | told for d in fresh}
        connection.execute(update(ForwarderRow).where(*mine).values(drifts=row.drifts | seen))
        about = {"forwarder": forwarder_id, "name": row.value["name"]}
        steps += [
            Step(now, "forwarder", "drift", d.what, about | {"before": d.before, "after": d.after}) for d in fresh
        ]
    return steps


def _by_forwarder(drifts: Iterable[Drift]) -> dict[str, list[Drift]]:
    found: defaultdict[str, list[Drift]] = defaultdict(list)
    for drift in drifts:
        found[drift.forwarder_id].append(drift)
    return dict(found)


def forget(connection: Connection, account_id: str, mailbox_id: str, forwarder_id: str) -> None:
    """Its mail is judged as anybody's from now on. Raises UnknownThing."""
    mine = (_f.account_id == account_id, _f.mailbox_id == mailbox_id, _f.id == forwarder_id)
    if not connection.execute(delete(ForwarderRow).where(*mine)).rowcount:
        raise UnknownThing(f"this mailbox has no forwarder {forwarder_id}; `gateway mailbox show` names those it has")


def forget_mailbox(connection: Connection, account_id: str, mailbox_id: str) -> None:
    """What was learnt of a mailbox goes with it; its challenges teach nothing any more."""
    connection.execute(delete(ForwarderRow).where(_f.account_id == account_id, _f.mailbox_id == mailbox_id))
    open_ = (_c.account_id == account_id, _c.mailbox_id == mailbox_id, _c.state.in_(("open", "bounced")))
    connection.execute(update(ChallengeRow).where(*open_).values(state="expired"))


def _keep_confirmation(connection: Connection, filing: Filing, now: datetime) -> None:
    """Google's question, for the admins. Nobody here opens its link."""
    if filing.facts is None:
        return
    asked = read_confirmation(filing.facts.message)
    values = {"account_id": filing.account_id, "mailbox_id": filing.facts.place.mailbox.id, "id": filing.message_id}
    values |= {"asked_by": asked.asked_by, "code": asked.code, "link": asked.link}
    connection.execute(insert(Confirmation).values(**values, received_at=now))
