"""`language: de`: the language of the message, or a list of them. `de` matches `de-AT` (RFC 4647 section 3.3.1)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from gateway.core.decision import Facts
from gateway.parse.language import said_by_header
from gateway.policy.condition import Test, shown
from gateway.policy.language_tags import known_language, language_tag
from gateway.policy.patterns import PatternBook
from gateway.policy.reading import Reading
from gateway.policy.values import Text, as_list

_Tag = Annotated[Text, AfterValidator(language_tag), AfterValidator(known_language)]


def languages_of(facts: Facts) -> tuple[tuple[str, ...], str]:
    """What the message is taken to be written in, and who says so: its header, its words, or who wrote to whom."""
    said = said_by_header(facts.message)
    if said:
        return said, "Content-Language"
    contact = facts.context.contact
    asked = (
        (facts.detected_language, "detected"),
        (contact.language if contact else None, "the contact's"),
        (facts.place.mailbox.language, "the mailbox's"),
        (facts.place.language, "the account's"),
    )
    return next((((tag,), whose) for tag, whose in asked if tag), ((), "nobody says"))


def _is_in(tag: str, wanted: str) -> bool:
    folded, asked = tag.lower().replace("_", "-"), wanted.lower()
    return folded == asked or folded.startswith(f"{asked}-")


class _Language:
    name = "language"
    Params = Annotated[tuple[_Tag, ...], BeforeValidator(as_list, json_schema_input_type=str | tuple[str, ...])]

    def test(self, params: tuple[str, ...], book: PatternBook) -> Test:
        del book  # no pattern to enter

        def holds(reading: Reading) -> bool:
            return any(_is_in(tag, wanted) for tag in languages_of(reading.facts)[0] for wanted in params)

        return Test(holds, " or ".join(params), _saw)


def _saw(reading: Reading) -> str:
    tags, whose = languages_of(reading.facts)
    return shown(f"{', '.join(tags) or '(none)'} ({whose})")


CONDITION: Any = _Language()
