"""What admins are told of their policy, as a message."""

from __future__ import annotations

from datetime import UTC

from gateway.core.notice import Rendered
from gateway.core.policy_notice import PolicyNotice
from gateway.core.tokens import Tokens
from gateway.notify.admin_mail import compose_for_admin, dead, described, local, zone_of
from gateway.notify.context import Context
from gateway.notify.headers import one_line
from gateway.notify.render import Templates

_NOTE_CHARS = 200
_PROBLEM_CHARS = 300


def compose_policy_notice(notice: PolicyNotice, *, tokens: Tokens, templates: Templates) -> Rendered:
    """The message, unsigned. Raises InvalidInput for an address that cannot be written as it stands, or a bad template."""
    return compose_for_admin(notice.kind, notice, _context(notice), tokens=tokens, templates=templates)


def _context(notice: PolicyNotice) -> Context:
    zone = zone_of(notice.timezone)
    return {
        "company": one_line(notice.company_name),
        "account": one_line(notice.account),
        "author": dead(notice.author, _NOTE_CHARS),
        "note": dead(notice.note, _NOTE_CHARS),
        "at": local(notice.at, zone),
        "since": f"{notice.at.astimezone(UTC):%Y-%m-%dT%H:%MZ}",
        "version": notice.version,
        "before": notice.before,
        "total": notice.total,
        "lines": [[*described(w, zone), w.message_id] for w in notice.waiting],
        "more": notice.total - len(notice.waiting),
        "problems": [one_line(p, _PROBLEM_CHARS) for p in notice.problems],
        "timezone": one_line(zone.key),
    }
