"""The Authentication-Results field we write (RFC 8601 section 2.2)."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.core.addresses import without_controls
from gateway.core.reports import AuthReport, AuthResult

LINE_OCTETS = 78
DETAIL_CHARACTERS = 200
VALUE_CHARACTERS = 320

_TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+")
_ADDRESS = re.compile(r"[!#$%&'*+/=?^_`{|}~.0-9A-Za-z-]+@[0-9A-Za-z._-]+")


def authentication_results(report: AuthReport, authserv_id: str, *, smtputf8: bool = False) -> str:
    """The field's value, folded with CRLF and a tab, without name and final CRLF.

    Every text in it comes from strangers: control characters are gone, what is no token is quoted. Without `smtputf8`
    it is ASCII, and other characters are shown as `?` (RFC 8601 section 2.2 allows UTF-8 only in RFC 6532 messages).
    """
    words = [_value(authserv_id, smtputf8=smtputf8) + ";"]
    if not report.results:
        return " ".join([*words, "none"])
    for n, result in enumerate(report.results):
        found = _words(result, smtputf8=smtputf8)
        if n < len(report.results) - 1:
            found[-1] += ";"
        # A resinfo begins on a line of its own.
        words += ["\n" + found[0], *found[1:]]
    return _fold(words)


def _words(result: AuthResult, *, smtputf8: bool) -> list[str]:
    words = [f"{result.method}={result.result}"]
    if result.detail:
        words += _comment(result.detail, smtputf8=smtputf8).split(" ")
    return words + [f"{name}={_value(value, smtputf8=smtputf8)}" for name, value in result.properties]


def _plain(text: str, longest: int, *, smtputf8: bool) -> str:
    if text.isascii() and text.isprintable() and " " not in text:
        return text[:longest]
    washed = " ".join(without_controls(text)[:longest].split())
    return washed if smtputf8 else washed.encode("ascii", "replace").decode("ascii")


def _comment(text: str, *, smtputf8: bool) -> str:
    return "(" + re.sub(r"([\\()])", r"\\\1", _plain(text, DETAIL_CHARACTERS, smtputf8=smtputf8)) + ")"


@lru_cache(maxsize=2048)
def _value(text: str, *, smtputf8: bool) -> str:
    """A value of RFC 2045, or an address; anything else as a quoted string."""
    plain = _plain(text, VALUE_CHARACTERS, smtputf8=smtputf8)
    if _TOKEN.fullmatch(plain) or _ADDRESS.fullmatch(plain):
        return plain
    return '"' + re.sub(r'(["\\])', r"\\\1", plain) + '"'


def _fold(words: list[str]) -> str:
    lines, line, octets = [], words[0], len(words[0].encode())
    for word in words[1:]:
        length = len(word.encode())
        begins = word.startswith("\n")
        if begins or octets + 1 + length > LINE_OCTETS:
            lines.append(line)
            line, octets = "\t" + (word[1:] if begins else word), length + (0 if begins else 1)
        else:
            line, octets = f"{line} {word}", octets + 1 + length
    return "\r\n".join([*lines, line])
