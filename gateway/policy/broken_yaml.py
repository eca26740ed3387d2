"""Where the parser stopped: what the writer probably meant, with the place where it went wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from gateway.policy.cures import flow_value, line_from, quote, quoted_rest, shown_in_brackets
from gateway.policy.key_kinds import TAKE_A_LIST, TAKE_A_MAPPING, TAKE_A_WORD
from gateway.policy.problems import Problem

Place = tuple[int, int]

_VALUE_ON_LINE = re.compile(r"^\s*(?:-\s+)*(?:[\w.@-]+:|-)\s+(?P<value>\S.*?)\s*$")
_NO_SPACE_BEHIND_COLON = re.compile(r"^\s*(?:-\s+)*(?P<key>[A-Za-z_]+):(?P<value>[^\s:/].*?)\s*$")
_NO_SPACE_BEHIND_DASH = re.compile(r"^\s*-(?P<rest>[A-Za-z_]+:(?:\s.*)?)$")
_COMMENT_IN_BRACKETS = re.compile(r"[\[{,:]\s*(?P<text>#.*)$")
_INDICATORS = ("@", "`", "%", "*", "&", "!", "|", ">")
_NEXT_OF_RULE = re.compile(r"(?P<before>.*?[\w\]})\"'])(?:\s*[,;])?\s+(?P<key>if|then|stop):(?:\s|$)")
_FIRST_OF_RULE = re.compile(r"\s*(?:-\s+)*(?:name|if|then|stop):\s")
_VALUE_OF_KEY = re.compile(r"(?<![\w.@-])(?P<key>[\w.@-]+):\s+(?P<value>[^\s\"'\[{].*)$")
_TWO_QUOTES = re.compile(
    r"(?:[:,\[]\s*|^\s*-\s+)(?P<value>([\"'])(?:(?!\2).){0,300}\2[^\s,\]}:#].{0,300}?\2)(?=\s*(?:[,\]}]|$))"
)
_MUST_BE_A_MAPPING = re.compile(r"(?:all|any|contains|exact|none|regex|rules|wildcard):(?:\s|$)")
_WORD_AND_KEY = re.compile(r"[^\s,]+\s+(?P<key>[a-z_]+):(?:\s|$)")


@dataclass(frozen=True)
class Stop:
    """The parser's complaint and where it arose; `began` is where the thing it was reading began."""

    text: str
    line: int
    column: int
    problem: str
    began: Place | None = None

    @property
    def here(self) -> str:
        """The rest of the line from the place on."""
        return line_from(self.text, self.line, self.column)

    @property
    def whole(self) -> str:
        """The line of the place."""
        return line_from(self.text, self.line, 1)

    @cached_property
    def above(self) -> tuple[int, str]:
        """The last line before the place that holds more than a comment, and its number; (0, "") at the top."""
        for number in range(self.line - 1, 0, -1):
            line = line_from(self.text, number, 1)
            if line.strip() and not line.lstrip().startswith("#"):
                return number, line
        return 0, ""

    @cached_property
    def is_at_the_end(self) -> bool:
        """True when nothing of the text is left."""
        return "stream end" in self.problem or "end of stream" in self.problem or "<stream end>" in self.problem

    @cached_property
    def open_bracket(self) -> tuple[str, int, int] | None:
        """The innermost bracket that is open at the place, and where it was opened."""
        return _open_bracket(self.text, self.line, self.column)

    def told(self, message: str, place: Place | None = None) -> Problem:
        line, column = place or (self.line, self.column)
        return Problem(line, column, "", message)


def broken_syntax(stop: Stop) -> Problem:
    """The parser stopped at this place: what the writer probably meant there."""
    return next(problem for cure in _CURES if (problem := cure(stop)) is not None)


def _pasted(stop: Stop) -> Problem | None:
    """Something else than a policy came in by the clipboard."""
    begins = stop.text.lstrip("\ufeff \r\n\t")
    if begins.startswith("```"):
        return stop.told(
            "remove the lines that begin with ```: they only marked it as code where it was copied from", (1, 1)
        )
    if re.match(r"<[!?a-zA-Z]", begins):
        return stop.told("this is HTML, not YAML: copy the text as the page shows it", (1, 1))
    if re.match(r"\[[\w.]+\]\s*\n", begins):
        return stop.told("this is TOML or INI, not YAML: write `accept:` instead of [accept]", (1, 1))
    return None


