"""Fields of the form `value; name=value` (RFC 2045 section 5.1) with the extensions of RFC 2231."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from gateway.core.addresses import without_controls
from gateway.core.ambiguity import FILE_NAME
from gateway.parse.charsets import header_octets_text, word_text
from gateway.parse.defects import Defects
from gateway.parse.limits import PARAMETERS, require
from gateway.parse.words import decode_words

_EXTENDED = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*?)")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_Numbered = dict[int, list[tuple[str, bool]]]
_Pieces = dict[str, _Numbered]
_QUOTED_END = re.compile(r'(?:[^"\\]|\\.)*+"', re.DOTALL)


@dataclass(slots=True)
class Parameters:
    """A parsed field: the value in lower case without comments, the parameters by lower-case name as written.

    `plain` holds each parameter's readings, first one first; `extended` those in RFC 2231 form, decoded. `misread` is
    what other programs make of some: cut at a blank or semicolon that should have been quoted, or one of several pieces
    with the same number. `written` is the whole field.
    """

    value: str
    plain: dict[str, list[str]] = field(default_factory=dict)
    extended: dict[str, str] = field(default_factory=dict)
    misread: dict[str, list[str]] = field(default_factory=dict)
    written: str = ""

    def token(self, name: str) -> str | None:
        """The parameter as a token: what mail programs take for a charset or a boundary."""
        written = self.plain.get(name)
        return _without_comment(written[0]) if written else self.extended.get(name)

    def texts(self, name: str, defects: Defects) -> list[str]:
        """Every reading of the parameter as text for people: RFC 2231 form first, encoded-words decoded."""
        found = [self.extended[name]] if name in self.extended else []
        found += self.plain.get(name, ())
        if not found:
            return found
        decoded = [decode_words(text, defects) if "=?" in text else text for text in found]
        if any("\0" in text for text in decoded):  # `a.exe` to a program that ends the text there
            defects.add(FILE_NAME)
        return [text for text in (without_controls(text).strip() for text in decoded) if text]


def read_parameters(octets: bytes, defects: Defects) -> Parameters:
    """Reads a field value; never raises but TooComplex. An unterminated quoted-string goes to the end of the field."""
    if not octets:
        return Parameters("")
    text = header_octets_text(octets, defects)
    value, semicolon, rest = text.partition(";")
    read = Parameters(_without_comment(value).lower(), written=text)
    if semicolon:
        pairs = _pairs(rest, read.misread)
        require("parameters of a field", len(pairs), PARAMETERS)
        pieces: _Pieces = {}
        for name, written in pairs:
            _take(read, pieces, name, written)
        for name, numbered in pieces.items():
            read.extended[name] = _assembled([numbered[number][0] for number in sorted(numbered)], defects)
            if other := _misreadings(numbered, defects):
                read.misread.setdefault(name, []).extend(other)
    return read


def _pairs(text: str, misread: dict[str, list[str]]) -> list[tuple[str, str]]:
    """(name, value) of each parameter, unquoted, in one walk over the text."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        semicolon = text.find(";", at)
        semicolon = semicolon if semicolon >= 0 else len(text)
        equals = text.find("=", at, semicolon)
        if equals < 0:
            at = semicolon + 1
            continue
        name = text[at:equals].strip().lower()
        at = equals + 1
        while text[at : at + 1].isspace():
            at += 1
        if text.startswith('"', at):
            closing = _QUOTED_END.match(text, at + 1)
            stop = closing.end() if closing else len(text)
            inner = text[at + 1 : stop - 1] if closing else text[at + 1 :]
            found.append((name, _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner))
            after = text.find(";", stop)
            after = after if after >= 0 else len(text)
            glued = text[stop:after] if closing and not text[stop : stop + 1].isspace() else ""
            if glued or not closing:
                misread.setdefault(name, []).append(inner + glued if closing else inner.partition(";")[0])
            at = after + 1
        else:
            word = text[at:semicolon].strip()
            found.append((name, word))
            if " " in word or "\t" in word:
                misread.setdefault(name, []).append(word.split(maxsplit=1)[0])
            at = semicolon + 1
    return found


def _take(read: Parameters, pieces: _Pieces, name: str, value: str) -> None:
    match = _EXTENDED.fullmatch(name) if "*" in name else None
    if match:
        number = int(match[2]) if match[2] else 0
        pieces.setdefault(match[1], {}).setdefault(number, []).append((value, bool(match[3])))
        return
    read.plain.setdefault(name, []).append(value)


def _misreadings(numbered: _Numbered, defects: Defects) -> list[str]:
    """What is read by who takes the last of pieces with one number, or all of them, or stops where a number misses."""
    found: list[str] = []
    if any(len(same) > 1 for same in numbered.values()):
        found.append(_assembled([numbered[number][-1] for number in sorted(numbered)], defects))
        found.append(_assembled([piece for number in sorted(numbered) for piece in numbered[number]], defects))
    row = list(
        itertools.takewhile(lambda pair: pair[0] == pair[1], zip(sorted(numbered), itertools.count(min(numbered))))
    )
    if len(row) < len(numbered):
        found.append(_assembled([numbered[number][0] for number, _ in row], defects))
    return found


def _assembled(pieces: list[tuple[str, bool]], defects: Defects) -> str:
    """RFC 2231 section 3 and 4: pieces in order of their numbers, charset and language before the first one's text."""
    charset = ""
    octets = b""
    for place, (written, percent) in enumerate(pieces):
        text = written
        if place == 0 and percent and written.count("'") >= 2:
            charset, _, text = written.split("'", 2)
        raw = text.encode("utf-8", "surrogateescape")
        octets += unquote_to_bytes(raw) if percent else raw
    return word_text(octets, charset or "utf-8", defects)


def _without_comment(value: str) -> str:
    """`us-ascii (Plain text)` is RFC 2045's own example. Not for file names: `a (1).pdf` is written unquoted too."""
    return value.partition("(")[0].strip() if value.endswith(")") and " (" in value else value.strip()
