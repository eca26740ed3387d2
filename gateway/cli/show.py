"""What commands print: one JSON document, a table, or a page of lines.

Colours and boxes on a terminal only; elsewhere plain text. Whatever is shown may stem from mail, so all of it is washed:
no control characters (ANSI escapes begin with one), no markup, no characters that turn the direction of what follows.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from gateway.cli.streams import give_up, put
from gateway.core.addresses import without_controls

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_RAW_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_GOOD = "green"
_BAD = "bold red"
_LATER = "yellow"
_STYLES = (
    dict.fromkeys(
        ("accepted", "accept", "ticketed", "delivered", "verified", "pass", "clean", "kept", "matched"), _GOOD
    )
    | dict.fromkeys(("refused", "reject", "forged", "infected", "failed", "fail", "permerror", "stripped"), _BAD)
    | dict.fromkeys(("deferred", "defer", "retry", "pending", "withheld", "held", "temperror", "softfail"), _LATER)
    | dict.fromkeys(("quarantined", "quarantine", "parked", "ignored", "ignore", "unverified", "indeterminate"), _LATER)
    | dict.fromkeys(("unscannable", "unscanned"), _LATER)
    | dict.fromkeys(("open", "available", "in-email"), _GOOD)
    | dict.fromkeys(("done", "none", "owed", "neutral", "closed", "cancelled", "not matched", "not reached"), "dim")
)


@dataclass(frozen=True, slots=True)
class Words:
    """Text with a style (rich's names) that counts on a terminal only."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page: `head` fills `width` columns from `indent` on, `body` wraps beside it."""

    head: tuple[Words, ...] = ()
    body: tuple[Words, ...] = ()
    indent: int = 0
    width: int = 0


Cell = Words | str | int | None

SHORT_CELL = 20
"""Columns up to this width (times, trace ids, states) stay on one line; longer ones give way on a narrow terminal."""
HANDLE_CELL = 40
"""Up to this width a column of single words stays whole too: ids and addresses, which are copied into the next command."""
_HANDLE = re.compile(r"[!-~]+|\S+@\S+")
LEAST_CELL = 12
"""So narrow a longer column may become before rows are shown one below the other."""
_BETWEEN, _EDGES = 3, 2
"""What rich puts between two columns, and at the two ends of a line."""


def washed(text: str) -> str:
    """One line, nothing in it that a terminal would obey."""
    return _TURNS.sub("", without_controls(text))


def state(name: str) -> Words:
    """A state or outcome in its colour."""
    return Words(name, _STYLES.get(name, ""))


def moment(rfc3339: str | None) -> str:
    """`2026-11-21 12:03:04Z` from RFC 3339; empty for None."""
    return f"{_utc(rfc3339):%Y-%m-%d %H:%M:%SZ}" if rfc3339 else ""


def clock(rfc3339: str) -> str:
    """`12:03:04.123`, UTC."""
    at = _utc(rfc3339)
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"


def day(rfc3339: str) -> str:
    return f"{_utc(rfc3339):%Y-%m-%d}"


def _utc(rfc3339: str) -> datetime:
    return datetime.fromisoformat(rfc3339).astimezone(UTC)


def size(size_bytes: int) -> str:
    """`812 bytes`, `1.2 MB` (powers of 1000, as interfaces write them)."""
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    amount, unit = size_bytes / 1000, "kB"
    if amount >= 1000:
        amount, unit = amount / 1000, "MB"
    return f"{amount:.1f} {unit}"


def document(value: object) -> None:
    """The one JSON document of `--json`: on one line, indented for people at a terminal."""
    _print_json(value, 2 if sys.stdout.isatty() else None)


def record(value: object) -> None:
    """One object of many that follow each other, on a line of its own wherever it is printed."""
    _print_json(value, None)


def _print_json(value: object, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # JSON lets DEL, C1 controls and direction marks stand as they are; a terminal would obey them
    put(_RAW_CONTROLS.sub(lambda m: f"\\u{ord(m.group()):04x}", text) + "\n")


def say(text: str) -> None:
    """One plain line on standard output."""
    put(washed(text) + "\n")


def verbatim(text: str) -> None:
    """A text of several lines as it is, but for control characters."""
    put("".join(f"{_TURNS.sub('', without_controls(x))}\n" for x in text.splitlines()))


def complain(text: str, prefix: str = "gateway: ") -> None:
    """Plain lines on standard error, where it takes them: the exit code tells too, and is not changed by a log that is full."""
    try:
        sys.stderr.write("".join(f"{prefix}{washed(x)}\n" for x in str(text).splitlines() or [""]))
        sys.stderr.flush()
    except (OSError, AttributeError):  # None where there was none at the start
        give_up(sys.stderr)


def _for_eyes() -> bool:
    """A terminal reads it, or somebody who says so (FORCE_COLOR) to show it on one."""
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


# --- tables ---


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, empty: str) -> None:
    """A table; `empty` is said instead where there is nothing to show (on a terminal; elsewhere nothing is nothing)."""
    cells = [[_words(c) for c in row] for row in rows]
    if _for_eyes():
        if cells:
            _rich_table(columns, cells)
        else:
            say(empty)
        return
    for line in _aligned([[Words(c) for c in columns], *cells] if cells else []):
        put(line + "\n")


def _words(cell: Cell) -> Words:
    if isinstance(cell, Words):
        return Words(washed(cell.text), cell.style)
    return Words("-" if cell is None or cell == "" else washed(str(cell)))


def _aligned(rows: Sequence[Sequence[Words]]) -> list[str]:
    """Columns padded to one width and parted by a tab: `cut -f` and the eye both read them."""
    widths = [max(_cells(row[n].text) for row in rows) for n in range(len(rows[0]))] if rows else []
    padded = (zip(row, widths, strict=True) for row in rows)
    return ["\t".join(_padded(w.text, width) for w, width in line).rstrip() for line in padded]


def _cells(text: str) -> int:
    """Columns of a terminal: one letter of Chinese or Japanese takes two, a combining mark none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _cells(text))


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[Words]]) -> None:
    """Side by side where there is room. An id that is cut, or a column that is gone, misleads: then one below the other."""
    widths = [max(_cells(row[n].text) for row in rows) for n in range(len(columns))]
    whole = [_is_whole(width, [row[n].text for row in rows]) for n, width in enumerate(widths)]
    # a title is as little cut as what stands below it
    least = [
        max(w if is_whole else LEAST_CELL, _cells(c)) for w, is_whole, c in zip(widths, whole, columns, strict=True)
    ]
    if sum(least) + _BETWEEN * (len(columns) - 1) + _EDGES > _console().width:
        _stacked(columns, rows, [width <= SHORT_CELL for width in widths])
    else:
        _side_by_side(columns, rows, whole, least)


def _is_whole(width: int, texts: Sequence[str]) -> bool:
    """No cell of this column is broken over lines."""
    return width <= SHORT_CELL or (width <= HANDLE_CELL and all(_HANDLE.fullmatch(x) for x in texts))


def _side_by_side(
    columns: Sequence[str], rows: Sequence[Sequence[Words]], whole: Sequence[bool], least: Sequence[int]
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number, title in enumerate(columns):
        justify: Literal["left", "right"] = "right" if all(row[number].text.isdigit() for row in rows) else "left"
        shown.add_column(title, justify=justify, overflow="fold", no_wrap=whole[number], min_width=least[number])
    for row in rows:
        shown.add_row(*(Text(w.text, style=w.style) for w in row))
    _console().print(shown)


def _stacked(columns: Sequence[str], rows: Sequence[Sequence[Words]], short: Sequence[bool]) -> None:
    """Each row a few lines: what it is first, what is short beside it, what is long below it with its title."""
    titles = [title for title, is_short in zip(columns[1:], short[1:], strict=True) if not is_short]
    width = max(map(_cells, titles), default=0) + 2
    lines = []
    for row in rows:
        told = [(title, w) for title, w in zip(columns, row, strict=True) if w.text != "-"]
        beside: list[Words] = []
        for title, words in told:
            if title not in titles:
                gap = "  " if beside else ""
                beside += [Words(f"{gap}{title} " if title else gap, "dim"), words]
        lines.append(Line(body=tuple(beside)))
        lines += [field(title, w, width=width) for title, w in told if title in titles]
    _rich_page(lines)


# --- pages ---


def page(lines: Iterable[Line]) -> None:
    """Lines one below the other; on a terminal they wrap beside their head."""
    if _for_eyes():
        _rich_page(lines)
        return
    for line in lines:
        head = _padded("".join(washed(w.text) for w in line.head), line.width)
        body = "".join(washed(w.text) for w in line.body)
        put((" " * line.indent + head + body).rstrip() + "\n")


def _rich_page(lines: Iterable[Line]) -> None:
    console = _console()
    for line in lines:
        head = _text(line.head)
        hang = max(line.width, head.cell_len)
        head.pad_right(hang - head.cell_len)
        room = max(console.width - line.indent - hang, 20)
        wrapped = list(_text(line.body).wrap(console, room, overflow="fold")) or [_text(())]
        console.print(_text((Words(" " * line.indent),)) + head + wrapped[0], soft_wrap=True)
        for rest in wrapped[1:]:
            console.print(_text((Words(" " * (line.indent + hang)),)) + rest, soft_wrap=True)


def _text(words: Sequence[Words]) -> Text:
    from rich.text import Text

    # spaces that indent are ours: washing would keep them, rich's markup is never read
    return Text.assemble(*((washed(w.text), w.style) for w in words))


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


# --- building blocks of pages ---


def heading(text: str, *more: Words) -> Line:
    return Line(body=(Words(text, "bold"), *more))


def field(name: str, *body: Words | str, indent: int = 2, width: int = 14) -> Line:
    """`name` in a column of its own, then what it is."""
    words = tuple(Words(b) if isinstance(b, str) else b for b in body)
    return Line(head=(Words(name, "dim"),), body=words, indent=indent, width=width)


def blank() -> Line:
    return Line()
