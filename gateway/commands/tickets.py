"""What people do to tickets; what they type is checked here, with the cure named."""

from __future__ import annotations

from gateway.commands.typed import typed_address
from gateway.core.addresses import without_controls
from gateway.core.errors import InvalidInput
from gateway.store import ticket_changes
from gateway.store.engine import Store
from gateway.store.ticket_changes import NewTicket

NOTE_CHARACTERS = 64_000
SUBJECT_CHARACTERS = 255


def assign(store: Store, account_id: str, number: int, *, agent: str | None, team: str | None, by: str) -> bool:
    """To an agent, who is told, or unassigned to a team. False when it was so before. Raises InvalidInput."""
    if agent is None and team is None:
        raise InvalidInput("say to whom: an agent's address, or --team TEAM for all of a team")
    return ticket_changes.assign_ticket(store, account_id, number, agent=agent, team=team, by=by)


def take(store: Store, account_id: str, number: int, *, agent: str) -> bool:
    """The agent takes it and need not be told so. False when they had it. Raises InvalidInput."""
    return ticket_changes.assign_ticket(store, account_id, number, agent=agent, team=None, by=agent, tell=False)


def note(store: Store, account_id: str, number: int, text: str, *, by: str) -> None:
    """Raises InvalidInput, UnknownThing."""
    text = text.strip()
    if not text:
        raise InvalidInput("the note is empty; write what colleagues should know")
    if len(text) > NOTE_CHARACTERS:
        raise InvalidInput(f"the note has {len(text)} characters; at most {NOTE_CHARACTERS} are kept")
    ticket_changes.note_ticket(store, account_id, number, text, by=by)


def open_ticket(store: Store, account_id: str, new: NewTicket, *, by: str) -> int:
    """Returns the number. Raises InvalidInput, UnknownThing."""
    subject = without_controls(new.subject).strip()
    if not subject:
        raise InvalidInput("--subject: a ticket needs a subject")
    if len(subject) > SUBJECT_CHARACTERS:
        raise InvalidInput(f"--subject: {len(subject)} characters; at most {SUBJECT_CHARACTERS}")
    participant = typed_address(new.participant)
    name = without_controls(new.name).strip()
    checked = NewTicket(new.mailbox.strip(), participant, subject, name)
    return ticket_changes.open_ticket(store, account_id, checked, by=by)
