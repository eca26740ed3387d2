"""The language of a message by its header or its words."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from gateway.core.message import ParsedMessage
from gateway.parse import language, parse
from gateway.parse.language import detected_language, is_installed, said_by_header
from tests.conftest import missing

TEXTS = {
    "en": "Since yesterday evening the pump in our cellar has been leaking, and the water now stands a hand high. Please "
    "send somebody as soon as possible, because we cannot use the heating and two flats are without warm water.",
    "de": "Seit gestern Abend verliert die Pumpe in unserem Keller Wasser, das inzwischen eine Handbreit hoch steht. Bitte "
    "schicken Sie so bald wie möglich jemanden, denn wir können die Heizung nicht benutzen und zwei Wohnungen sind kalt.",
    "fr": "Depuis hier soir, la pompe de notre cave perd de l'eau, et celle-ci monte maintenant à une main de hauteur. Merci "
    "d'envoyer quelqu'un dès que possible, car nous ne pouvons plus utiliser le chauffage dans deux appartements.",
    "pl": "Od wczoraj wieczorem pompa w naszej piwnicy przecieka, a woda sięga już na szerokość dłoni. Proszę jak najszybciej "
    "przysłać kogoś, ponieważ nie możemy korzystać z ogrzewania, a dwa mieszkania nie mają ciepłej wody.",
    "ru": "Со вчерашнего вечера насос в нашем подвале протекает, и вода стоит уже на ладонь. Пожалуйста, пришлите кого-нибудь "
    "как можно скорее, потому что мы не можем пользоваться отоплением, и две квартиры остались без горячей воды.",
}


def message(text: str, **fields: str) -> ParsedMessage:
    made = EmailMessage()
    made.set_content(text)
    for name, value in fields.items():
        made[name.replace("_", "-")] = value
    return parse(made.as_bytes())


@pytest.mark.parametrize("tag", TEXTS)
def test_a_paragraph_is_enough(tag: str) -> None:
    if not is_installed():
        missing("py3langid")
    assert detected_language(message(TEXTS[tag])) == tag


def test_quotations_do_not_count() -> None:
    if not is_installed():
        missing("py3langid")
    quoted = "\n".join(f"> {TEXTS['fr']}" for _ in range(20))
    assert detected_language(message(f"{TEXTS['de']}\n\n{quoted}\n")) == "de"


@pytest.mark.parametrize("text", ["Danke!", "Vielen Dank und schöne Grüße aus Köln\n" + " " * 400, ""])
def test_few_words_are_no_language(text: str) -> None:
    assert detected_language(message(text)) == ""


def test_what_is_no_language_is_none() -> None:
    if not is_installed():
        missing("py3langid")
    assert detected_language(message("0x7f 0x3a 993 11.5 " * 40)) == ""


def test_where_the_header_says_it_nobody_looks_at_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_identifier", lambda: 1 / 0)
    said = message(TEXTS["de"], Content_Language="en-US")
    assert (detected_language(said), said_by_header(said)) == ("", ("en-US",))


def test_without_the_extra_nothing_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "find_spec", lambda _name: None)
    assert detected_language(message(TEXTS["de"])) == ""


def test_content_language_is_read_tag_by_tag() -> None:
    assert said_by_header(message("x", Content_Language="de-CH, fr ,, bogus language, en")) == ("de-CH", "fr", "en")
