"""What rules wrote on a ticket stands in mail to agents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.notice import Notice, NoticeKind
from gateway.notify.context import context
from gateway.notify.render import Templates

WORDS = {"en": "Internal notes", "de": "Interne Notizen"}


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("kind", [NoticeKind.NEW_TICKET, NoticeKind.ASSIGNED, NoticeKind.CUSTOMER_ANSWERED])
def test_an_agent_reads_the_notes_of_rules(
    notice: Notice, templates: Templates, language: str, kind: NoticeKind
) -> None:
    noted = replace(notice, kind=kind, notes=("Ask <b>accounting</b>\nfirst.", "Call back."))
    page = templates.render(kind, language, context(noted))
    assert f"{WORDS[language]}\n- Ask <b>accounting</b> first.\n- Call back.\n" in page.text
    assert "<li>Ask &lt;b&gt;accounting&lt;/b&gt; first.</li>" in page.html


@pytest.mark.parametrize("language", WORDS)
def test_without_notes_nothing_is_said_of_them(notice: Notice, templates: Templates, language: str) -> None:
    page = templates.render("new-ticket", language, context(notice))
    assert WORDS[language] not in page.text + page.html


def test_a_customer_s_mail_has_no_place_for_them(notice: Notice) -> None:
    assert "notes" not in context(replace(notice, kind=NoticeKind.ACKNOWLEDGEMENT, notes=("secret",)))
