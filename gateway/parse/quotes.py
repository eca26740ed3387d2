"""The new text of an answer: what the author wrote, without the history his mail program put around it.

A line state machine over patterns kept as data; every look goes a bounded way, so the time is linear. Where it is in
doubt it keeps: losing the author's words is worse than showing a quotation twice. Signatures stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.parse.quote_patterns import (
    ABOVE_THIS_LINE,
    FROM_WORDS,
    HEADER_WORDS,
    OPENINGS,
    SEPARATORS,
    UNDASHED_SEPARATORS,
    WROTE,
)

_LOOKED_AT = 64 * 1024
"""Characters looked at. Nobody writes more above a quotation; what lies behind follows the last decision."""
_LINE = 400
"""Longer lines are somebody's paragraph, never a mail program's mark."""
_ATTRIBUTION_LINES = 5
_TAIL = 40
_SHORTEST_DATED = 12
_HEADER_LINES = 12

_FIRST_WORDS = FROM_WORDS | {
    words.split()[0].rstrip(":") for words in (*OPENINGS, *UNDASHED_SEPARATORS, *ABOVE_THIS_LINE)
}
_WROTE = re.compile("|".join(re.escape(verb) for verb in WROTE), re.IGNORECASE)
_WHEN_OR_WHO = re.compile(r"\d{1,2}[:.h]\d{2}|\b(?:19|20)\d{2}\b|(?:19|20)\d{2}年|[^\s@<]@[^\s@>]")
_DIGIT = re.compile(r"\d")
_GMAIL_DATE = re.compile(r"\d{4}-\d\d-\d\d \d{1,2}:\d\d (?:GMT|UTC)|\d{4}/\d{1,2}/\d{1,2} \S")
_DASHED = re.compile(r"\s{0,10}[*_]{0,2}[-_=—]{2,}\s{0,5}(.{1,80}?):?\s{0,5}[-_=—]{2,}[*_]{0,2}\s*")
_RULE = re.compile(r"\s{0,10}(?:[_—-]\s?){8,}\s*")
_HEADER_LINE = re.compile(r"[\s*>]{0,8}([^\s:：*][^:：*]{0,25}?)\s{0,3}\*?\s?[:：]")


@dataclass(slots=True)
class _Quoted:
    """Lines found to be history: `cut` is where everything to the end is, `dropped` are single lines before it."""

    cut: int
    dropped: set[int]


def without_quotes(text: str) -> str:
    """`text` without quoted history; never empty when the text is not. Linear in time."""
    if not text:
        return text
    head, tail = text[:_LOOKED_AT], text[_LOOKED_AT:]
    lines = head.split("\n")
    quoted = _find(lines)
    kept = [line for index, line in enumerate(lines[: quoted.cut]) if index not in quoted.dropped]
    new = "\n".join(kept)
    if tail and quoted.cut == len(lines):
        new += tail
    new = _trimmed(new)
    return new if new.strip() else text


def _trimmed(text: str) -> str:
    """Without empty lines around: the first line keeps its indentation."""
    text = text.rstrip()
    first = len(text) - len(text.lstrip())
    return text[text.rfind("\n", 0, first) + 1 :]


def _find(lines: list[str]) -> _Quoted:
    dropped: set[int] = set()
    written = False
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line or line.isspace():
            at += 1
            continue
        if line[0] == ">" and not _is_attribution_tail(line):
            at += 1
            continue
        if not _may_matter(line):
            written = True
            at += 1
            continue
        if written and (_is_separator(line) or _begins_header_block(lines, at)):
            return _end_of_text(lines, at, dropped)
        behind = _behind_attribution(lines, at)
        if behind:
            body = _next_written(lines, behind)
            if body == len(lines) or lines[body][0] in ">|":
                quote_end = _behind_quote(lines, body)
                dropped.update(range(at, quote_end))
                at = quote_end
                continue
            if written:
                return _end_of_text(lines, at, dropped)
            dropped.update(range(at, behind))
            at = behind
            continue
        written = True
        at += 1
    return _end_of_text(lines, len(lines), dropped)


def _end_of_text(lines: list[str], cut: int, dropped: set[int]) -> _Quoted:
    """Quotation, and empty lines with it, that ends the text goes too: nothing was answered to it."""
    end = cut
    while end and (end - 1 in dropped or not lines[end - 1].strip() or lines[end - 1].startswith(">")):
        end -= 1
    return _Quoted(end or cut, dropped)


def _may_matter(line: str) -> bool:
    """A cheap look at the beginning: most lines of most texts are nobody's mark."""
    if len(line) > _LINE:
        return False
    word = line.split(None, 1)[0]
    if word[0].isdigit():
        return len(line) >= _SHORTEST_DATED
    if not word[0].isalpha():
        return word[0] not in "{}[]()<#&/|+.,\"'" or "@" in line or "above" in line
    return not word[0].isascii() or "@" in line or word.partition(":")[0].rstrip("*").lower() in _FIRST_WORDS


