"""All patterns of a policy as RE2 sets, one per field: the cost grows with the message, not with the number of rules.

RE2 matches in linear time, so no pattern an admin can write stalls the line (Cloudflare's outage of July 2019).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import re2

from gateway.core.addresses import BadAddress, canonical, normal_domain
from gateway.core.decision import Facts
from gateway.core.unseen import without_unseen
from gateway.policy.regex_cures import regex_cure

BODY_CHARACTERS = 65536
"""How much of a text conditions read. Stored facts keep as much: a replay must see what the first decision saw."""

_PATTERN_MEMORY_BYTES = 8 * 1024 * 1024
_SET_MEMORY_BYTES = 16 * 1024 * 1024
_ALL_SINGLE_MEMORY_BYTES = 64 * 1024 * 1024
"""For the automata of patterns that found no room in one set; each gets its share of it."""
_LEAST_MEMORY_BYTES = 64 * 1024
_BYTES_OF_INSTRUCTION = 24
"""RE2 gives two thirds of a pattern's memory to its program, 16 octets an instruction."""

MOST_INSTRUCTIONS = 10_000
"""Of one pattern's program in RE2. `.{1,1000}` has 9,000; what people write has fewer than a hundred."""
_CHECKED_MEMORY_BYTES = 2 * _BYTES_OF_INSTRUCTION * MOST_INSTRUCTIONS
"""With the eight megabytes a pattern may run in, RE2 needs up to half a second to find that one is far too large."""

_TOO_LARGE = "too large"


class BadPattern(ValueError):
    """A regular expression RE2 does not take; the text says why and what to do. `was_large`: to find out was work."""

    def __init__(self, message: str, *, was_large: bool = False) -> None:
        super().__init__(message)
        self.was_large = was_large


@dataclass(frozen=True, slots=True)
class Field:
    """A part of the message that patterns look at. `fold` gives the form in which case does not matter."""

    key: str
    read: Callable[[Facts], tuple[str, ...]]
    fold: Callable[[str], str]
    fold_pattern: Callable[[str], str]


def fold_text(text: str) -> str:
    """Text in the form in which neither case matters nor what is not seen: NFC, case-folded, without zero-width characters
    and their like. A word is found as its reader reads it.
    """
    return _fold_case(without_unseen(text))