def _tab(stop: Stop) -> Problem | None:
    if not stop.here.startswith("\t"):
        return None
    before = stop.whole[: stop.column - 1].rstrip()
    if not before:
        return stop.told("indent with spaces, not with tabs")
    behind = {":": " behind the colon", "-": " behind the dash"}.get(before[-1], "")
    return stop.told(f"a tab stands here: write a space{behind}, not a tab")


def _unclosed_quote(stop: Stop) -> Problem | None:
    if not stop.began or not stop.is_at_the_end:
        return None
    mark = line_from(stop.text, *stop.began)[:1]
    if mark not in ("'", '"'):
        return None
    return stop.told(f"the quote {mark} that begins here is never closed: write {mark} behind the text", stop.began)


def _escape(stop: Stop) -> Problem | None:
    r"""`"\d+"`: in double quotes a backslash is YAML's own."""
    if "escape character" not in stop.problem and "expected escape sequence" not in stop.problem:
        return None
    begins = stop.began or (stop.line, stop.column)
    written = re.match(r'"((?:[^"\\]|\\.)*)"', line_from(stop.text, *begins))
    meant = f": '{written.group(1)}'" if written and "'" not in written.group(1) else ""
    return stop.told(f"in double quotes a backslash begins an escape of YAML: use single quotes{meant}", begins)


def _next_of_rule(stop: Stop) -> Problem | None:
    """`if: {subject: x} then: […]`: two keys of a rule in one line."""
    inside = stop.open_bracket is not None
    found = _NEXT_OF_RULE.match(stop.whole)
    if not found or not (inside or _FIRST_OF_RULE.match(stop.whole)):
        return None
    key = found["key"]
    if inside and found["before"].endswith(("]", "}", '"', "'")):
        return stop.told(f"a comma is missing before `{key}`", (stop.line, found.start("key") + 1))
    if inside:
        return None
    above = stop.whole[: len(stop.whole) - len(stop.whole.lstrip(" -"))]
    message = f"`{key}` belongs on its own line: begin that line in column {len(above) + 1}, below the key before it"
    return stop.told(message, (stop.line, found.start("key") + 1))


def _value_on_line(stop: Stop) -> Problem | None:
    """`if: subject: x`, `then: - ignore`, `{contains: Re: x}`: a value that holds a colon or a dash of its own."""
    found = _last_value(stop)
    if not found:
        return None
    key, value, column = found
    if stop.open_bracket is None and key in TAKE_A_LIST and re.match(r"-\s+\S", value):
        entry = value.lstrip("- ")
        shown = shown_in_brackets(entry)
        cure = f"write `{value}` there, further to the right than `{key}`, or [{shown}] here"
        return stop.told(f"a list begins in the line below its key: {cure}", (stop.line, column))
    if "mapping values" not in stop.problem and not stop.problem.startswith("expected ',' or"):
        return None
    other = _WORD_AND_KEY.match(value) if key in TAKE_A_WORD else None
    if other:
        cure = "put a comma before it" if stop.open_bracket else "write it in a line of its own"
        return stop.told(f"`{other['key']}` is another key: {cure}", (stop.line, column + other.start("key")))
    takes_keys = key in TAKE_A_MAPPING or "@" in key
    if (takes_keys and re.match(r"[\w-]+:(?:\s|$)", value)) or _MUST_BE_A_MAPPING.match(value):
        below = f"write `{value}` in the line below `{key}`, further to the right"
        cure = below if value.endswith(":") else f"put braces around it: {shown_in_brackets(value)}, or {below}"
        return stop.told(cure, (stop.line, column))
    return stop.told(f"put quotes around it: {quote(value)}", (stop.line, column)) if ": " in value else None


def _last_value(stop: Stop) -> tuple[str, str, int] | None:
    """The key whose value holds the place, the value, and its column. In brackets it ends where YAML would end it."""
    if stop.open_bracket is None:
        line = _VALUE_OF_KEY.search(stop.whole)
        return (line["key"], line["value"].rstrip(), line.start("value") + 1) if line else None
    begins = stop.open_bracket[2] if stop.open_bracket[1] == stop.line else 0
    begins = max(begins, stop.whole.rfind(",", begins, stop.column - 1) + 1)
    inner = _VALUE_OF_KEY.match(stop.whole[begins:].lstrip())
    if not inner:
        return None
    column = len(stop.whole) - len(stop.whole[begins:].lstrip()) + inner.start("value")
    return (inner["key"], _balanced(stop.whole[column:]), column + 1) if column < stop.column else None


