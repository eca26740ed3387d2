"""Which templates a rule may name, and for whom: those that can be written with what such a reader may be told."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from gateway.core.errors import InvalidInput
from gateway.core.message import Address
from gateway.core.notice import Notice, NoticeKind, NoticeMailbox
from gateway.notify.context import Context, context
from gateway.notify.folder import templates_folder
from gateway.notify.render import DEFAULT_LANGUAGE, Templates


@cache
def templates_for_agents() -> frozenset[str]:
    """Names for `notify: {template: NAME}`. Raises InvalidInput for a broken installation."""
    to_customers = {k.value for k in NoticeKind if k.to_customer}
    return _written_with(context(_sample(NoticeKind.NEW_TICKET))) - to_customers


@cache
def templates_for_customers() -> frozenset[str]:
    """Names for `acknowledge: NAME`: they are given nothing that a stranger wrote. Raises InvalidInput."""
    return _written_with(context(_sample(NoticeKind.ACKNOWLEDGEMENT)))


def _written_with(values: Context) -> frozenset[str]:
    templates = Templates(templates_folder())
    return frozenset(kind for kind in templates.kinds() if _fits(templates, kind, values))


def _fits(templates: Templates, kind: str, values: Context) -> bool:
    try:
        templates.render(kind, DEFAULT_LANGUAGE, values)
    except InvalidInput:  # it asks for what is not there
        return False
    return True


def _sample(kind: NoticeKind) -> Notice:
    return Notice(
        outbox_id="", kind=kind, language=DEFAULT_LANGUAGE, account_id="", account="acme", account_domain="acme.example",
        company_name="Acme", recipient=Address("ann@acme.example"), agent_number=None,
        mailbox=NoticeMailbox("support@acme.example", "Support", "support"), ticket_id="", ticket_number=1,
        ticket_label="1", ticket_subject="s", ticket_state="open", ticket_priority="normal", team="t", assignee="a",
        author=Address("carol@customer.example"), sender="unverified", sender_reason="r", told_by="", told_from="",
        text="t", attachments=(("a.pdf", "kept"),), thread=(), created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