def _is_attribution_tail(line: str) -> bool:
    """`> wrote:` is the wrapped end of an attribution, where the address itself was broken."""
    return line.endswith(":") and len(line) <= _TAIL and not line.startswith(">>") and bool(_WROTE.search(line))


def _next_written(lines: list[str], at: int) -> int:
    while at < len(lines) and not lines[at].strip():
        at += 1
    return at


def _behind_quote(lines: list[str], at: int) -> int:
    """Behind a block of quoted lines and the empty lines within it."""
    if at == len(lines):
        return at
    mark = lines[at][0]
    end = at
    while at < len(lines):
        if lines[at].startswith(mark):
            end = at + 1
        elif lines[at].strip():
            break
        at += 1
    return end


def _behind_attribution(lines: list[str], at: int) -> int:
    """Behind the attribution (`On … wrote:`) that begins here, over up to five lines; 0 when there is none."""
    first = lines[at].strip().lstrip("*").strip()
    if len(first) > _LINE or not _may_begin_attribution(first):
        return 0
    if _is_undashed_gmail(lines, at, first):
        return at + 1
    gathered = ""
    seen = 0
    for index in range(at, min(at + 3 * _ATTRIBUTION_LINES, len(lines))):
        line = lines[index].strip().rstrip("*")
        if not line:
            if seen and not _WHEN_OR_WHO.search(gathered):
                return 0
            continue
        if len(line) > _LINE or seen == _ATTRIBUTION_LINES or (line[0] in ">|" and len(line) > _TAIL):
            return 0
        gathered = f"{gathered} {line}"
        seen += 1
        if line.endswith((":", "：", "wrote ----")) and _attributes(gathered):
            return index + 1
        if line.endswith(":") and _WROTE.search(line):
            return 0
    return 0


def _may_begin_attribution(line: str) -> bool:
    if not line:
        return False
    lowered = line[:200].lower()
    if lowered.startswith(OPENINGS) or lowered[0].isdigit():
        return bool(_WHEN_OR_WHO.search(line)) or bool(_DIGIT.search(line))
    return "@" in lowered and bool(_WROTE.search(line))


def _attributes(gathered: str) -> bool:
    if not _WHEN_OR_WHO.search(gathered):
        return False
    if _WROTE.search(gathered):
        return True
    return bool(_GMAIL_DATE.match(gathered.strip())) and gathered.endswith(">:")


def _is_undashed_gmail(lines: list[str], at: int, first: str) -> bool:
    """`2013/7/20 name <address>`, without verb or colon: only with a quotation right behind it."""
    if not (_GMAIL_DATE.match(first) and first.endswith(">")):
        return False
    behind = _next_written(lines, at + 1)
    return behind < len(lines) and lines[behind][0] in ">|"


def _is_separator(line: str) -> bool:
    lowered = line.strip().lower()
    if lowered in UNDASHED_SEPARATORS or any(words in lowered for words in ABOVE_THIS_LINE):
        return True
    dashed = _DASHED.fullmatch(lowered)
    return dashed is not None and dashed[1].strip().startswith(SEPARATORS)


def _begins_header_block(lines: list[str], at: int) -> bool:
    """`From: … Sent: … To: …` as Outlook writes it, also behind a rule; at least three of its lines."""
    if _RULE.fullmatch(lines[at][:_LINE]):
        at = _next_written(lines, at + 1)
    if at >= len(lines) or _header_word(lines[at]) not in FROM_WORDS:
        return False
    known = 1
    for line in lines[at + 1 : at + _HEADER_LINES]:
        word = _header_word(line)
        known += word in HEADER_WORDS
        if known >= 3:
            return True
    return False


def _header_word(line: str) -> str:
    match = _HEADER_LINE.match(line)
    return match[1].strip().lower().split(" ")[0] if match else ""
