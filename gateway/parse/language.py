"""The language a message is written in: what its header says (RFC 3282), or what its words look like."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from typing import Any

from gateway.core.message import ParsedMessage

LEAST_CHARACTERS = 200
"""Of new text, blanks folded: below that a detection is a guess."""
LOOKED_AT = 4000
"""Characters: half a millisecond of a core, and more make it no surer."""
LEAST_CONFIDENCE = 0.5
TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")
"""The common shapes of a language tag (BCP 47)."""


def said_by_header(message: ParsedMessage) -> tuple[str, ...]:
    """The tags of Content-Language, as they are written; a machine that has none to say writes nothing that is a tag."""
    pieces = (piece.strip() for value in message.header_values("Content-Language") for piece in value.split(","))
    return tuple(dict.fromkeys(p for p in pieces if TAG.fullmatch(p)))


def is_installed() -> bool:
    """Whether words can be looked at: the extra `language`."""
    return find_spec("py3langid") is not None


def detected_language(message: ParsedMessage) -> str:
    """The language of the new text as a tag (`de`); empty where the header says it, where the text is short or nobody can
    tell, and where the extra `language` is not installed. The first call takes a second or two: not for an event loop.
    """
    words = " ".join(message.text_new[: 4 * LOOKED_AT].split())
    if len(words) < LEAST_CHARACTERS or said_by_header(message) or not is_installed():
        return ""
    tag, confidence = _identifier().classify(words[:LOOKED_AT])
    return str(tag) if confidence >= LEAST_CONFIDENCE else ""


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
