"""The daily digest as a message."""

from __future__ import annotations

from gateway.core.digest import KIND, Digest
from gateway.core.notice import Rendered
from gateway.core.tokens import Tokens
from gateway.notify.admin_mail import compose_for_admin, described, zone_of
from gateway.notify.context import Context
from gateway.notify.headers import one_line
from gateway.notify.render import Templates


def compose_digest(digest: Digest, *, tokens: Tokens, templates: Templates) -> Rendered:
    """The message, unsigned. Raises InvalidInput for an address that cannot be written as it stands, or a bad template."""
    return compose_for_admin(KIND, digest, _context(digest), tokens=tokens, templates=templates)


def _context(digest: Digest) -> Context:
    zone = zone_of(digest.timezone)
    return {
        "company": one_line(digest.company_name),
        "account": one_line(digest.account),
        "total": sum(n for _, n in digest.reasons),
        "reasons": [[reason, str(n)] for reason, n in digest.reasons],
        "lines": [[*described(w, zone), w.reason, w.message_id] for w in digest.waiting],
        "more": digest.more,
        "timezone": one_line(zone.key),
    }
