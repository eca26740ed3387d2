"""What we remember that a decision may need: the contact, the tickets this may belong to, the mail it may report on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from gateway.core.addresses import BadAddress, canonical, parse_addr_spec
from gateway.core.clock import now
from gateway.core.envelope import Envelope
from gateway.core.forwarder import Challenge
from gateway.core.message import ParsedMessage
from gateway.core.place import Candidate, Contact, Context, Evidence, Place
from gateway.core.tokens import AnswerToken, Tokens
from gateway.parse import parse
from gateway.store.challenge_marks import Marks, marks_of
from gateway.store.engine import Store
from gateway.store.forwarders import challenge_of
from gateway.store.group_state import closed_since
from gateway.store.keys import RECEIPT_AGE, receipt_key
from gateway.store.tables import (
    Agent,
    ChallengeRow,
    ContactRow,
    Deferral,
    Outbox,
    Participant,
    Receipt,
    Team,
    Ticket,
)
from gateway.store.tables.columns import columns

_REFERENCES_LOOKED_AT = 50
_ADDRESSES_LOOKED_AT = 200
_TICKETS_LOOKED_AT = 50
"""Of the author's tickets the newest so many may be joined: somebody with thousands of them costs no more than anybody."""

_IN_WORK = ("open", "pending")

_c = columns(ContactRow)
_t = columns(Ticket)
_p = columns(Participant)
_a = columns(Agent)
_o = columns(Outbox)
_d = columns(Deferral)
_r = columns(Receipt)
_team = columns(Team)
_q = columns(ChallengeRow)

# built once: to build a statement costs more than to run it
_CONTACT = select(_c.id, _c.address, _c.name, _c.language, _c.company, _c.tags).where(
    _c.account_id == bindparam("account"), _c.address_key == bindparam("key")
)
_FIRST_TRIED = select(_d.first_at).where(_d.account_id == bindparam("account"), _d.key == bindparam("key"))
_NUMBERED = select(_t.id).where(_t.account_id == bindparam("account"), _t.number == bindparam("number"))
_TICKET = (
    select(
        _t.id,
        _t.number,
        _t.state,
        _t.tags,
        _t.updated_at,
        _t.closed_at,
        _team.name.label("team"),
        _a.address.label("assignee"),
    )
    .select_from(Ticket)
    .outerjoin(Team, (_team.account_id == _t.account_id) & (_team.id == _t.team_id))
    .outerjoin(Agent, (_a.account_id == _t.account_id) & (_a.id == _t.assignee_id))
    .where(_t.account_id == bindparam("account"), _t.id == bindparam("ticket"))
)
_ROLE = select(_p.role).where(
    _p.account_id == bindparam("account"), _p.ticket_id == bindparam("ticket"), _p.address_key == bindparam("key")
)

