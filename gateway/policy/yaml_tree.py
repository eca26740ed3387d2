"""YAML 1.2 text to a tree of nodes that know where they stand; nothing is built from tags, nothing is shared.

Only the event stream of ruamel.yaml is used: its constructors resolve timestamps and tags, its composer recurses
(deep nesting would exhaust the stack) and expands aliases (the "billion laughs").
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)
from ruamel.yaml.reader import ReaderError

from gateway.policy.broken_yaml import Stop, broken_syntax
from gateway.policy.cures import bracket_missing, line_from, not_taken, odd_characters, quoted_rest
from gateway.policy.problems import PolicyError, Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32

Scalar = str | int | float | bool | None

_DIRECTIVE = re.compile(r"\ufeff?(?:[ \t]*(?:#[^\n]*)?\r?\n)*(?!%YAML 1\.2\s|%TAG\s)(%[A-Za-z][^\r\n]*)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NULL = re.compile(r"|~|null|Null|NULL")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_OCTAL = re.compile(r"0o[0-7]{1,18}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(slots=True)
class Node:
    """A value and where it begins (line and column from 1). Exactly one of the three contents is in use."""

    line: int
    column: int
    scalar: Scalar = None
    raw: str = ""
    quoted: bool = False
    items: list[Node] | None = None
    entries: dict[str, Entry] | None = None

    @property
    def is_null(self) -> bool:
        """True for no value, `~` and `null`."""
        return self.scalar is None and self.items is None and self.entries is None

    def value(self) -> object:
        """Plain Python: str, int, float, bool, None, tuple, dict. The depth is bounded, so this may recurse."""
        if self.entries is not None:
            return {key: entry.node.value() for key, entry in self.entries.items()}
        if self.items is not None:
            return tuple(item.value() for item in self.items)
        return self.scalar


@dataclass(slots=True)
class Entry:
    """A key of a mapping, where the key stands, and its value."""

    line: int
    column: int
    node: Node


@dataclass(slots=True)
class _Open:
    """A collection being filled; `key` waits for its value."""

    node: Node
    path: str
    key: tuple[str, int, int] | None = None


@dataclass(slots=True)
class _Builder:
    text: str
    lenient: bool
    problems: list[Problem] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    root: Node | None = None
    documents: int = 0
    anchors: set[str] = field(default_factory=set)

    def take(self, event: Event) -> None:
        if isinstance(event, DocumentStartEvent):
            self._begin(event)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self.stack.pop()
        elif isinstance(event, NodeEvent):
            self._node(event)

    def _begin(self, event: DocumentStartEvent) -> None:
        self.documents += 1
        if self.documents > 1:
            self._stop(event, "a policy is one document: remove the line `---` and what belongs to another document")
        if event.tags:
            self._stop(event, "%TAG is not taken: remove the line")

    def _node(self, event: NodeEvent) -> None:
        line, column = _place(event)
        if isinstance(event, AliasEvent) or event.anchor is not None or getattr(event, "tag", None) is not None:
            cure = not_taken(self.text, line, column, defined=self._is_anchored(event))
            self.problems.append(Problem(line, column, self._path(), cure))
        if isinstance(event, ScalarEvent):
            self._look_at(event)
            if _SURROGATE.search(event.value):  # written as an escape, "\\ud800"; no text holds one
                self._stop(event, "half of a surrogate pair is no character: remove the escape")
            self._add(Node(line, column, _resolve(event), event.value, not event.implicit[0]), is_key=self._wants_key())
        elif isinstance(event, AliasEvent):
            self._add(Node(line, column, "", ""), is_key=self._wants_key())
        elif isinstance(event, MappingStartEvent):
            self._open(event, Node(line, column, entries={}))
        else:  # a sequence
            self._open(event, Node(line, column, items=[]))

    def _is_anchored(self, event: NodeEvent) -> bool:
        """True for an alias whose anchor was seen, and for an anchor that is used further down: both are meant."""
        if isinstance(event, AliasEvent):
            return event.anchor in self.anchors
        if event.anchor is not None:
            self.anchors.add(event.anchor)
        return event.anchor is not None and f"*{event.anchor}" in self.text

    def _look_at(self, event: ScalarEvent) -> None:
        """Unquoted text that a word processor wrote: it would be taken, and match nothing."""
        if not event.implicit[0] or self.lenient:
            return
        message = odd_characters(event.value, is_key=self._wants_key())
        if message:
            line, column = _place(event)
            self.problems.append(Problem(line, column, self._path(), message))

    def _open(self, event: NodeEvent, node: Node) -> None:
        if self._wants_key():
            line, column = _place(event)
            is_doubled = line_from(self.text, line, column - 1).startswith("{{") if column > 1 else False
            missing = bracket_missing(self.text, line, column)
            self._stop(event, missing or quoted_rest(self.text, line, column - is_doubled))
        if len(self.stack) >= MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} levels deep: write it flatter")
        path = self._path()
        self._add(node, is_key=False)
        self.stack.append(_Open(node, path))

    def _add(self, node: Node, *, is_key: bool) -> None:
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        if is_key:
            parent.key = (node.raw, node.line, node.column)
        elif parent.key is not None:
            self._entry(parent, node)
        else:
            assert parent.node.items is not None
            parent.node.items.append(node)

    def _entry(self, parent: _Open, node: Node) -> None:
        assert parent.key is not None
        assert parent.node.entries is not None
        name, line, column = parent.key
        parent.key = None
        first = parent.node.entries.get(name)
        if first is None:
            parent.node.entries[name] = Entry(line, column, node)
            return
        message = f"`{shorten(name)}` stands here twice (first in line {first.line}): join the two, or remove one"
        self.problems.append(Problem(line, column, f"{parent.path}.{name}".lstrip("."), message))

    def _wants_key(self) -> bool:
        return bool(self.stack) and self.stack[-1].node.entries is not None and self.stack[-1].key is None

    def _path(self) -> str:
        if not self.stack:
            return ""
        top = self.stack[-1]
        if top.key is not None:
            return f"{top.path}.{top.key[0]}".lstrip(".")
        return f"{top.path}[{len(top.node.items)}]" if top.node.items is not None else top.path

    def _stop(self, event: Event, message: str) -> None:
        line, column = _place(event)
        raise PolicyError([*self.problems, Problem(line, column, self._path(), message)])


def read_tree(text: str, *, lenient: bool = False) -> Node:
    """The document as a tree; an empty text is an empty mapping.

    Raises PolicyError for what is no YAML, and for aliases, anchors, tags, duplicate keys, a second document, more than
    256 KiB (looked at before anything is parsed) and nesting beyond 32 levels; unless `lenient`, for characters that only
    look like those of YAML, too.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise PolicyError([Problem(1, 1, "", f"the document has {size} bytes, more than {MAX_BYTES}: shorten it")])
    directive = None if lenient else _DIRECTIVE.match(text)
    if directive:
        line = text.count("\n", 0, directive.start(1)) + 1
        said = f"a policy is YAML 1.2 and has no directives: remove the line `{shorten(directive[1])}`"
        raise PolicyError([Problem(line, 1, "", said)])
    builder = _Builder(text, lenient)
    for event in _events(text):
        builder.take(event)
    if builder.problems:
        raise PolicyError(builder.problems)
    if builder.root is None or builder.root.is_null:
        return Node(1, 1, entries={})
    return builder.root


