"""What agents are told when a file turns out to be infected: which one, in every language, and nothing of its content."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from gateway.core.notice import Notice, NoticeKind
from gateway.notify.context import context
from gateway.notify.render import Templates
from gateway.store.late_scans import FOUND_LATER

LANGUAGES = ("en", "de", "es", "fr", "pl", "ru", "zh")


@pytest.fixture
def infected(notice: Notice) -> Notice:
    files = (("plan.pdf", "kept"), ("setup<b>.exe", f"held: {FOUND_LATER}Late.Virus"))
    return replace(notice, kind=NoticeKind.FILE_INFECTED, attachments=files, ticket_subject="Pump")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_file_and_the_virus_are_named(infected: Notice, templates: Templates, language: str) -> None:
    page = templates.render("file-infected", language, context(infected))
    assert page.version.startswith(f"file-infected/{language}#")
    assert "Pump" in page.subject
    assert re.search(r"- setup<b>\.exe: .*Late\.Virus", page.text)
    assert "setup&lt;b&gt;.exe" in page.html
    assert "<b>" not in page.html
    assert f'<html lang="{language}"' in page.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("agent_number", [None, 7])
def test_the_first_line_says_where_an_answer_goes(
    infected: Notice, templates: Templates, language: str, agent_number: int | None
) -> None:
    page = templates.render("file-infected", language, context(replace(infected, agent_number=agent_number)))
    first = page.text.strip().splitlines()[0]
    assert (infected.mailbox.address in first) == (agent_number is None)
    assert first.partition(" <")[0].partition("(")[0].strip() in page.html


@pytest.mark.parametrize("language", [lang for lang in LANGUAGES if lang not in ("en", "de")])
def test_no_english_word_is_left(infected: Notice, templates: Templates, language: str) -> None:
    page = templates.render("file-infected", language, context(infected))
    for said in (page.subject, page.text):
        assert not re.search(r"\b(the|this|your|message|answer|subject|from|found|later)\b", said, re.IGNORECASE)