# ids sort by the time they were made in: the newest tickets of an address, however many it has
_NEWEST_OF_AUTHOR = (
    select(_p.ticket_id)
    .where(_p.account_id == bindparam("account"), _p.address_key == bindparam("key"), _p.role == "customer")
    .order_by(_p.ticket_id.desc())
    .limit(_TICKETS_LOOKED_AT)
)
_WHERE_THEY_STAND = select(_t.id, _t.state, _t.mailbox_id, _t.updated_at).where(
    _t.account_id == bindparam("account"), _t.id.in_(bindparam("tickets", expanding=True))
)
_LISTED = select(_c.address_key).where(
    _c.account_id == bindparam("account"), _c.address_key.in_(bindparam("keys", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a policy may want to be remembered beside what every message is asked: the open ticket of the author, and which of
    To and Cc are contacts.
    """

    open_ticket: bool = False
    listed: bool = False


@dataclass(frozen=True, slots=True)
class SentChallenge:
    """The text a challenge was sent with, and how often it has come back."""

    text: str
    returns: int


class Recall:
    """Reads the context of one message. Raises StoreUnavailable."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens

    def __call__(self, envelope: Envelope, message: ParsedMessage, place: Place, wanted: Wanted = Wanted()) -> Context:
        locals_ = [_local(r) for r in envelope.recipients]
        marks = marks_of(envelope, message, locals_)
        with self._store.read() as connection:
            author = canonical(message.author.address) if message.author else ""
            candidates = tuple(self._candidates(connection, place, message, author, locals_))
            if wanted.open_ticket and author and not candidates:
                candidates = tuple(_open_ticket(connection, place, author))
            return Context(
                contact=_contact(connection, place.account_id, author) if author else None,
                candidates=candidates,
                bounce_of=self._bounce_of(connection, place.account_id, locals_),
                is_own_mail=self._is_ours(place.account_id, message.message_id) or self._is_marked(place, marks),
                first_tried_at=_first_tried(connection, place.account_id, envelope),
                challenge=self._challenge(connection, place.account_id, marks) if marks else None,
                listed=_listed(connection, place.account_id, message) if wanted.listed else frozenset(),
            )

    def _is_ours(self, account_id: str, message_id: str | None) -> bool:
        return bool(message_id) and self._tokens.ticket_of_message_id(account_id, str(message_id)) is not None

    def _is_marked(self, place: Place, marks: Marks | None) -> bool:
        """A challenge of this account itself, or what comes to its reverse-path; not a text that only quotes one."""
        made = marks.proper if marks else ()
        return any(self._tokens.is_challenge_token(place.account_id, token) for token in made)

    def _challenge(self, connection: Connection, account_id: str, marks: Marks) -> Challenge | None:
        """What the message answers. A text that quotes a challenge is the challenge only while that is awaited (Exchange
        forwards as a new message); afterwards it is somebody's mail about it.
        """
        tokens = [t for t in (*marks.proper, *marks.quoted) if self._tokens.is_challenge_token(account_id, t)]
        if not tokens and not marks.words:
            return None
        named = _q.token.in_(tokens) | _q.word.in_(marks.words)
        rows = connection.execute(select(*_q).where(_q.account_id == account_id, named)).all()
        awaited = [r for r in rows if r.state in ("open", "bounced") and r.expires_at > now()]
        found = next((r for r in rows if r.token in marks.proper), None) or next(iter(awaited), None)
        return challenge_of(found) if found else None

    def sent_challenge(self, account_id: str, challenge: Challenge) -> SentChallenge:
        """Raises StoreUnavailable."""
        sent = select(_o.content).where(_o.account_id == account_id, _o.id == challenge.id)
        lesson = select(_q.lesson).where(_q.account_id == account_id, _q.id == challenge.id)
        with self._store.read() as connection:
            content = connection.execute(sent).scalar()
            returns = (connection.execute(lesson).scalar() or {}).get("returns", 0)
        return SentChallenge(parse(content).text if content else "", returns)

    def kept_before(self, envelope: Envelope, account_id: str) -> bool:
        """Whether this very transaction was answered 250 before. Raises StoreUnavailable."""
        key = receipt_key(envelope.recipients, envelope.sha256)
        oldest = now() - RECEIPT_AGE
        query = select(_r.trace_id).where(_r.account_id == account_id, _r.key == key, _r.at > oldest)
        with self._store.read() as connection:
            return connection.execute(query).scalar() is not None

    def first_tried(self, envelope: Envelope, account_id: str) -> datetime | None:
        """When this transaction was deferred for the first time, None for never. Raises StoreUnavailable."""
        with self._store.read() as connection:
            return _first_tried(connection, account_id, envelope)

    def _candidates(
        self, connection: Connection, place: Place, message: ParsedMessage, author: str, locals_: Iterable[str]
    ) -> Iterable[Candidate]:
        """By an agent's token address first, then by our Message-IDs, the newest reference first.

        A token address beside other recipients is a reader's "answer all": then the mail is for the mailbox.
        """
        tokens = [self._tokens.read_answer_local(place.account_id, local) for local in locals_]
        for token in tokens if all(tokens) else ():
            if token and (found := _by_answer_address(connection, place.account_id, token, author)):
                yield found
        seen: set[int] = set()
        for reference in reversed(message.references[-_REFERENCES_LOOKED_AT:]):
            number = self._tokens.ticket_of_message_id(place.account_id, reference)
            if number is None or number in seen:
                continue
            seen.add(number)
            ticket_id = _ticket_numbered(connection, place.account_id, number)
            if ticket_id is None:
                continue
            if found := _candidate(connection, place.account_id, ticket_id, Evidence.MESSAGE_ID, author):
                yield found

    def _bounce_of(self, connection: Connection, account_id: str, locals_: Iterable[str]) -> str | None:
        """Only where every recipient is a bounce address: beside a mailbox it is mail for the mailbox."""
        named = [self._tokens.read_bounce_local(account_id, local) for local in locals_]
        if not named or not all(named):
            return None
        known = select(_o.id).where(_o.account_id == account_id, _o.id.in_(named))
        found: str | None = connection.execute(known).scalar()
        return found


def _first_tried(connection: Connection, account_id: str, envelope: Envelope) -> datetime | None:
    key = receipt_key(envelope.recipients, envelope.sha256)
    found: datetime | None = connection.execute(_FIRST_TRIED, {"account": account_id, "key": key}).scalar()
    return found


def _local(recipient: str) -> str:
    try:
        return parse_addr_spec(recipient, lenient=True).local
    except BadAddress:
        return recipient


def _contact(connection: Connection, account_id: str, author: str) -> Contact | None:
    row = connection.execute(_CONTACT, {"account": account_id, "key": author}).first()
    if row is None:
        return None
    return Contact(row.id, row.address, row.name, row.language, row.company, tuple(row.tags))


def _listed(connection: Connection, account_id: str, message: ParsedMessage) -> frozenset[str]:
    keys = list(message.others_named())[:_ADDRESSES_LOOKED_AT]
    if not keys:
        return frozenset()
    return frozenset(connection.execute(_LISTED, {"account": account_id, "keys": keys}).scalars())


def _open_ticket(connection: Connection, place: Place, author: str) -> Iterable[Candidate]:
    """The ticket in this mailbox that the author wrote to and that something happened on last, if one is in work. Not one he
    was named on in Cc: a stranger who names a customer there would have the customer's next mail in his own ticket.
    """
    newest = connection.execute(_NEWEST_OF_AUTHOR, {"account": place.account_id, "key": author}).scalars().all()
    if not newest:
        return
    rows = connection.execute(_WHERE_THEY_STAND, {"account": place.account_id, "tickets": newest})
    in_work = [r for r in rows if r.state in _IN_WORK and r.mailbox_id == place.mailbox.id]
    if in_work:
        latest = max(in_work, key=lambda r: (r.updated_at, r.id))
        if found := _candidate(connection, place.account_id, latest.id, Evidence.OPEN_TICKET, author):
            yield found


def _ticket_numbered(connection: Connection, account_id: str, number: int) -> str | None:
    found: str | None = connection.execute(_NUMBERED, {"account": account_id, "number": number}).scalar()
    return found


def _by_answer_address(connection: Connection, account_id: str, token: AnswerToken, author: str) -> Candidate | None:
    agent = connection.execute(
        select(_a.address).where(_a.account_id == account_id, _a.number == token.agent_number, _a.removed_at.is_(None))
    ).scalar()
    ticket_id = _ticket_numbered(connection, account_id, token.ticket_number)
    if ticket_id is None:
        return None
    return _candidate(connection, account_id, ticket_id, Evidence.ANSWER_ADDRESS, author, agent)


def _candidate(
    connection: Connection, account_id: str, ticket_id: str, evidence: Evidence, author: str, agent: str | None = None
) -> Candidate | None:
    row = connection.execute(_TICKET, {"account": account_id, "ticket": ticket_id}).first()
    if row is None:
        return None
    role = None
    if author:
        role = connection.execute(_ROLE, {"account": account_id, "ticket": ticket_id, "key": author}).scalar()
    participates = role is not None
    return Candidate(
        row.id, row.number, row.state, row.team, row.assignee, evidence, participates, agent, tuple(row.tags),
        row.updated_at, closed_since(row),
    )  # fmt: skip
