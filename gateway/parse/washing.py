"""Text that may be shown and stored: no control characters, no lone surrogates (they break UTF-8 and PostgreSQL)."""

from __future__ import annotations

import re

_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]+")


def washed_text(text: str) -> str:
    """Text of several lines: LF line ends, tabs kept, every other control character dropped."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNWANTED.sub("", text)
