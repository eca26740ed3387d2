"""Boundaries and delimiters (RFC 2046 section 5.1.1) that not every program reads as we do."""

from __future__ import annotations

import re

from gateway.core.ambiguity import BOUNDARY
from gateway.parse.defects import Defects
from gateway.parse.fields import hides_fields
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


def may_be_delimiter(content: bytes, at: int, behind: int, end: int) -> bool:
    """Whether a line that is no delimiter here is one elsewhere: for a bare CR before or behind it, as a close delimiter
    with more behind it, or because programs that compare only the beginning of the line find the header of a part below.
    """
    before = content[at - 1 : at]
    if before == b"\r":
        return content.startswith(b"\r", behind) or bool(_LINE_END.match(content, behind, end))
    if before not in (b"\n", b""):
        return False
    if content.startswith((b"\r", b"--"), behind):
        return True
    return bool(_FIELD_BELOW.match(content, behind, end)) and hides_fields(content, behind, end)
