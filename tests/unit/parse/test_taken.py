"""Which body is taken: the preferred one, the other where it is missing; and what the text is then."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from gateway.parse import as_read, parse
from gateway.parse.taken import Read

PARAGRAPHS = "Dear team, the pump in our cellar leaks since yesterday evening. Please send somebody soon."


def read(preferred: str, text: str | None, html: str | None) -> Read:
    message = EmailMessage()
    message["From"] = "carol@customer.example"
    if text is not None:
        message.set_content(text)
    if html is not None and text is not None:
        message.add_alternative(html, "html")
    elif html is not None:
        message.set_content(html, "html")
    return as_read(parse(message.as_bytes()), preferred)


@pytest.mark.parametrize(
    ("preferred", "text", "html", "taken"),
    [
        ("html", "plain", "<p>rich</p>", "html"),
        ("html", "plain", None, "text"),
        ("html", None, "<p>rich</p>", "html"),
        ("text", "plain", "<p>rich</p>", "text"),
        ("text", "plain", None, "text"),
        ("text", None, "<p>rich</p>", "html"),
        ("text", " \n", "<p>rich</p>", "html"),
    ],
)
def test_the_preferred_body_is_taken_and_the_other_one_where_it_is_missing(
    preferred: str, text: str | None, html: str | None, taken: str
) -> None:
    found = read(preferred, text, html)
    assert found.body == taken
    assert (found.message.html is not None) == (taken == "html")
    assert found.message.text.strip()


def test_of_html_the_senders_own_text_stays_where_it_says_the_same() -> None:
    html = f'<p>{PARAGRAPHS.replace(". ", ".</p><p>")}</p><a href="https://x.example/">our page</a><img src="cid:logo">'
    text = f"{PARAGRAPHS}\n\n-- \nCarol\n"
    assert read("html", text, html).message.text.startswith(PARAGRAPHS)


@pytest.mark.parametrize(
    "stub", ["Your mail program cannot show HTML.", "Hello, all is well with the boiler upstairs."]
)
def test_of_html_the_text_is_made_where_the_senders_own_says_something_else(stub: str) -> None:
    """Notices quote the text and rules read it: it must say what the ticket shows."""
    found = read("html", stub, f"<p>{PARAGRAPHS}</p><blockquote>old words</blockquote>")
    assert found.message.text == f"{PARAGRAPHS}\n\n> old words"
    assert found.message.text_new == PARAGRAPHS


def test_of_text_nothing_comes_from_the_html() -> None:
    found = read("text", "Only this.", f"<p>{PARAGRAPHS}</p>")
    assert found.message.text.strip() == "Only this."
    assert found.message.html is None


def test_html_without_words_takes_no_text_away() -> None:
    assert read("html", "See the picture.", '<img src="cid:a"> ...').message.text.strip() == "See the picture."


def test_a_long_text_is_compared_by_its_beginning_alone() -> None:
    long = PARAGRAPHS + " word" * 200_000
    assert read("html", long, f"<p>{long}</p>").body == "html"