def _fold_case(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def fold_address_pattern(pattern: str) -> str:
    """A wildcard or a piece of an address in the form of `canonical`: local part case-folded, domain as A-labels."""
    local, at, domain = pattern.rpartition("@")
    folded = _fold_case(pattern)
    if not domain or domain.isascii():
        return folded
    try:
        # `*` and `?` are no characters of a domain: the labels between the wildcards are converted one by one
        labels = [x if set(x) & set("*?") or not x else normal_domain(x) for x in domain.split(".")]
    except BadAddress:
        return folded
    return _fold_case(local) + at + ".".join(labels)


def text_field(key: str, read: Callable[[Facts], tuple[str, ...]]) -> Field:
    """A field of text."""
    return Field(key, read, fold_text, fold_text)


def address_field(key: str, read: Callable[[Facts], tuple[str, ...]]) -> Field:
    """A field of addresses, compared by the one grammar."""
    return Field(key, read, canonical, fold_address_pattern)


def check_regex(pattern: str) -> int:
    """How many instructions its program has. Raises BadPattern when RE2 does not take the pattern (look-around, backreferences,
    repetitions over 1000), or its program has more than 10,000 of them.
    """
    size: int = compiled(pattern, _CHECKED_MEMORY_BYTES).programsize
    if size > MOST_INSTRUCTIONS:
        raise BadPattern(
            f"this pattern becomes {size:,} steps, and at most {MOST_INSTRUCTIONS:,} are taken: repeat less ({{1,20}} instead "
            "of {1,200}), or use + and *",
            was_large=True,
        )
    return size


def compiled(pattern: str, memory_bytes: int = _PATTERN_MEMORY_BYTES) -> re2._Regexp:
    """The pattern as RE2 runs it, within so much memory. Raises BadPattern."""
    try:
        made = re2.compile(pattern.encode("utf-8", "replace"), options=_options(memory_bytes))
    except re2.error as error:
        raise BadPattern(_why(error, pattern), was_large=_TOO_LARGE in str(error)) from None
    if made.reverseprogramsize < 0:  # made late, and where it finds no memory RE2 says "no match"
        raise BadPattern("RE2 finds no memory to run this pattern backwards: repeat less", was_large=True)
    return made


def _why(error: re2.error, pattern: str) -> str:
    said = error.args[0] if error.args else ""
    reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return regex_cure(reason, pattern)


def wildcard_regex(pattern: str) -> str:
    """`*` is any text, `?` one character; a `*` at an end is left out with its anchor, which spares the automaton."""
    start = "" if pattern.startswith("*") else r"\A"
    end = "" if pattern.endswith("*") else r"\z"
    inner = pattern.strip("*")
    pieces = [".*" if c == "*" else "." if c == "?" else re2.escape(c) for c in inner]
    return f"(?s){start}{''.join(pieces)}{end}"


@dataclass(slots=True)
class PatternBook:
    """Collects the patterns of a policy; each gets a number within its field."""

    _fields: dict[str, _Collected] = field(default_factory=dict)

    def add(self, where: Field, kind: str, pattern: str) -> int:
        """The number of a pattern; `kind` is exact, wildcard, contains or regex. Raises BadPattern: a published policy can
        meet an RE2 that does not take what an older one took.
        """
        return self._fields.setdefault(where.key, _Collected(where)).add(kind, pattern)

    def compile(self) -> dict[str, FieldPatterns]:
        """The patterns by the key of their field, ready to match."""
        return {key: collected.compile() for key, collected in self._fields.items()}


@dataclass(slots=True)
class _Collected:
    where: Field
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    singles: dict[int, re2._Regexp] = field(default_factory=dict)

    def add(self, kind: str, pattern: str) -> int:
        number = self.numbers.get((kind, pattern))
        if number is not None:
            return number
        number = len(self.numbers)
        if kind != "exact":
            self.singles[number] = compiled(self._written(kind, pattern))
        self.numbers[kind, pattern] = number
        return number

    def _written(self, kind: str, pattern: str) -> str:
        """The pattern as a regular expression of what it is compared with."""
        if kind == "regex":
            return pattern
        if _asks_for_unseen(pattern):
            return wildcard_regex(pattern) if kind == "wildcard" else re2.escape(pattern)
        folded = self.where.fold_pattern(pattern)
        return wildcard_regex(folded) if kind == "wildcard" else re2.escape(folded)

    def compile(self) -> FieldPatterns:
        exact: dict[str, set[int]] = {}
        for (kind, pattern), number in self.numbers.items():
            if kind == "exact":
                exact.setdefault(self.where.fold(pattern), set()).add(number)
        written = {n for (kind, pattern), n in self.numbers.items() if kind == "regex" or _asks_for_unseen(pattern)}
        return FieldPatterns(
            self.where,
            {key: frozenset(numbers) for key, numbers in exact.items()},
            Matching.of({n: p for n, p in self.singles.items() if n not in written}),
            Matching.of({n: p for n, p in self.singles.items() if n in written}),
        )


def _asks_for_unseen(pattern: str) -> bool:
    """True for one of nothing but characters that are not seen: it is about them, and without them would hold for all mail."""
    return pattern.strip("*?") != "" == without_unseen(pattern).strip("*?")


@dataclass(frozen=True, slots=True)
class FieldPatterns:
    """The patterns of one field: exact values by look-up, the case-blind and the regular expressions as sets. A regex is tried
    on the text as it is written, since it may look for what is not seen, and on the text as it is read.
    """

    where: Field
    exact: dict[str, frozenset[int]]
    folded: Matching
    written: Matching

    def match(self, value: str) -> frozenset[int]:
        """The numbers of all patterns that hold for this value."""
        shown = value[:BODY_CHARACTERS]
        folded = self.where.fold(shown)
        found = self.folded.match(folded) | self.written.match(shown)
        if self.written.patterns and (read := without_unseen(shown)) != shown:
            found |= self.written.match(read)
        return found | self.exact.get(folded, frozenset())


@dataclass(frozen=True, slots=True)
class Matching:
    """Regular expressions and their numbers: a set where RE2 has the memory for it, else each by itself.

    The last pattern of every set is the empty one, which always matches: RE2::Set reports "out of memory" as no match,
    and a rule must never fall silent because of that.
    """

    patterns: tuple[tuple[int, re2._Regexp], ...]
    together: re2.Set | None

    @classmethod
    def of(cls, patterns: Mapping[int, re2._Regexp]) -> Matching:
        together = _set_of([p.pattern for p in patterns.values()]) if len(patterns) > 1 else None
        singles = patterns if together is not None or len(patterns) == 1 else _within_memory(patterns)
        return cls(tuple(singles.items()), together)

    def match(self, text: str) -> frozenset[int]:
        if not self.patterns:
            return frozenset()
        raw = text.encode("utf-8", "replace")
        if self.together is not None:
            found = self.together.Match(raw) or []
            if len(self.patterns) in found:
                return frozenset(self.patterns[i][0] for i in found if i < len(self.patterns))
        return frozenset(number for number, pattern in self.patterns if pattern.search(raw))


def _within_memory(patterns: Mapping[int, re2._Regexp]) -> dict[int, re2._Regexp]:
    """The same patterns, whose automata together keep to a bound: with less of it RE2 is slower, and as right."""
    share = _ALL_SINGLE_MEMORY_BYTES // max(1, len(patterns))
    return {number: _bounded(pattern, share) for number, pattern in patterns.items()}


def _bounded(pattern: re2._Regexp, share: int) -> re2._Regexp:
    needed = _LEAST_MEMORY_BYTES + 2 * _BYTES_OF_INSTRUCTION * max(pattern.programsize, pattern.reverseprogramsize)
    if max(share, needed) >= _PATTERN_MEMORY_BYTES:
        return pattern
    try:
        return re2.compile(pattern.pattern, options=_options(max(share, needed)))
    except re2.error:  # parsed, it needs more for a moment than its program does
        return pattern


def _set_of(patterns: list[bytes]) -> re2.Set | None:
    together = re2.Set.SearchSet(_options(_SET_MEMORY_BYTES))
    try:
        for pattern in [*patterns, b""]:
            together.Add(pattern)
        together.Compile()
    except re2.error:  # more memory than a set may take: correct all the same, only slower
        return None
    return together


def _options(memory_bytes: int = _PATTERN_MEMORY_BYTES) -> re2.Options:
    options = re2.Options()
    options.log_errors = False  # RE2 would print to stderr
    options.max_mem = memory_bytes
    options.never_capture = True
    return options
