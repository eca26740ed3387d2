"""German says what English says: the same kinds, the same values, the same guarantees."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from gateway.core.message import Address
from gateway.core.notice import Notice, NoticeKind
from gateway.core.tokens import Tokens
from gateway.notify.compose import compose
from gateway.notify.context import context
from gateway.notify.folder import templates_folder
from gateway.notify.render import Templates

LANGUAGES = ("en", "de")
AGENT_KINDS = [kind for kind in NoticeKind if not kind.to_customer]
ENGLISH = re.compile(
    r"\b(the|this|your|message|answer|attachments|subject|from|assigned|thank|WARNING)\b", re.IGNORECASE
)


@pytest.fixture(scope="module")
def german(notice: Notice) -> Notice:
    """A German notice in which nothing but our own words could be English."""
    return replace(
        notice,
        language="de",
        company_name="Müller & Söhne GmbH",
        recipient=Address("joerg@acme.example", "Jörg Weiß"),
        mailbox=replace(notice.mailbox, name="Kundendienst Süd"),
        ticket_subject="Drucker brennt: Störung in Köln, größte Eile",
        team="Außendienst",
        assignee="Jörg Weiß",
        author=Address("carol@customer.example", "Karoline Groß"),
        sender_reason="Geprüft.",
        text="Grüß Gott,\n\nes brennt – schon wieder für 5 €.",
        attachments=(("übersicht.pdf", "kept"), ("setup.exe", "stripped: exe"), ("plan.zip", "held: verschlüsselt")),
    )


def read(notice: Notice, tokens: Tokens, templates: Templates) -> EmailMessage:
    content = compose(notice, tokens=tokens, templates=templates).content
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(message: EmailMessage, subtype: str = "plain") -> str:
    body = message.get_body((subtype,))
    assert body is not None
    return str(body.get_content())


def of_kind(notice: Notice, kind: NoticeKind) -> Notice:
    return replace(notice, kind=kind, agent_number=None if kind.to_customer else notice.agent_number)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", NoticeKind)
def test_every_kind_is_there_in_every_language(
    templates: Templates, notice: Notice, kind: NoticeKind, language: str
) -> None:
    page = templates.render(kind, language, context(of_kind(notice, kind)))

    assert page.version.startswith(f"{kind}/{language}#")
    assert page.subject
    assert page.text.strip()
    assert f'<html lang="{language}"' in page.html


def test_a_shared_part_exists_in_every_language_a_kind_is_written_in() -> None:
    folder = templates_folder() / "notifications"
    for file in folder.glob("[!_]*/*.j2"):
        imported = re.findall(r'from "([^"]+)"', file.read_text(encoding="utf-8"))
        own = {"_parts/frame.j2", f"_parts/agent-{file.stem}.j2", f"_parts/digest-{file.stem}.j2"}
        assert set(imported) <= own, f"{file}: speaks another language in between"


@pytest.mark.parametrize("kind", NoticeKind)
def test_no_english_word_is_left(german: Notice, kind: NoticeKind, tokens: Tokens, templates: Templates) -> None:
    message = read(of_kind(german, kind), tokens, templates)
    shown = re.sub(r"<[^>]*>|&\w+;", " ", text_of(message, "html"))

    for said in (str(message["Subject"]).replace("Re:", ""), text_of(message), shown):
        assert not ENGLISH.search(said)


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (NoticeKind.ACKNOWLEDGEMENT, "Wir haben Ihre Nachricht erhalten [Kundendienst Süd #1001]"),
        (NoticeKind.NEW_TICKET, "[Kundendienst Süd #1001] Drucker brennt: Störung in Köln, größte Eile"),
        (
            NoticeKind.ASSIGNED,
            "[Kundendienst Süd #1001] Zugewiesen an Jörg Weiß: Drucker brennt: Störung in Köln, größte Eile",
        ),
        (NoticeKind.CUSTOMER_ANSWERED, "Re: [Kundendienst Süd #1001] Drucker brennt: Störung in Köln, größte Eile"),
    ],
)
def test_the_subject_survives_the_wire(
    german: Notice, kind: NoticeKind, subject: str, tokens: Tokens, templates: Templates
) -> None:
    content = compose(of_kind(german, kind), tokens=tokens, templates=templates).content
    message = email.message_from_bytes(content, policy=email.policy.default)

    assert message["Subject"] == subject
    head = content.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert b"=?utf-8?" in head
    assert max(map(len, head.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("kind", NoticeKind)
def test_umlauts_in_the_body_go_out_as_quoted_printable(
    german: Notice, kind: NoticeKind, tokens: Tokens, templates: Templates
) -> None:
    message = read(of_kind(german, kind), tokens, templates)

    for part in message.iter_parts():
        assert part["Content-Transfer-Encoding"] == "quoted-printable"
        assert part.get_content_charset() == "utf-8"
    assert "Kundendienst Süd" in text_of(message)
    if not kind.to_customer:
        assert "> es brennt – schon wieder für 5 €." in text_of(message)
        assert "es brennt – schon wieder für 5 €." in text_of(message, "html")


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (NoticeKind.NEW_TICKET, "[Kundendienst Süd #1001] (kein Betreff)"),
        (NoticeKind.ASSIGNED, "[Kundendienst Süd #1001] Zugewiesen: (kein Betreff)"),
        (NoticeKind.CUSTOMER_ANSWERED, "Re: [Kundendienst Süd #1001] (kein Betreff)"),
    ],
)
def test_what_is_missing_leaves_no_hole(german: Notice, kind: NoticeKind, subject: str, templates: Templates) -> None:
    bare = replace(
        of_kind(german, kind),
        ticket_subject="", team="", assignee="", ticket_priority="", author=None, text="", attachments=(),
    )  # fmt: skip
    page = templates.render(kind, "de", context(bare))

    assert page.subject == subject
    assert "(kein Text)" in page.text
    assert "aus der Nachricht nicht ersichtlich" in page.text
    assert "Anhänge" not in page.text
    assert not re.search(r"^(Team|Zugewiesen|Priorität):", page.text, re.MULTILINE)


def test_an_acknowledgement_repeats_nothing_that_a_stranger_wrote(
    german: Notice, tokens: Tokens, templates: Templates
) -> None:
    advertised = replace(
        of_kind(german, NoticeKind.ACKNOWLEDGEMENT),
        recipient=Address("carol@customer.example", "EVIL to"),
        ticket_subject="EVIL subject",
        text="EVIL text",
        author=Address("carol@customer.example", "EVIL name"),
        sender_reason="EVIL reason",
        attachments=(("EVIL.exe", "kept"),),
    )
    message = read(advertised, tokens, templates)

    assert "EVIL" not in str(message) + text_of(message) + text_of(message, "html")
    assert "Guten Tag," in text_of(message)
    assert "1001" in text_of(message)


@pytest.mark.parametrize("kind", AGENT_KINDS)
def test_an_agent_s_mail_begins_with_where_an_answer_goes(
    german: Notice, kind: NoticeKind, templates: Templates
) -> None:
    to_agent = templates.render(kind, "de", context(of_kind(german, kind)))
    to_others = templates.render(kind, "de", context(replace(of_kind(german, kind), agent_number=None)))

    assert to_agent.text.lstrip().splitlines()[0] == (
        "Eine Antwort auf diese E-Mail wird als interne Notiz im Ticket abgelegt; sie geht nicht an Karoline Groß."
    )
    assert to_others.text.lstrip().splitlines()[0] == (
        "Eine Antwort auf diese E-Mail geht an Kundendienst Süd <support@acme.example>."
    )
    assert "WARNUNG" not in to_agent.text


def test_the_address_an_answer_goes_to_is_no_tag_in_html(german: Notice, templates: Templates) -> None:
    """Written out in the template, `<support@…>` became a tag that no mail program shows."""
    page = templates.render("new-ticket", "de", context(replace(german, agent_number=None)))

    assert "Eine Antwort auf diese E-Mail geht an Kundendienst Süd &lt;support@acme.example&gt;." in page.html


@pytest.mark.parametrize(
    ("sender", "verdict"),
    [
        ("unverified", "Der Absender ist nicht bestätigt: Jeder könnte carol@customer.example dort eingetragen haben."),
        ("forged", "Der Absender ist gefälscht: Von carol@customer.example stammt diese Nachricht nicht."),
        (
            "indeterminate",
            "Der Absender ließ sich nicht prüfen: Verlassen Sie sich auf nichts, was carol@customer.example schreibt.",
        ),
    ],
)
@pytest.mark.parametrize("kind", AGENT_KINDS)
def test_an_agent_is_warned_before_the_text_and_told_the_reason_as_it_was_found(
    german: Notice, kind: NoticeKind, sender: str, verdict: str, tokens: Tokens, templates: Templates
) -> None:
    reason = "neither DKIM nor SPF proves that customer.example sent it"
    message = read(replace(of_kind(german, kind), sender=sender, sender_reason=reason), tokens, templates)

    assert text_of(message).splitlines()[2:4] == [
        f"WARNUNG. {verdict}",
        f"Befund der Prüfung (auf Englisch): „{reason}“",
    ]
    html = text_of(message, "html")
    assert html.index(verdict) < html.index(reason) < html.index("es brennt")


def test_attachments_are_told_with_what_became_of_them(german: Notice, templates: Templates) -> None:
    page = templates.render("new-ticket", "de", context(german))

    for line in (
        "übersicht.pdf: übernommen",
        "setup.exe: entfernt („exe“)",
        "plan.zip: zurückgehalten bis zur Freigabe („verschlüsselt“)",
    ):
        assert f"- {line}\n" in page.text
        assert f"<li>{line}</li>" in page.html


@pytest.mark.parametrize(
    ("priority", "shown"),
    [("low", "niedrig"), ("normal", "normal"), ("high", "hoch"), ("urgent", "dringend"), ("sofort", "sofort")],
)
def test_priorities_are_translated_and_unknown_ones_shown_as_they_are(
    german: Notice, templates: Templates, priority: str, shown: str
) -> None:
    page = templates.render("new-ticket", "de", context(replace(german, ticket_priority=priority)))

    assert f"Priorität:  {shown}\n" in page.text


@pytest.mark.parametrize("char", ['"', "\n", "<", "\U0001f525", '"\n', "„", ": "])
def test_what_a_stranger_fills_to_the_brim_still_renders_and_stays_text(
    german: Notice, templates: Templates, char: str
) -> None:
    full = replace(
        german,
        sender="unverified",
        sender_reason=char * 1000,
        ticket_subject=char * 100_000,
        author=Address("carol@customer.example", char * 100_000 + "<script>"),
        text=(char * 7 + "<script>") * 50_000,
        attachments=tuple((char * 5000, f"held: {char * 5000}") for _ in range(5000)),
    )
    page = templates.render("new-ticket", "de", context(full))

    assert "und 4950 weitere" in page.text
    assert "<script>" not in page.html


def test_german_and_english_show_the_same_values() -> None:
    """A value that one language forgets is a fact its agents never see."""
    folder = templates_folder() / "notifications"

    def names(file: Path) -> set[str]:
        source = re.sub(r"\{#.*?#\}", "", file.read_text(encoding="utf-8"))
        known = {
            "company", "mailbox_name", "mailbox_address", "ticket", "ticket_label", "subject", "priority", "team",
            "assignee", "author", "author_name", "author_address", "verified", "sender", "sender_reason", "told_by",
            "told_from", "text_lines",
            "text_cut", "attachments", "attachments_more", "answer_is_note", "notes",
        }  # fmt: skip
        return known & set(re.findall(r"[a-z_]+", " ".join(re.findall(r"\{[{%].*?[%}]\}", source))))

    for english in folder.glob("[!_]*/en.j2"):
        assert names(english.with_name("de.j2")) == names(english), english.parent.name
    assert names(folder / "_parts/agent-de.j2") == names(folder / "_parts/agent-en.j2")