def _events(text: str) -> Iterator[Event]:
    r"""The parser's events. Its scanner lets errors of its conversions slip (`"\UFFFFFFFF"`: OverflowError)."""
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        line, column = _mark(error.problem_mark or error.context_mark) or (1, 1)
        stop = Stop(text, line, column, str(error.problem or error.context), _mark(error.context_mark))
        raise PolicyError([broken_syntax(stop)]) from None
    except ReaderError as error:
        raise PolicyError([_bad_character(text, error.position)]) from None
    except (YAMLError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, AssertionError) as error:
        message = f"this is not YAML ({type(error).__name__}): look for an escape such as \\U or \\x in double quotes"
        raise PolicyError([Problem(1, 1, "", message)]) from None


def _mark(mark: Any) -> tuple[int, int] | None:
    return (mark.line + 1, mark.column + 1) if mark else None


def _bad_character(text: str, position: int) -> Problem:
    if text.count("\0") > len(text) // 4:  # every other octet of plain English
        return Problem(1, 1, "", "this is UTF-16: save the file as UTF-8 (in Notepad: Save as, Encoding)")
    before = text[:position]
    line, column = before.count("\n") + 1, position - before.rfind("\n")
    code = ord(text[position]) if position < len(text) else 0
    return Problem(line, column, "", f"the character U+{code:04X} may not stand in a document: remove it")


def _place(event: Event) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def shorten(text: str, limit: int = 60) -> str:
    """Text for one line of a message."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _resolve(event: ScalarEvent) -> Scalar:
    """The core schema of YAML 1.2 (section 10.3.2), and nothing else: `no`, `on`, `9:30` and dates are text."""
    raw: str = event.value
    if not event.implicit[0]:
        return raw
    if _NULL.fullmatch(raw):
        return None
    if _TRUE.fullmatch(raw):
        return True
    if _FALSE.fullmatch(raw):
        return False
    return _number(raw)


def _number(raw: str) -> str | int | float:
    if _INT.fullmatch(raw):
        return int(raw)
    if _OCTAL.fullmatch(raw) or _HEX.fullmatch(raw):
        return int(raw, 0)
    if len(raw) <= 40 and _FLOAT.fullmatch(raw):
        number = float(raw)
        return number if math.isfinite(number) else raw
    return raw