def _quote_inside(stop: Stop) -> Problem | None:
    """`"say "hi""`, `'it's'`: the quote that was to be part of the text ends it."""
    for found in _TWO_QUOTES.finditer(stop.whole):
        begins, value = found.start("value"), found["value"]
        if not begins < stop.column - 1 <= found.end("value"):
            continue
        mark, inner = value[0], value[1:-1]
        escape, name, other = ("''", "single", '"') if mark == "'" else ('\\"', "double", "'")
        meant = f"{mark}{inner.replace(mark, escape)}{mark}"
        meant += "" if other in inner or "\\" in inner else f", or {other}{inner}{other}"
        return stop.told(f"inside {name} quotes {mark} is written {escape}: {meant}", (stop.line, begins + 1))
    return None


def _indicator(stop: Stop) -> Problem | None:
    """The first character means something to YAML."""
    here = stop.here
    if here[:1] in _INDICATORS:
        return stop.told(quoted_rest(stop.text, stop.line, stop.column))
    behind_colon = stop.whole[: stop.column - 1].rstrip().endswith(":")
    if behind_colon and here[:2] in ("- ", "? "):
        return stop.told(quoted_rest(stop.text, stop.line, stop.column))
    return None


def _no_space(stop: Stop) -> Problem | None:
    """`senders:anyone` and `-name: x` are text to YAML; it complains in that line, or in the next."""
    for number, line in ((stop.line, stop.whole), stop.above):
        wide = line.find("：")
        if wide >= 0:
            return stop.told("this colon is another character (U+FF1A): write : and a space", (number, wide + 1))
        colon = _NO_SPACE_BEHIND_COLON.match(line)
        if colon:
            message = f"put a space behind the colon: `{colon['key']}: {colon['value']}`"
            return stop.told(message, (number, colon.end("key") + 1))
        dash = _NO_SPACE_BEHIND_DASH.match(line)
        if dash:
            return stop.told(f"put a space behind the dash: `- {dash['rest']}`", (number, dash.start("rest")))
    return None


def _comment_in_brackets(stop: Stop) -> Problem | None:
    """`[#vip]`: what was to be a text is a comment, and the bracket stays open."""
    if stop.open_bracket is None:
        return None
    line, column = stop.open_bracket[1:]
    found = _COMMENT_IN_BRACKETS.search(line_from(stop.text, line, 1), column - 1)
    if not found:
        return None
    return stop.told(f"put quotes around it: {quote(flow_value(found['text']))}", (line, found.start("text") + 1))


def _needs_quotes_in_brackets(stop: Stop) -> Problem | None:
    """`{regex: [a-z]{3}}`: the text goes on behind a bracket that YAML took for a list."""
    before = stop.whole[: stop.column - 1].rstrip()
    if stop.open_bracket is None or not before.endswith(("]", "}")):
        return None
    if before.endswith("}") and stop.here.startswith("{"):
        return stop.told("a comma is missing before this {")
    begins = _opening_of(before)
    if begins is None or not before[:begins].rstrip().endswith((":", ",", "[")):
        return None
    rest = _balanced(stop.whole[begins:])
    if len(rest) <= len(before) - begins:  # nothing goes on: something is missing
        return None
    return stop.told(f"put quotes around it: {quote(rest)}", (stop.line, begins + 1))


def _value_needs_quotes(stop: Stop) -> Problem | None:
    """A value in a line of its own: text behind a closed quote or bracket, a colon inside."""
    value = _VALUE_ON_LINE.match(stop.whole)
    if not value or not _needs_quotes(value["value"]):
        return None
    meant = f"put quotes around it: {quote(_unquoted(value['value']))}"
    return stop.told(meant, (stop.line, value.start("value") + 1))


def _brackets(stop: Stop) -> Problem | None:
    if re.search(r"found '[\]}]'", stop.problem) and stop.open_bracket is None:
        return stop.told(f"this {stop.here[:1]} closes nothing: remove it")
    if stop.here.strip() == "," and stop.open_bracket is None:
        return stop.told("a line ends without a comma: remove it")
    if not stop.problem.startswith("expected ',' or") and not (stop.is_at_the_end and stop.open_bracket):
        return None
    if stop.whole[: stop.column - 1].rstrip().endswith(('"', "'", "]", "}")) and not stop.is_at_the_end:
        return stop.told(
            "the text goes on after a closing quote or bracket: put quotes around the whole of it, or a comma between"
        )
    if stop.open_bracket is None:
        return stop.told("a bracket is not closed: look for a missing } or ], or a missing comma, above")
    mark, line, column = stop.open_bracket
    closing = "]" if mark == "[" else "}"
    return stop.told(
        f"the {mark} that begins here is not closed: look for a missing {closing} or comma", (line, column)
    )


