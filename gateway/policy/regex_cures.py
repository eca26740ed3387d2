"""What RE2 does not take in a regular expression, and what to write instead."""

from __future__ import annotations

import re

from gateway.policy.cures import quote

_NO_BACKREFERENCE = "there are no backreferences ({}): write the text again, or a second condition"
_NO_RECURSION = "a pattern cannot stand in itself ({}): write out what is repeated"

_SIGNS = (
    (r"\(\?<?[=!]", "look-around is not taken ({}): use a second condition, under `all` or `none`"),
    (r"\(\?P=", _NO_BACKREFERENCE),
    (r"\(\?(?:R|P>|&|[+-]?\d)", _NO_RECURSION),
    (r"\(\?>", "atomic groups are not taken ({}): RE2 never goes back, write (?:…)"),
    (
        r"\(\?#",
        "comments are not taken ({}): leave (?#…) out, and write # behind a space at the end of the line, as in all YAML",
    ),
    (r"\(\?\|", "alternatives that share their groups are not taken ({}): write (?:…)"),
    (r"\(\?\(", "a pattern asks nothing of its own groups ({}): write a list of two patterns"),
    (r"[*+?}]\+", "possessive repetition is not taken ({}): RE2 never goes back, leave the second + out"),
)
"""What other engines have, in the pattern, and the cure; `{}` is what RE2 says."""
_ESCAPES = {
    **dict.fromkeys("123456789kg", _NO_BACKREFERENCE),
    "h": r"`\h` is not taken ({}): a blank is [ \t]",
    "H": r"`\H` is not taken ({}): what is no blank is [^ \t]",
    "R": r"`\R` is not taken ({}): the end of a line is \r?\n",
    "X": r"`\X` is not taken ({}): any character is .",
    "Z": r"`\Z` is not taken ({}): the end of the text is \z",
    "e": r"`\e` is not taken ({}): the character is \x1b",
    "x": r"this names no character ({}): write \x41 or \x{{1F600}}, in hexadecimal digits, at most 10FFFF",
    "c": r"`\c` is not taken ({}): write control characters as \x01",
    **dict.fromkeys("GKy", r"this escape is not taken ({}): leave it out; the ends of a word are \b"),
    **dict.fromkeys("dDsSwW", "this is no end of a range ({}): write the - first or last in the brackets"),
}
"""By the letter behind the backslash."""
_SAID = {
    "missing )": r"a ( is not closed ({}): close it, or write \( for the character itself",
    "unexpected )": r"a ) closes nothing ({}): remove it, or write \) for the character itself",
    "missing ]": r"a [ is not closed ({}): close it, or write \[ for the character itself",
    "repetition size": "nothing is repeated more than 1000 times ({}): write a smaller number, or +",
    "repetition operator": "what is repeated is not repeated again ({}): leave the second one out",
    "no argument for": "* and + repeat what stands before them, and nothing does ({}): any text is .*",
    "too large": "the pattern is too large ({}): repeat less, or split it into a list of several",
    "trailing \\": r"the \ at the end has nothing behind it ({}): remove it, or write \\ for the character itself",
    "named capture group": "a group's name has letters, digits and _ ({}): write (?P<name>…), or (?:…) without one",
}
"""Pieces of RE2's own words, and the cure."""


def regex_cure(reason: str, pattern: str) -> str:
    """What to say of a pattern that RE2 does not take; `reason` is what it says itself."""
    if "no argument for" in reason and re.fullmatch(r"\*[^\\()\[\]{}|^$+]*", pattern):
        return f"this is a wildcard, no regex: write {{wildcard: {quote(pattern)}}}"
    for find in (_by_sign, _turned, _escape, _flag, _class):
        if found := find(reason, pattern):
            return found
    words = next((cure for said, cure in _SAID.items() if said in reason), None)
    if words:
        return words.format(reason)
    return f"this is no regular expression of RE2 ({reason}): see https://github.com/google/re2/wiki/Syntax"


def _by_sign(reason: str, pattern: str) -> str:
    cure = next((cure for sign, cure in _SIGNS if re.search(sign, pattern)), "")
    return cure.format(reason)


def _turned(reason: str, _pattern: str) -> str:
    """`x{5,2}` and `[z-a]`."""
    times = re.search(r"repetition size: \{(\d+),(\d+)\}", reason)
    if times and int(times[1]) > int(times[2]):
        return f"the smaller number stands first ({reason}): write {{{times[2]},{times[1]}}}"
    ends = re.search(r"class range: ([^\\\[])-([^\\\[])$", reason)
    return f"this range goes backwards ({reason}): write {ends[2]}-{ends[1]}" if ends else ""


def _escape(reason: str, pattern: str) -> str:
    letter = re.search(r"escape sequence: \\(.)", reason)
    if not letter:
        return ""
    code = re.search(r"\\u\{?([0-9a-fA-F]{2,6})", pattern)
    if letter[1] == "u" and code and chr(min(int(code[1], 16), 0x10FFFF)).isprintable():
        return rf"`\u` is not taken ({reason}): write the character itself, {chr(int(code[1], 16))}, or \x{{{code[1]}}}"
    known = _ESCAPES.get(letter[1])
    if known:
        return known.format(reason)
    return rf"`\{letter[1]}` means nothing ({reason}): write {letter[1]} for the character itself, \\ for a backslash"


def _flag(reason: str, pattern: str) -> str:
    """`(?x)`: of the flags RE2 has four."""
    if "perl operator" not in reason:
        return ""
    if re.search(r"\(\?[a-zA-Z]*$", pattern):
        return f"a ( is not closed ({reason}): close it, as in (?i)casino"
    flags = re.search(r"\(\?([a-zA-Z]*-?[a-zA-Z]+)[:)]", pattern)
    other = next((f for f in flags[1] if f not in "imsU-"), "") if flags else ""
    if not other:
        return ""
    free = "; blanks and comments in a pattern count as themselves" if other == "x" else ""
    return f"the flag {other} is not taken ({reason}): leave it out; there are i, m, s and U{free}"


def _class(reason: str, _pattern: str) -> str:
    name = re.search(r"class range: (\\[pP].*|\[:.*)$", reason)
    if not name:
        return ""
    if name[1].startswith("["):
        return f"there is no class {name[1]} ({reason}): write for example [[:alpha:]], [[:digit:]] or [[:space:]]"
    return (
        rf"there is no class {name[1]} ({reason}): write a script or a category of Unicode, \p{{Greek}} or \p{{Lu}}, "
        r"or \pL for all letters"
    )
