"""What people write when YAML is new to them, and the words that mend it."""

from __future__ import annotations

import re
from functools import lru_cache

_LONGEST_SHOWN = 80
_CURLY = dict.fromkeys("“”„‟«»″", '"') | dict.fromkeys("‘’‚‛′", "'")
_DASHES = "–—−•"
_UNSEEN = {
    "\u00a0": "no-break space", "\u202f": "narrow no-break space", "\u2007": "figure space", "\u3000": "ideographic space",
    "\u200b": "zero-width space", "\u2060": "word joiner", "\ufeff": "byte order mark", "\u00ad": "soft hyphen",
    "\u200e": "left-to-right mark", "\u200f": "right-to-left mark",
}  # fmt: skip
_YAML_TAG = re.compile(r"!![a-z][^\s,\[\]{}]*|!<[^>]*>|!\w+!\w+")


def quoted_rest(text: str, line: int, column: int) -> str:
    """The cure for a value whose first character means something to YAML: the same, in quotes."""
    return f"put quotes around it: {quote(flow_value(line_from(text, line, column)))}"


def quote(value: str) -> str:
    """`value` as a double-quoted scalar, shortened when it is long."""
    shown = value if len(value) <= _LONGEST_SHOWN else value[: _LONGEST_SHOWN - 1] + "…"
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'


def shown_in_brackets(entry: str) -> str:
    """What stood on a line as it is written in brackets: `subject: Re: x` as `{subject: "Re: x"}`, a word as it is."""
    key, colon, value = entry.partition(": ")
    if not colon:
        return entry
    needs = re.search(r":\s|[,\[\]{}]", value) and value[0] not in "\"'[{"
    return f"{{{key}: {quote(value) if needs else value}}}"


def bracket_missing(text: str, line: int, column: int) -> str | None:
    """The cure for `[{set: {priority: high}, {tag: [a]}]`: a bracket where the key of a mapping was due; None when what stands
    before it is no comma.
    """
    before = line_from(text, line, 1)[: column - 1].rstrip()
    if not before and line > 1:
        before = line_from(text, line - 1, 1).rstrip()
    return "a } is missing before the comma: the mapping before it is not closed" if before.endswith(",") else None


def comment_instead_of_value(text: str, line: int, column: int) -> str | None:
    """The cure when a value begins with `#` and so became a comment; None when it is something else.

    `line` and `column` are those of the key, or of the dash of a list.
    """
    found = re.search(r"(?::|^-?)\s+(#.*)$", line_from(text, line, column))
    if not found:
        return None
    return f"put quotes around it: {quote(flow_value(found.group(1)))}"


def comma_in_text(text: str, before: str, key: str, line: int, column: int) -> str | None:
    """The cure for `{subject: hello, world}`: a key without a colon behind text; None when it is something else.

    `before` is the text of the value before the key, `line` and `column` are the key's place.
    """
    rest = line_from(text, line, column)
    if rest[len(key) :].lstrip().startswith(":") or ":" in key:
        return None
    comma = re.search(r",(\s*)$", line_from(text, line, 1)[: column - 1])
    if not comma:
        return None
    whole = f"{before},{comma.group(1)}{key}"
    return f"a comma ends the text before it: put quotes around one text, {quote(whole)}, or brackets around a list, [{whole}]"


def space_missing(text: str) -> str | None:
    """The cure for `subject:casino`, which is no key; None when it is something else."""
    found = re.fullmatch(r"([A-Za-z_]+)[:：](?!//)(\S.*)?", text)
    if found and found.group(2):
        return f"put a space behind the colon: `{found.group(1)}: {found.group(2)}`"
    equals = re.fullmatch(r"([A-Za-z_]+)\s*=\s*(\S.*)", text)
    return f"write a colon and a space, not `=`: `{equals.group(1)}: {equals.group(2)}`" if equals else None


def odd_characters(value: str, *, is_key: bool) -> str | None:
    """What to say of unquoted text with characters that only look like YAML's own; None when there are none."""
    unseen = next((c for c in value if c in _UNSEEN), None)
    if unseen and (is_key or value.strip("".join(_UNSEEN)) != value or re.search(f":{unseen}", value)):
        code = f"{_UNSEEN[unseen]}, U+{ord(unseen):04X}"
        return f"there is a character here that looks like a space or like nothing ({code}): write plain spaces"
    if not value:
        return None
    straight = _CURLY.get(value[:1]) or _CURLY.get(value[-1:])
    if straight and (value[0] in _CURLY or is_key):
        return f"{value[0]} is no quote of YAML: write {straight} (straight quotes)"
    if value[:1] in _DASHES and value[1:2] in ("", " "):
        return f"an entry of a list begins with a plain hyphen: write - instead of {value[0]}"
    if "：" in value and is_key:
        return "this colon is another character (U+FF1A): write : and a space"
    return None


def not_taken(text: str, line: int, column: int, *, defined: bool) -> str:
    """The cure for an anchor, an alias or a tag; `defined` when it is an anchor that is used, or an alias of one."""
    rest = line_from(text, line, column)
    if line_from(text, line, 1)[: column - 1].rstrip().endswith("<<:"):
        return "merge keys (<<) are not taken: write the keys out"
    if defined:
        name = re.split(r"[\s,\[\]{}]", rest[1:], maxsplit=1)[0]
        return f"anchors and aliases (&{name}, *{name}) are not taken: write the value out wherever it is meant"
    tag = _YAML_TAG.match(rest)
    if tag:
        return f"tags are not taken: remove `{tag.group()}`; what shall be text gets quotes"
    return quoted_rest(text, line, column)


def line_from(text: str, line: int, column: int) -> str:
    """The rest of a line from a column on (both from 1), without its end."""
    lines = _lines(text)
    return lines[line - 1][column - 1 :].rstrip("\r") if line <= len(lines) else ""


@lru_cache(maxsize=2)
def _lines(text: str) -> list[str]:
    """Kept: a document of a hundred thousand mistakes would else be split as often."""
    return text.split("\n")


def flow_value(rest: str) -> str:
    """The value that was meant: up to what ends a value in a list or mapping on one line, or a comment."""
    end = re.search(r"[,}\]]|\s#", rest[1:])
    return (rest[: end.start() + 1] if end and not rest.startswith(("[", "{")) else rest).strip()
