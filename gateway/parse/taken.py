"""Which of a message's two bodies is taken: the preferred one, the other where it is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from gateway.core.message import ParsedMessage
from gateway.parse.html_text import text_of
from gateway.parse.language import detected_language
from gateway.parse.quotes import without_quotes
from gateway.parse.washing import washed_text

LOOKED_AT = 16 * 1024
"""Characters of text held against the HTML: a text part that says something else does so from its beginning."""
SAMPLED_AT = 4 * 1024
_WORD = re.compile(r"[^\W\d_]{3,}")
_SAME = 0.5
_SAMPLES = 40
_NEARLY_ALL = 0.9
_MARKUP = 8
"""Times the text: what Outlook, Gmail and Apple Mail make of a paragraph behind `<body`."""


@dataclass(frozen=True, slots=True)
class Read:
    """A message as its ticket has it: `body` is `html` or `text`, `language` empty where nobody asked or can tell."""

    message: ParsedMessage
    body: str
    language: str = ""


def as_read(message: ParsedMessage, preferred: str, *, language: bool = False) -> Read:
    """The body taken, and with `language` what its words are in. Pure; looking at words takes seconds the first time."""
    body = body_taken(message, preferred)
    taken = as_taken(message, body)
    return Read(taken, body, detected_language(taken) if language else "")


def body_taken(message: ParsedMessage, preferred: str) -> str:
    """`html` or `text`: the preferred body where the message has it."""
    if message.html is None:
        return "text"
    if preferred == "text" and _has_text_of_its_own(message):
        return "text"
    return "html"


def as_taken(message: ParsedMessage, body: str) -> ParsedMessage:
    """The message as its ticket has it. Of `text` there is no HTML. Of `html` the text is the sender's own where it says the
    same, else it is made from the HTML: what a notice quotes and rules read is what the ticket shows. Linear in time.
    """
    if message.html is None:
        return message
    if body == "text":
        return replace(message, html=None)
    own = _has_text_of_its_own(message)
    if not own and message.text.strip():
        return message  # it was made from the HTML already
    if own and _surely_say_the_same(message.text, message.html):
        return message
    made = washed_text(text_of(message.html))
    if not _words(made) or (own and _say_the_same(message.text, made)):
        return message
    return replace(message, text=made, text_new=without_quotes(made))


def _has_text_of_its_own(message: ParsedMessage) -> bool:
    plain = any(p.is_text and p.declared_type != "text/html" for p in message.parts)
    return plain and bool(message.text.strip())


def _surely_say_the_same(text: str, html: str) -> bool:
    """A cheap look that most mail passes: to read the HTML costs as much as the whole message. Samples of the text stand in
    the HTML, which has not much more to say; whatever else may be the same is held against it word by word.
    """
    begin = max(html.find("<body"), 0)
    if len(html) - begin > _MARKUP * len(text):
        return False
    words = list(dict.fromkeys(_WORD.findall(text[:SAMPLED_AT].lower())))
    sampled = words[:: max(1, len(words) // _SAMPLES)]
    beginning = html[begin : begin + _MARKUP * SAMPLED_AT].lower()
    return bool(sampled) and sum(word in beginning for word in sampled) >= _NEARLY_ALL * len(sampled)


def _say_the_same(text: str, made: str) -> bool:
    """At least half of the words of each are in the other: mail programs lay out differently, and add or leave out links."""
    one, other = _words(text), _words(made)
    if not one or not other:
        return one == other
    common = len(one & other)
    return common >= _SAME * len(one) and common >= _SAME * len(other)


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text[:LOOKED_AT].casefold()))
