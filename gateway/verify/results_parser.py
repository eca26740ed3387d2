"""Authentication-Results that others wrote, read strictly (RFC 8601 section 2.2, RFC 8617 section 4.1.1).

What is not of the grammar is refused as a whole: a text that two readers read differently proves nothing (T17).
Four liberties are taken, because large providers write so: no authserv-id (Microsoft), properties without a ptype
(Microsoft's `action=none`), `/`, `=`, `:` in values that stand unquoted, and a semicolon at the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.core.reports import AuthResult

FIELD_OCTETS = 65_536
MAX_RESULTS = 100
MAX_PROPERTIES = 50

_WHITE = re.compile(r"[ \t\r\n]+")
_COMMENT_TEXT = re.compile(r"[^()\\]+")
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_NUMBER = re.compile(r"[0-9]{1,9}")
_ID = re.compile(r"[^][\x00-\x20\x7f()<>@,;:\\\"/?=]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_AT_DOMAIN = re.compile(r"@[A-Za-z0-9._-]+")
_PVALUE = re.compile(r"[^\x00-\x20\x7f()<>;\",\\]+")
_NOTHING = re.compile("<>")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|\n(?![ \t]|\Z)")


class Malformed(ValueError):
    """The text is not what RFC 8601 calls an Authentication-Results value; nothing in it counts."""


@dataclass(frozen=True, slots=True)
class ForeignResults:
    """`authserv_id` is empty where the writer gave none. Names and results are in lower case, values as they stand."""

    authserv_id: str
    results: tuple[AuthResult, ...]

    def only(self, method: str) -> AuthResult | None:
        """The one result of a method; None where there is none, or several that one could choose from."""
        found = [result for result in self.results if result.method == method]
        return found[0] if len(found) == 1 else None


def only_property(result: AuthResult, name: str) -> str | None:
    """The one value of a property such as `header.from`; None where there is none, or more than one."""
    found = [value for key, value in result.properties if key == name]
    return found[0] if len(found) == 1 else None


def parse_results(value: bytes) -> ForeignResults:
    """The value of an Authentication-Results field, or what follows the instance in an ARC one. Raises Malformed."""
    if len(value) > FIELD_OCTETS:
        raise Malformed("the field is too long")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8") from error
    if _FORBIDDEN.search(text):
        raise Malformed("control characters")
    reader = _Reader(text)
    authserv_id = _authserv_id(reader)
    return ForeignResults(authserv_id, _results(reader, bare=not authserv_id))


class _Reader:
    """A place in the text. `comments` are those passed since it was last emptied."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0
        self.comments: list[str] = []

    @property
    def next(self) -> str:
        return self._text[self.at : self.at + 1]

    def skip(self) -> None:
        """Pass blanks and comments (CFWS)."""
        while True:
            if blank := _WHITE.match(self._text, self.at):
                self.at = blank.end()
            elif self.next == "(":
                self._comment()
            else:
                return

    def _comment(self) -> None:
        start, depth = self.at, 0
        while True:
            char = self.next
            if not char:
                raise Malformed("a comment does not end")
            depth += {"(": 1, ")": -1}.get(char, 0)
            text = _COMMENT_TEXT.match(self._text, self.at)
            self.at = text.end() if text else self.at + (2 if char == "\\" else 1)
            if depth == 0:
                self.comments.append(self._text[start + 1 : self.at - 1])
                return

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Pass what `pattern` matches here; None when it does not."""
        found = pattern.match(self._text, self.at)
        if found:
            self.at = found.end()
        return found

    def word(self, pattern: re.Pattern[str], what: str) -> str:
        """Pass a word that must stand here, and the blanks around it. Raises Malformed."""
        self.skip()
        found = self.match(pattern)
        if found is None:
            raise Malformed(f"{what} expected at octet {self.at}")
        self.skip()
        return found.group()

    def take(self, char: str) -> bool:
        """Pass one character if it stands here."""
        self.skip()
        if self.next != char:
            return False
        self.at += 1
        return True

    def require(self, char: str) -> None:
        """Pass one character that must stand here. Raises Malformed."""
        if not self.take(char):
            raise Malformed(f"{char} expected at octet {self.at}")


def _authserv_id(reader: _Reader) -> str:
    """The writer's name, with its version passed; empty where the text begins with a result."""
    reader.skip()
    start = reader.at
    quoted = reader.match(_QUOTED)
    name = _unquoted(quoted) if quoted else reader.word(_ID, "authserv-id")
    reader.skip()
    if reader.next in ("=", "/"):
        reader.at = start
        reader.comments.clear()
        return ""
    reader.match(_NUMBER)
    return name.lower()


def _results(reader: _Reader, *, bare: bool) -> tuple[AuthResult, ...]:
    results: list[AuthResult] = []
    while True:
        if not bare and not _at_next_result(reader):
            return tuple(results)
        bare = False
        if len(results) == MAX_RESULTS:
            raise Malformed("too many results")
        result = _result(reader)
        if result is not None:
            results.append(result)


def _at_next_result(reader: _Reader) -> bool:
    """Pass the semicolon before a result; False at the end of the text."""
    reader.skip()
    if not reader.next:
        return False
    reader.require(";")
    reader.skip()
    return bool(reader.next)


def _result(reader: _Reader) -> AuthResult | None:
    """A resinfo, or None for the word `none` that says that there is nothing to say."""
    reader.comments.clear()
    method = reader.word(_KEYWORD, "method").lower()
    if method == "none" and reader.next in ("", ";"):
        return None
    if reader.take("/"):
        reader.word(_NUMBER, "version")
    reader.require("=")
    result = reader.word(_KEYWORD, "result").lower()
    properties: list[tuple[str, str]] = []
    while reader.next not in ("", ";"):
        if len(properties) == MAX_PROPERTIES:
            raise Malformed("too many properties")
        properties.append(_property(reader))
    return AuthResult(method, result, tuple(properties), "; ".join(reader.comments))


def _property(reader: _Reader) -> tuple[str, str]:
    name = reader.word(_KEYWORD, "property").lower()
    if reader.take("."):
        name += "." + reader.word(_KEYWORD, "property").lower()
    reader.require("=")
    reader.skip()
    return name, _value(reader)


def _value(reader: _Reader) -> str:
    """A comment glued to a value is refused: `legitimate.example(.attack.example` was written to be read in two ways."""
    if quoted := reader.match(_QUOTED):
        domain = reader.match(_AT_DOMAIN)
        value = _unquoted(quoted) + (domain.group() if domain else "")
    elif reader.match(_NOTHING):
        value = ""
    else:
        plain = reader.match(_PVALUE)
        if plain is None:
            raise Malformed(f"value expected at octet {reader.at}")
        value = plain.group()
    if reader.next not in ("", ";", " ", "\t", "\r", "\n"):
        raise Malformed(f"blank expected at octet {reader.at}")
    reader.skip()
    return value


def _unquoted(quoted: re.Match[str]) -> str:
    """The text of a quoted string, unfolded (RFC 5322 section 3.2.4)."""
    return re.sub(r"\\(.)", r"\1", re.sub(r"\r?\n(?=[ \t])", "", quoted.group(1)), flags=re.DOTALL)
