"""What the patterns of a policy may cost together: RE2 is linear in the message, but also in the number of steps.

Mail of all accounts is decided by the same process: a policy whose patterns keep it busy for seconds would hold up others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain, cycle, islice

import re2

from gateway.policy.document import IfBase, PolicyDocument
from gateway.policy.engine import compile_policy
from gateway.policy.patterns import FieldPatterns
from gateway.policy.regex_budget import MOST_INSTRUCTIONS_TOGETHER

MOST_MICROSECONDS_A_CHARACTER = 60
"""Tried on text made of the patterns' own words, the worst there is; a body of 65,536 characters then takes 4 s."""
_TRIED_CHARACTERS = 2048


def too_costly(document: PolicyDocument) -> tuple[str, str]:
    """Why the patterns of the document are too much for one policy, and the key of the field that they are about (empty: all
    fields together); two empty texts when they are not.
    """
    if not any(True for _ in _clauses(document)):
        return "", ""
    policy = compile_policy(document, 0)
    size = sum(p.programsize for f in policy.patterns.values() for _, p in _singles(f))
    if size > MOST_INSTRUCTIONS_TOGETHER:
        why = (
            f"the patterns of this policy become {size:,} steps together, and at most {MOST_INSTRUCTIONS_TOGETHER:,} are "
            "taken: repeat less in regex, or join rules that do the same into one with a list of words"
        )
        return why, ""
    for found in policy.patterns.values():
        spent = _microseconds_a_character(found)
        if spent > MOST_MICROSECONDS_A_CHARACTER:
            name = found.where.key.replace("header:", "header ")
            why = (
                f"the patterns about `{name}` take {spent:.0f} µs for each character of a message, and at most "
                f"{MOST_MICROSECONDS_A_CHARACTER} are taken: use `contains`, or fewer * and .* between words"
            )
            return why, found.where.key
    return "", ""


def _singles(found: FieldPatterns) -> Iterator[tuple[int, re2._Regexp]]:
    return chain(found.folded.patterns, found.written.patterns)


def _clauses(document: PolicyDocument) -> Iterator[IfBase]:
    rules = chain(document.rules, *(team.rules for team in document.teams.values()))
    yield from document.block
    yield from (entry.if_ for entry in document.author_from)
    yield from (rule.if_ for rule in rules if rule.if_)


def _microseconds_a_character(found: FieldPatterns) -> float:
    """Measured on the patterns' own text, so that their beginnings hold and their automata grow."""
    words = [p.pattern.decode("utf-8", "replace") for _, p in _singles(found)]
    if len(words) < 2:  # one pattern's program is bounded by itself
        return 0
    sample = "".join(
        islice(cycle("".join(c for c in " ".join(words) if c.isalnum() or c in " -@._")), _TRIED_CHARACTERS)
    )
    started = time.thread_time()
    found.match(sample)
    return (time.thread_time() - started) * 1e6 / _TRIED_CHARACTERS
