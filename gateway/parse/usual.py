"""Whether the header of a body part is written as usual, so that no scanner is known to read it otherwise.

A few characters out of place in a Content field, and ClamAV looks at a part in another encoding, or at none, where mail
programs find the file. Ambiguity names the ways that programs of people are known to differ in; this is the wide net behind
it: what it catches is no reason to hold mail back, but to have its parts scanned as we decoded them, too.
"""

from __future__ import annotations

import re

from gateway.parse.defects import Defects
from gateway.parse.fields import Header

UNUSUAL = "unusual-part"

_PARAMETER = rb"[A-Za-z0-9_*-]++\s*+=\s*+(?:\"[^\"\\\r\n\0]*+\"|[^\s\"\\();\0]++)"
_CONTENT = {
    "content-type": re.compile(rb"\s*+[\w!#$&^.+-]++/[\w!#$&^.+-]++\s*+(?:;\s*+" + _PARAMETER + rb"\s*+)*+"),
    "content-disposition": re.compile(rb"\s*+[\w-]++\s*+(?:;\s*+" + _PARAMETER + rb"\s*+)*+"),
    "content-transfer-encoding": re.compile(rb"\s*+(?:7bit|8bit|binary|base64|quoted-printable)\s*+", re.IGNORECASE),
}
_BEGIN = re.compile(rb"\n(?:begin[ -]|content-[a-z-]++[ \t]*+:)", re.IGNORECASE)
_FILE = re.compile(rb"\nbegin[ -]", re.IGNORECASE)
_PREAMBLE = re.compile(rb"(?:(?!begin)[^:\r\n]*+\r?\n)*+", re.IGNORECASE)
_ODD_QUOTED = re.compile(rb"=(?![0-9A-F]{2}|\r?\n)")
"""RFC 2045 section 6.7 has two digits in capitals behind it, or the end of the line."""


def note_unusual_header(header: Header, defects: Defects) -> None:
    """Adds UNUSUAL for a Content field that is not in the plain form of RFC 2045, 2183 and 2231, for a line that hides one, and
    for a header without any field.
    """
    if not header.fields:
        defects.add(UNUSUAL)
    for name, value, odd in header.fields:
        form = _CONTENT.get(name.lower())
        if odd or (form and not form.fullmatch(value)):
            defects.add(UNUSUAL)
            return


def note_unusual_body(content: bytes, start: int, end: int, kind: str, encoding: str, defects: Defects) -> None:
    """The same for quoted-printable in which not every `=` is what it has to be, and for text in which a file might begin, or a
    header (clamd then reads on as such over all that follows). Unsound base64 is a defect already. `kind` is the part's type.
    """
    if encoding == "base64":
        return
    begin = _BEGIN if kind.startswith("text/") else _FILE
    if begin.search(content, max(start - 1, 0), end) or (
        encoding == "quoted-printable" and _ODD_QUOTED.search(content, start, end)
    ):
        defects.add(UNUSUAL)


def note_unusual_preamble(content: bytes, start: int, end: int, defects: Defects) -> None:
    """The same for what stands before the first part, unless it is words that can neither be a field nor begin a file."""
    if not _PREAMBLE.fullmatch(content, start, end):
        defects.add(UNUSUAL)


def note_unusual_delimiter(written: bytes, defects: Defects) -> None:
    """The same for blanks behind the boundary; `written` is what stands there."""
    if b" " in written or b"\t" in written:
        defects.add(UNUSUAL)
