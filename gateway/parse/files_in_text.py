"""Files that stand in the text itself: uuencode, yEnc and BinHex from before MIME.

Some mail programs still make attachments of them, others show the lines as text. Only what would decode is meant: a
line `begin 644 x` in prose is prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from gateway.core.ambiguity import BINHEX, UUENCODE, YENC
from gateway.parse.defects import Defects

_LINE_ENDS = b"\r\n"
_BLANK_LINES = rb"(?:[ \t]*+(?:\r\n|\n|\r))*+"
_UU = re.compile(
    rb"begin(-base64)?[ \t]++[0-7]{3,5}[ \t]++[^\r\n]++(?:\r\n|\n|\r)" + _BLANK_LINES + rb"([^\r\n]{1,200})"
)
_UU_DATA = re.compile(rb"[!-`][ -`]++")
_BASE64_DATA = re.compile(rb"[A-Za-z0-9+/]{2,}+={0,2}[ \t]*+")
_YENC = re.compile(rb"=ybegin [^\r\n]*?\bname=[^\r\n]++(?:\r\n|\n|\r)" + _BLANK_LINES + rb"[^\r\n]")
_BINHEX_LINE = b"(This file must be converted with BinHex"
_BINHEX = re.compile(re.escape(_BINHEX_LINE) + rb"[^\r\n]*+(?:\r\n|\n|\r)" + _BLANK_LINES + rb":[^\r\n]")
_BEGIN = re.compile(rb"begin")
"""Found twice as fast as by `bytes.find`; for the long line of BinHex it is the other way round."""


def note_files_in_text(octets: bytes, defects: Defects, start: int = 0, end: int | None = None) -> None:
    """Adds a defect for each kind of file found between `start` and `end`."""
    for defect, _ in _files(octets, start, len(octets) if end is None else end):
        defects.add(defect)


def before_files(text: str) -> str:
    """What stands before the first file in the text; all of it where there is none."""
    octets = text.encode("utf-8", "surrogatepass")
    first = min((at for _, at in _files(octets, 0, len(octets))), default=len(octets))
    return octets[:first].decode("utf-8", "surrogatepass")


def _files(octets: bytes, start: int, end: int) -> Iterator[tuple[str, int]]:
    """The first of each kind: its defect, and where it begins."""
    if _BEGIN.search(octets, start, end):
        uu = (at for at in _at_line_starts(octets, b"begin", start, end) if _is_uuencoded(octets, at, end))
        yenc = (at for at in _at_line_starts(octets, b"=ybegin ", start, end) if _YENC.match(octets, at, end))
        yield from ((UUENCODE, at) for at in islice(uu, 1))
        yield from ((YENC, at) for at in islice(yenc, 1))
    binhex = (at for at in _at_line_starts(octets, _BINHEX_LINE, start, end) if _BINHEX.match(octets, at, end))
    yield from ((BINHEX, at) for at in islice(binhex, 1))


def _at_line_starts(octets: bytes, wanted: bytes, start: int, end: int) -> Iterator[int]:
    at = octets.find(wanted, start, end)
    while at >= 0:
        if at == start or octets[at - 1] in _LINE_ENDS:
            yield at
        at = octets.find(wanted, at + len(wanted), end)


def _is_uuencoded(octets: bytes, at: int, end: int) -> bool:
    begin = _UU.match(octets, at, end)
    if begin is None:
        return False
    return bool(_BASE64_DATA.fullmatch(begin[2])) if begin[1] else _is_uu_data(begin[2])


def _is_uu_data(line: bytes) -> bool:
    """The first character says how many octets follow; blanks at the end may be cut, a checksum may be appended."""
    groups = (((line[0] - 32) & 63) + 2) // 3
    return bool(_UU_DATA.fullmatch(line)) and 0 < len(line) - 1 <= groups * 4 + 2
