"""What people write when YAML is new to them, and the words that mend it."""

from __future__ import annotations

import re

from gateway.policy.problems import Problem

_VALUE_ON_LINE = re.compile(r"^\s*(?:-\s+)*(?:[\w.@-]+:|-)\s+(?P<value>\S.*?)\s*$")
_LONGEST_SHOWN = 80


def quoted_rest(text: str, line: int, column: int) -> str:
    """The cure for a value whose first character means something to YAML: the same, in quotes."""
    return f"put quotes around it: {quote(_plain_value(_from(text, line, column)))}"


def quote(value: str) -> str:
    """`value` as a double-quoted scalar, shortened when it is long."""
    shown = value if len(value) <= _LONGEST_SHOWN else value[: _LONGEST_SHOWN - 1] + "…"
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'


def comment_instead_of_value(text: str, line: int, column: int) -> str | None:
    """The cure when a key's value begins with `#` and so became a comment; None when it is something else.

    `line` and `column` are those of the key.
    """
    found = re.search(r":\s+(#.*)$", _from(text, line, column))
    if not found:
        return None
    return f"put quotes around it: {quote(_plain_value(found.group(1)))}"


def broken_syntax(text: str, line: int, column: int, problem: str) -> Problem:
    """The parser stopped at this place: what the writer probably meant there."""
    here = _from(text, line, column)
    if here.startswith("\t"):
        return Problem(line, column, "", "indent with spaces, not with tabs")
    if here[:1] in ("@", "`", "%", "*", "&", "!", "|", ">"):
        return Problem(line, column, "", quoted_rest(text, line, column))
    whole = _from(text, line, 1)
    value = _VALUE_ON_LINE.match(whole)
    if value and _needs_quotes(value.group("value")):
        start = value.start("value") + 1
        return Problem(line, start, "", f"put quotes around it: {quote(_unquoted(value.group('value')))}")
    if problem.startswith("expected ',' or"):
        return Problem(line, column, "", _inside_brackets(whole[: column - 1]))
    if "end of stream" in problem or "stream end" in problem:
        problem = "a quote or a bracket is opened and never closed"
    return Problem(line, column, "", f"this is not YAML ({problem}): look at indentation, quotes and brackets here")


def _inside_brackets(before: str) -> str:
    if before.rstrip().endswith(('"', "'", "]", "}")):
        return "the text goes on after a closing quote or bracket: put quotes around the whole of it"
    return "a bracket that is open here was not closed: look for a missing } or ], or a missing comma, above"


def _needs_quotes(value: str) -> bool:
    """True for text that goes on after a closed bracket or quote, and for text with a colon and a space inside."""
    if value[0] in "[{":
        closing = value.find("]" if value[0] == "[" else "}")
        return 0 <= closing < len(value) - 1 and value[closing + 1 :].strip(" ]}")[:1] not in ("", ",", "#", ":")
    if value[0] in "\"'":
        closing = value.find(value[0], 1)
        return 0 < closing < len(value) - 1
    return ": " in value or value.endswith(":") or value[0] in "@`%*&!|>"


def _unquoted(value: str) -> str:
    return value.replace('"', "").replace("'", "") if value[0] in "\"'" else value


def _from(text: str, line: int, column: int) -> str:
    lines = text.split("\n")
    return lines[line - 1][column - 1 :].rstrip("\r") if line <= len(lines) else ""


def _plain_value(rest: str) -> str:
    """The value that was meant: up to what ends a value in a list or mapping on one line, or a comment."""
    end = re.search(r"[,}\]]|\s#", rest[1:])
    return (rest[: end.start() + 1] if end and not rest.startswith(("[", "{")) else rest).strip()
