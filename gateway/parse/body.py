"""Which leaves are the text of the message, and the text itself.

The choice is the algorithm of RFC 8621 section 4.1.4, for text/plain and text/html: it keeps together what Apple Mail
and mailing lists spread over several parts, and it is what other mail stores show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from gateway.parse.charsets import body_text
from gateway.parse.defects import Defects
from gateway.parse.html_limits import is_too_complex
from gateway.parse.html_text import text_of
from gateway.parse.mime import Leaf
from gateway.parse.parts import extension_of
from gateway.parse.transfer import decode
from gateway.parse.washing import washed_text

_SHOWN = frozenset({"text/plain", "text/html"})
_EXTENSIONS_OF_TEXT = frozenset({"txt", "html", "log", "md", "asc", "csv"})
_TELLING_OCTETS = 8192
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))
_SLIPS = 8
_FEW = 20
"""One in so many octets."""
_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")


@dataclass(slots=True)
class Choice:
    """Indexes of leaves: those whose text is shown, and those that make up the HTML view."""

    text: list[int] = field(default_factory=list)
    html: list[int] = field(default_factory=list)


def choose(content: bytes, leaves: list[Leaf], defects: Defects) -> Choice:
    """Which leaves make the text and which the HTML of the message."""
    chosen = Choice()
    shown = [i for i, leaf in enumerate(leaves) if _is_shown(leaf, defects) and not _is_file(content, leaf, defects)]
    if not shown and len(leaves) == 1 and leaves[0].type.startswith("multipart/"):
        shown = [0]  # nothing could be taken apart: what there is, is text
    in_alternative: dict[str, set[str]] = {}
    for index in shown:
        if leaves[index].alternative:
            in_alternative.setdefault(leaves[index].alternative, set()).add(leaves[index].type)
    for index in shown:
        offered = in_alternative.get(leaves[index].alternative, set())
        kind = leaves[index].type
        if kind != "text/html" or "text/plain" not in offered:
            chosen.text.append(index)
        if kind == "text/html" or "text/html" not in offered:
            chosen.html.append(index)
    if not any(leaves[index].type == "text/html" for index in chosen.html):
        chosen.html.clear()
    return chosen


def _is_shown(leaf: Leaf, defects: Defects) -> bool:
    if leaf.type not in _SHOWN or leaf.disposition.value == "attachment":
        return False
    if leaf.index == 0:
        return True
    if leaf.parent == "multipart/related":
        return False
    named = leaf.disposition.texts("filename", defects) or leaf.content_type.texts("name", defects)
    return leaf.parent == "multipart/alternative" or not named


def _is_file(content: bytes, leaf: Leaf, defects: Defects) -> bool:
    """Whether what calls itself text is a file all the same, by its name or its octets: programs that list attachments offer
    it as one, so it is judged as one. RFC 8621 would show the first part whatever it is.
    """
    names = leaf.disposition.texts("filename", defects) + leaf.content_type.texts("name", defects)
    if any((extension := extension_of(name)) and extension not in _EXTENSIONS_OF_TEXT for name in names):
        return True
    end = min(leaf.end, leaf.start + _TELLING_OCTETS)
    octets, _ = decode(content, leaf.encoding, leaf.start, end)
    return _is_binary(octets)


def _is_binary(octets: bytes) -> bool:
    """A NUL or two are a slip of the sender's; UTF-16 without its name begins with a mark, or it is nobody's text."""
    if b"\0" not in octets or octets.startswith(_MARKS):
        return False
    controls = len(octets) - len(octets.translate(None, _CONTROLS))
    return controls > _SLIPS and _FEW * controls > len(octets)


def texts(leaves: list[Leaf], chosen: Choice, bodies: dict[int, bytes], defects: Defects) -> tuple[str, str | None]:
    """The text and the HTML. HTML too complex to be cleaned is no HTML; its text is still there."""
    read = {index: _read(leaves[index], octets, defects) for index, octets in bodies.items()}
    html: str | None = None
    if chosen.html:
        views = (read[i] if leaves[i].type == "text/html" else f"<pre>{escape(read[i])}</pre>" for i in chosen.html)
        html = "\n".join(views)
        if is_too_complex(html):
            defects.add("html-too-complex")
            html = None
    pieces = (_as_text(leaves[index], read[index]) for index in chosen.text)
    return "\n".join(piece for piece in pieces if piece), html


def _read(leaf: Leaf, octets: bytes, defects: Defects) -> str:
    return washed_text(body_text(octets, leaf.content_type.token("charset"), defects))


def _as_text(leaf: Leaf, text: str) -> str:
    return washed_text(text_of(text)) if leaf.type == "text/html" else text
