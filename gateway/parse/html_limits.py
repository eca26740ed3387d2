"""Whether HTML may be given to a sanitiser: nh3 needs 17 s for 50,000 nested `<div>`, 1.8 s for 50,000 attributes.

The tests hold the estimate of the depth against what lexbor builds.
"""

from __future__ import annotations

from gateway.parse.html import ATTRIBUTES, RAW, tokens

HARMLESS_CHARACTERS = 8_192
"""Short HTML with few tags cannot cost a sanitiser more than some milliseconds, and most mail is that."""
CHARACTERS = 2_000_000
TAGS = 100_000
DEPTH = 256
ATTRIBUTES_OF_A_TAG = 200
SURPLUS = 1500
REOPENED = 300_000
"""Unclosed formatting elements are opened anew in every block: 200 of them before 10,000 paragraphs are 2 million nodes."""

_VOID_NAMES = "area base basefont bgsound br col embed frame hr img image input keygen link meta param source track wbr"
_VOID = frozenset(_VOID_NAMES.split())
_UNNESTED = frozenset({"p", "tr", "tbody", "thead", "tfoot", "option", "colgroup", "html", "head", "body", "caption"})
"""A second one ends the first, or is ignored: these do not nest without another element between them."""
_SIBLINGS = {
    "li": frozenset({"li"}),
    "dd": frozenset({"dd", "dt"}),
    "dt": frozenset({"dd", "dt"}),
    "td": frozenset({"td", "th"}),
    "th": frozenset({"td", "th"}),
}
"""A start tag of the one ends an open one of the others."""
_LISTS = frozenset({"ul", "ol", "dl", "table"})
_FORMATTING = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}
)
_BARRIERS = frozenset(
    {"applet", "button", "marquee", "math", "noscript", "object", "select", "svg", "table", "template", "frameset"}
)
"""An end tag of something outside these is ignored within them."""
_OTHER_RULES = frozenset({"svg", "math", "select", "frameset"})
"""Within these a `<title>` or `<textarea>` may be no raw text, so what stands behind it may be tags or not."""


def is_too_complex(html: str) -> bool:
    """Whether cleaning this HTML could take seconds: very long, deep, or full of tags or attributes."""
    if len(html) > CHARACTERS:
        return True
    if len(html) <= HARMLESS_CHARACTERS and html.count("<") <= DEPTH:
        return False
    nesting = _Nesting()
    count = 0
    for name, closing, text in tokens(html, tags_only=True):
        if not name:
            continue
        count += 1
        if count > TAGS or (len(text) > 2 * ATTRIBUTES_OF_A_TAG and _attributes_in(text) > ATTRIBUTES_OF_A_TAG):
            return True
        if name not in _VOID and name not in _UNNESTED:
            if closing:
                nesting.end(name)
            else:
                nesting.start(name)
        if nesting.is_exceeded():
            return True
    return False


def _attributes_in(text: str) -> int:
    return sum(1 for _ in ATTRIBUTES.finditer(text))


class _Nesting:
    """An estimate of the elements open at a time, and a bound on how wrong it can be.

    Where every end tag meets its start tag the estimate is exact. An end tag that closes more than its own element may
    be ignored by a real parser, or the formatting elements among them be opened anew: `surplus` counts these, so the
    true depth is at most open elements and surplus together.
    """

    __slots__ = ("formatting", "limbo", "opened", "reopened", "rules", "surplus")

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.formatting = 0
        self.limbo = 0
        self.reopened = 0
        self.surplus = 0
        self.rules = False

    def is_exceeded(self) -> bool:
        self.reopened += self.formatting + self.limbo
        return len(self.opened) > DEPTH or self.surplus > SURPLUS or self.reopened > REOPENED

    def start(self, name: str) -> None:
        if name in _SIBLINGS:
            self._close(_SIBLINGS[name], _LISTS)
        elif name in _OTHER_RULES:
            self.rules = True
        elif self.rules and name in RAW:
            self.surplus = SURPLUS + 1
        self.opened.append(name)
        self.formatting += name in _FORMATTING

    def end(self, name: str) -> None:
        opened = self.opened
        if opened and opened[-1] == name:
            opened.pop()
            self.formatting -= name in _FORMATTING
        elif name in _FORMATTING:
            self._close_formatting(name)
        else:
            self._close(frozenset({name}), _LISTS if name in _SIBLINGS else _BARRIERS)

    def _close_formatting(self, name: str) -> None:
        """Closes that element only: `<b><div></b>` leaves the div open."""
        for place in range(len(self.opened) - 1, -1, -1):
            if self.opened[place] == name:
                del self.opened[place]
                self.formatting -= 1
                self.surplus += 1
                return
            if self.opened[place] in _BARRIERS:
                return

    def _close(self, names: frozenset[str], stops: frozenset[str]) -> None:
        """Closes the innermost of `names` and what is open within it, unless a barrier lies between."""
        opened = self.opened
        for place in range(len(opened) - 1, -1, -1):
            if opened[place] in names:
                within = sum(1 for inner in opened[place:] if inner in _FORMATTING)
                self.formatting -= within
                if not ("td" in names and "table" in opened):  # a table cell ends the formatting within it for good
                    self.limbo += within
                self.surplus += len(opened) - place - 1
                del opened[place:]
                return
            if opened[place] in stops:
                return
