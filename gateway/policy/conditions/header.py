"""`header: {Name: matcher}`: any field of that name; several names mean all of them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator

from gateway.policy.condition import Test, matches
from gateway.policy.cures import quote
from gateway.policy.matchers import Matcher, Matchers, Wanted
from gateway.policy.patterns import Field, PatternBook, text_field
from gateway.policy.values import mistake

_FIELD_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]{1,200}")  # RFC 5322 section 3.6.8: ftext


def _names(value: dict[str, tuple[Matcher, ...]]) -> dict[str, tuple[Matcher, ...]]:
    if not value:
        raise mistake('this is empty: write {Name: matcher}, for example {List-Id: {contains: "news"}}')
    for name in value:
        if not _FIELD_NAME.fullmatch(name):
            raise mistake(f"{quote(name)} is no name of a header field: write it without colon and spaces")
    return value


def _field(name: str) -> Field:
    return text_field(f"header:{name.lower()}", lambda facts: facts.message.header_values(name))


class _Header:
    name = "header"
    Params = Annotated[dict[str, Matchers], AfterValidator(_names)]

    def test(self, params: dict[str, tuple[Matcher, ...]], book: PatternBook) -> Test:
        fields = {name: _field(name) for name in params}
        tests = {name: matches(fields[name], Wanted(params[name], fields[name], book)) for name in params}
        return Test(
            lambda reading: all(t.holds(reading) for t in tests.values()),
            ", ".join(f"{name}: {t.expected}" for name, t in tests.items()),
            lambda reading: ", ".join(f"{name}: {t.saw(reading)}" for name, t in tests.items()),
        )


CONDITION: Any = _Header()
