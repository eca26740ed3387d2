"""What a template may see: plain values only, washed and cut, so that no template can reach an object or be flooded."""

from __future__ import annotations

from gateway.core.message import Address
from gateway.core.notice import Notice
from gateway.core.reports import Sender
from gateway.notify.headers import one_line

Value = str | int | bool | list[str] | list[list[str]]
Context = dict[str, Value]

_TEXT_CHARS = 16_000
"""Escaped for HTML five times as long at worst: still well below what `render` lets out."""
_ATTACHMENTS = 50
_NAME_CHARS = 120
_NOTES = 20
_NOTE_CHARS = 2000


def context(notice: Notice) -> Context:
    """The values for `notice`. A mail to a customer gets nothing that a stranger wrote: not even an account's own
    template can make the gateway carry somebody's advertisement to the address he put into From.
    """
    company: Context = {
        "company": one_line(notice.company_name),
        "mailbox_name": one_line(notice.mailbox.name),
        "mailbox_address": one_line(notice.mailbox.address),
        "ticket": one_line(f"{notice.mailbox.name} #{notice.ticket_label}"),
        "ticket_label": one_line(notice.ticket_label),
        "ticket_number": notice.ticket_number,
    }
    return company if notice.kind.to_customer else company | _for_agents(notice)


def _for_agents(notice: Notice) -> Context:
    text = notice.text[:_TEXT_CHARS].strip()
    files = notice.attachments[:_ATTACHMENTS]
    return {
        "subject": one_line(notice.ticket_subject),
        "state": one_line(notice.ticket_state),
        "priority": one_line(notice.ticket_priority),
        "team": one_line(notice.team),
        "assignee": one_line(notice.assignee),
        "author": shown(notice.author),
        "author_name": _name(notice.author),
        "author_address": one_line(notice.author.address, 600) if notice.author else "",
        "verified": notice.sender == Sender.VERIFIED,
        "sender": one_line(notice.sender),
        "sender_reason": one_line(notice.sender_reason, 400),
        "told_by": one_line(notice.told_by),
        "told_from": one_line(notice.told_from, 600),
        "text_lines": [_visible(line) for line in text.splitlines()],
        "text_cut": len(notice.text) > _TEXT_CHARS,
        "attachments": [[one_line(name, _NAME_CHARS), one_line(fate, _NAME_CHARS)] for name, fate in files],
        "attachments_more": len(notice.attachments) - len(files),
        "answer_is_note": notice.agent_number is not None,
        "notes": [one_line(note, _NOTE_CHARS) for note in notice.notes[:_NOTES]],
    }


def _visible(line: str) -> str:
    """One line of what was written: its spacing and its direction marks stay, controls go with the encoding."""
    return line.rstrip()


def _name(author: Address | None) -> str:
    return one_line(author.name, _NAME_CHARS) or one_line(author.address, 600) if author else ""


def shown(author: Address | None) -> str:
    """The author with his addr-spec in every case: a display name alone proves nothing and says what it likes."""
    if author is None:
        return ""
    name, address = one_line(author.name, _NAME_CHARS), one_line(author.address, 600)
    return f"{name} <{address}>" if name else address
