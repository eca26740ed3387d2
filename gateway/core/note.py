"""What people may write to a change for the record: one line, wherever they write it."""

from __future__ import annotations

import re

LONGEST_NOTE = 500
"""In characters: a table shows it in a row."""

_CONTROLS = r"\x00-\x1f\x7f"
NO_CONTROLS = rf"^[^{_CONTROLS}]*$"


def problem_of_note(note: str) -> str:
    """What is wrong with it and what to do; empty where nothing is."""
    if len(note) > LONGEST_NOTE:
        return f"{len(note)} characters; write at most {LONGEST_NOTE}, and the rest as a comment into the document"
    if re.search(f"[{_CONTROLS}]", note):
        return "it has line breaks or other control characters; write it in one line"
    if not _is_unicode(note):
        return "not UTF-8; write it in a terminal whose encoding is UTF-8"
    return ""


def _is_unicode(text: str) -> bool:
    """Octets of the command line that are no UTF-8 come as lone surrogates, which no database takes."""
    return not any("\ud800" <= c <= "\udfff" for c in text)
