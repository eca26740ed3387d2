"""Boundaries and delimiters (RFC 2046 section 5.1.1) that not every program reads as we do."""

from __future__ import annotations

import re

from gateway.core.ambiguity import BOUNDARY
from gateway.parse.defects import Defects
from gateway.parse.parameters import Parameters

_SOUND = re.compile(
    r";\s*+boundary\s*+=\s*+"
    r"(?:\"[A-Za-z0-9'()+_,./:=?#$%&*;@\[\]^`{|}~!<>-]++(?: ++[A-Za-z0-9'()+_,./:=?#$%&*;@\[\]^`{|}~!<>-]++)*+\""
    r"|[A-Za-z0-9'+_,./:=?#$%&*@^`{|}~!<>\[\]-]++)\s*+(?:;|\Z)",
    re.IGNORECASE,
)
"""One word, or one quoted-string without quoted pairs and blanks at its ends. Beyond the tokens of RFC 2045 because
many programs forget the quotes around `=`, `/` or `:`, and no reader is known to mind.
"""
_QUOTED = re.compile(r'"[^"]*+"')
_LINE_END = re.compile(rb"(?:--)?[ \t]*+\r?(?:\n|\Z)")
_FIELD_BELOW = re.compile(rb"[^\n]{0,1000}+\n[!-9;-~]{1,100}+[ \t]*+:")


def note_boundary(content_type: Parameters, defects: Defects) -> None:
    """A defect when the Content-Type of a multipart does not give its boundary once, plainly, in the form of RFC 2045."""
    written = content_type.written
    once = len(content_type.plain.get("boundary", ())) == 1 and "boundary" not in content_type.extended
    sound = _SOUND.search(written) if once else None
    if not sound or "=?" in sound[0]:
        defects.add(BOUNDARY)
    elif "(" in written and "(" in _QUOTED.sub("", written[: sound.start()] + written[sound.end() :]):
        defects.add(BOUNDARY)  # a comment: not every program knows them, and it may hold a boundary of its own


def is_cut_otherwise(content: bytes, at: int, behind: int, end: int) -> bool:
    """Whether a line that is no delimiter here is one to programs that end lines at a bare CR, or to those that take
    a close delimiter whatever stands behind it.
    """
    before = content[at - 1 : at]
    if before == b"\r":
        return content.startswith(b"\r", behind) or bool(_LINE_END.match(content, behind, end))
    return before in (b"\n", b"") and content.startswith((b"\r", b"--"), behind)


def has_field_below(content: bytes, at: int, behind: int, end: int) -> bool:
    """Whether a line that begins like a delimiter, and goes on, has what looks like a header below it."""
    return content[at - 1 : at] in (b"\n", b"") and bool(_FIELD_BELOW.match(content, behind, end))
