"""The text of HTML: what a reader sees, as lines."""

from __future__ import annotations

import re
from html import unescape

from gateway.parse.html import tokens
from gateway.parse.html_limits import CHARACTERS

_HREF = re.compile(r"""\shref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9A-Fa-f]{8,});?")
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_QUOTED_AT_MOST = 20
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "pre", "table", "blockquote"})
_BLOCK_NAMES = (
    "address article aside body caption center dd details dir div dt fieldset figcaption figure footer form header "
    "html legend li main menu nav option section summary tbody tfoot thead tr"
)
_BLOCKS = _PARAGRAPHS | frozenset(_BLOCK_NAMES.split())


class _Page:
    """Lines of text being written: blank handling, quotation depth, paragraphs."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line: list[str] = []
        self.quoted = 0
        self.preformatted = 0
        self.links: list[tuple[str, int]] = []
        self.held = False

    def write(self, text: str) -> None:
        if self.preformatted:
            first, *rest = text.split("\n")
            self._put(first)
            for line in rest:
                self.end_line(forced=True)
                self._put(line)
            return
        folded = _BLANKS.sub(" ", text)
        if self.held and not folded.startswith(" ") and folded:
            folded = " " + folded
        self.held = folded.endswith(" ")
        folded = folded.removesuffix(" ")
        if folded:
            self._put(folded if self.line else folded.lstrip(" "))

    def _put(self, text: str) -> None:
        if text:
            self.line.append(text)

    def end_line(self, *, forced: bool = False) -> None:
        """Ends the line if there is one; a forced end (`<br>`) makes an empty line where there is none."""
        if self.line or forced:
            text = "".join(self.line).rstrip(" ")
            prefix = "> " * min(self.quoted, _QUOTED_AT_MOST)
            self.lines.append((prefix + text).rstrip(" "))
            self.line.clear()
        self.held = False

    def end_paragraph(self) -> None:
        self.end_line()
        if self.lines and self.lines[-1].strip("> "):
            self.lines.append(("> " * min(self.quoted, _QUOTED_AT_MOST)).rstrip(" "))


def text_of(html: str) -> str:
    """The text a reader sees, a quotation marked with `> `, a link's target behind its text. Linear in time."""
    page = _Page()
    for name, closing, text in tokens(html[:CHARACTERS]):
        if not name:
            page.write(_unescaped(text))
        elif name == "br":
            page.end_line(forced=True)
        elif name == "hr":
            page.end_line()
            page.line.append("_" * 32)
            page.end_line()
        elif name in _BLOCKS:
            _block(page, name, closing=closing)
        elif name in ("td", "th"):
            page.held = bool(page.line)
        elif name == "a":
            _link(page, text, closing=closing)
    page.end_line()
    while page.lines and not page.lines[-1].strip("> "):
        page.lines.pop()
    return "\n".join(page.lines).strip("\n")


def _unescaped(text: str) -> str:
    """Character references resolved. `int()` refuses 4,300 digits, and html.unescape passes that on as ValueError."""
    if "&" not in text:
        return text
    return unescape(_LONG_NUMBER.sub("\ufffd", text)).replace("\xa0", " ")


def _block(page: _Page, name: str, *, closing: bool) -> None:
    if name in _PARAGRAPHS:
        page.end_paragraph()
    else:
        page.end_line()
    if name == "blockquote":
        page.quoted = max(page.quoted + (-1 if closing else 1), 0)
    elif name == "pre":
        page.preformatted = max(page.preformatted + (-1 if closing else 1), 0)
    elif name == "li" and not closing:
        page.line.append("- ")


def _link(page: _Page, attributes: str, *, closing: bool) -> None:
    if not closing:
        href = _HREF.search(attributes)
        target = _unescaped(next((g for g in href.groups() if g), "")) if href else ""
        page.links = [("".join(target.split()), len(page.line))]
        return
    if page.links:
        target, since = page.links.pop()
        shown = "".join(page.line[since:]).strip()
        if shown and target.lower().startswith(("http://", "https://")) and shown not in target:
            page.line.append(f" <{target}>")