def _indentation(stop: Stop) -> Problem | None:
    number, above = stop.above
    if not number or (stop.whole[: stop.column - 1].strip(" -") and "mapping values" not in stop.problem):
        return None
    begins = len(stop.whole) - len(stop.whole.lstrip(" ")) + 1
    columns = _columns_above(stop.text, stop.line)
    if "mapping values" in stop.problem:
        if begins <= len(above) - len(above.lstrip(" ")) + 1:
            return None
        message = f"this line is indented too far: line {number} above it has its value already"
    elif "expected <block end>" in stop.problem or "<document start>" in stop.problem:
        message = "this line begins where none above it begins"
    else:
        return None
    nearest = sorted(sorted(columns, key=lambda c: abs(c - begins))[:2])
    where = " or ".join(map(str, nearest))
    return stop.told(f"{message}; begin it in column {where}, exactly below what it belongs to", (stop.line, begins))


def _no_key(stop: Stop) -> Problem | None:
    """A line of text where a key was due."""
    if "could not find expected ':'" not in stop.problem:
        return None
    line = stop.began[0] if stop.began else stop.line
    column = stop.began[1] if stop.began else stop.column
    shown = quote(line_from(stop.text, line, column).strip())
    return stop.told(
        f"{shown} is no `key: value`: write its key, or indent it further than the line it belongs to", (line, column)
    )


def _anything(stop: Stop) -> Problem:
    problem = "a quote or a bracket is opened and never closed" if stop.is_at_the_end else stop.problem
    return stop.told(f"this is not YAML ({problem}): look at indentation, quotes and brackets here")


_CURES: tuple[Callable[[Stop], Problem | None], ...] = (
    _pasted, _tab, _unclosed_quote, _escape, _next_of_rule, _quote_inside, _value_on_line, _indicator, _no_space,
    _comment_in_brackets, _needs_quotes_in_brackets, _value_needs_quotes, _brackets, _indentation, _no_key, _anything,
)  # fmt: skip
"""The surest first; each says nothing where it does not apply."""


def _columns_above(text: str, line: int) -> set[int]:
    """Where keys begin in the lines above that are still open."""
    columns: set[int] = set()
    shallowest = 1 << 30
    for number in range(line - 1, 0, -1):
        above = line_from(text, number, 1)
        dashes = re.match(r"\s*(?:-\s+)*", above)
        if not above.strip() or above.lstrip().startswith("#") or dashes is None:
            continue
        indent = len(above) - len(above.lstrip(" "))
        if indent < shallowest:
            columns |= {indent + 1, dashes.end() + 1}
            shallowest = indent
    return columns


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
    if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
        return value[1:-1]  # 'don't'
    return value.replace('"', "").replace("'", "") if value[0] in "\"'" else value


def _open_bracket(text: str, line: int, column: int) -> tuple[str, int, int] | None:
    """Walks the text up to the place as YAML would: brackets count where a value may begin, not inside text."""
    opened: list[tuple[str, int, int]] = []
    for number in range(1, line + 1):
        written = line_from(text, number, 1)
        until = column - 1 if number == line else len(written)
        _walk(written[:until], number, opened)
    return opened[-1] if opened else None


def _walk(line: str, number: int, opened: list[tuple[str, int, int]]) -> None:
    quote_open, begins_value = "", True
    for at, c in enumerate(line):
        if quote_open:
            quote_open = "" if c == quote_open else quote_open
            continue
        if c == "#" and (at == 0 or line[at - 1] in " \t[{,"):
            return
        if c in "\"'" and begins_value:
            quote_open = c
        elif c in "[{" and (begins_value or opened):
            opened.append((c, number, at + 1))
        elif c in "]}" and opened:
            opened.pop()
        begins_value = c in ":[{,-" or (begins_value and c == " ")


def _opening_of(before: str) -> int | None:
    """Where the bracket opens that the last character closes."""
    depth = 0
    for at in range(len(before) - 1, -1, -1):
        depth += (before[at] in "]}") - (before[at] in "[{")
        if depth == 0:
            return at
    return None


def _balanced(text: str) -> str:
    """The text up to a comma, or to a bracket that was not opened in it."""
    depth = 0
    for at, c in enumerate(text):
        if depth == 0 and (c in ",]}" or text[at : at + 2] == " #"):
            return text[:at].strip()
        depth += (c in "[{") - (c in "]}")
    return text.strip()
