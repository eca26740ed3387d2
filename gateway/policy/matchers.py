"""Matchers: a plain string (exact), `exact`, `wildcard`, `contains`, `regex`, or a list of these (any of)."""

from __future__ import annotations

import re
from typing import Annotated, Any

import re2
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from gateway.core.addresses import BadAddress, parse_addr_spec
from gateway.policy import regex_budget
from gateway.policy.cures import quote
from gateway.policy.patterns import BadPattern, PatternBook, fold_text
from gateway.policy.patterns import Field as PatternField
from gateway.policy.values import Model, Text, as_list, check_mailbox, is_published, mistake

LONGEST_PATTERN = 2000
"""Characters. A longer wildcard could need more memory than RE2 may take; nobody reads it either."""


_SLASHES = re.compile(r"/(.+)/([a-z]*)")


def _regex(pattern: str, info: ValidationInfo) -> str:
    if is_published(info):
        return pattern
    slashes = _SLASHES.fullmatch(pattern)
    if slashes:
        flag = "(?i)" if "i" in slashes.group(2) else ""
        raise mistake(f"a regex is written without slashes around it: '{flag}{slashes.group(1)}'")
    try:
        regex_budget.check(pattern)
    except BadPattern as error:
        raise mistake(str(error)) from None
    return pattern


def _pattern(value: str, info: ValidationInfo) -> str:
    if is_published(info):
        return value
    control = next((c for c in value if c < " " and c not in "\t\n\r"), None)
    if control is not None:
        message = f"this has the control character U+{ord(control):04X}: in double quotes a backslash begins an escape of YAML,"
        raise mistake(f"{message} use single quotes")
    if len(value) > LONGEST_PATTERN:
        raise mistake(f"a pattern has at most {LONGEST_PATTERN} characters, this has {len(value)}: shorten it")
    return value


def _wildcard(pattern: str, info: ValidationInfo) -> str:
    if set(pattern) & set("*?") or is_published(info):
        return pattern
    if pattern.startswith(("%", "@")):
        raise mistake(f"a wildcard has * for any text: write {quote('*' + pattern.removeprefix('%'))}")
    raise mistake(
        f"a wildcard has * for any text or ? for one character; without one write {{exact: {quote(pattern)}}}, "
        f"or {{contains: {quote(pattern)}}}"
    )


def _contained(pattern: str, info: ValidationInfo) -> str:
    if is_published(info):
        return pattern
    if len(pattern) > 2 and pattern.strip("*") in (pattern[1:], pattern[:-1], pattern[1:-1]):  # "***" may be meant
        raise mistake(f"`contains` finds its text anywhere, and * as itself: write {quote(pattern.strip('*'))}")
    return pattern


Pattern = Annotated[Text, AfterValidator(_pattern)]
Patterns = Annotated[tuple[Pattern, ...], BeforeValidator(as_list, json_schema_input_type=str | tuple[str, ...])]
Wildcards = Annotated[
    tuple[Annotated[Pattern, AfterValidator(_wildcard)], ...],
    BeforeValidator(as_list, json_schema_input_type=str | tuple[str, ...]),
]
Contained = Annotated[
    tuple[Annotated[Pattern, AfterValidator(_contained)], ...],
    BeforeValidator(as_list, json_schema_input_type=str | tuple[str, ...]),
]
Regex = Annotated[Pattern, AfterValidator(_regex)]
Regexes = Annotated[tuple[Regex, ...], BeforeValidator(as_list, json_schema_input_type=str | tuple[str, ...])]


class Matcher(Model):
    """One way to compare text. Case does not matter, but in `regex`. `plain` says it was written without a key."""

    exact: Patterns | None = None
    wildcard: Wildcards | None = None
    contains: Contained | None = None
    regex: Regexes | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Matcher:
        if len(self.model_fields_set) != 1:
            raise mistake("a matcher has one of exact, wildcard, contains, regex: write a list for several of them")
        return self

    @property
    def kind(self) -> str:
        """`exact`, `wildcard`, `contains` or `regex`."""
        return next(iter(self.model_fields_set))

    @property
    def patterns(self) -> tuple[str, ...]:
        return self.exact or self.wildcard or self.contains or self.regex or ()


def _matchers(value: Any, info: ValidationInfo) -> Any:
    for item in () if is_published(info) else as_list(value):
        if isinstance(item, str) and item.strip() == "*":
            raise mistake(
                'a plain text is compared exactly; for any text at all write {wildcard: "*"}, for * itself {exact: "*"}'
            )
        if isinstance(item, str) and re.fullmatch(r"\*[^*]+\*?|[^*]+\*", item.strip()):
            raise mistake(
                f"a plain text is compared exactly; for a pattern write {{wildcard: {quote(item)}}}, "
                f"for * itself {{exact: {quote(item)}}}"
            )
    return _listed(value)


def _listed(value: Any) -> Any:
    return tuple(x if isinstance(x, dict | tuple) else {"exact": x} for x in as_list(value))


def _address_matchers(value: Any, info: ValidationInfo) -> Any:
    for item in () if is_published(info) else as_list(value):
        if isinstance(item, str) and "*" in item:
            raise mistake(f"a plain text is compared exactly; for a pattern write {{wildcard: {quote(item)}}}")
        if isinstance(item, str) and item.strip():
            _address_written(item.strip())
    return _listed(value)


def _address_written(item: str) -> None:
    """What is written plainly is an address, and nothing around it."""
    local, at, domain = item.rpartition("@")
    if not at and "." not in item:
        raise mistake(f"an address has an @: write {item}@DOMAIN in full")
    if not at or not local:
        raise mistake(f'an address has an @; for a whole domain write {{wildcard: "*@{domain.lstrip(".")}"}}')
    inner = re.fullmatch(r"[^<>]*<([^<>]+@[^<>]+)>", item)
    if inner:
        raise mistake(f"only the address is compared, not the name with it: write {inner.group(1)}")
    try:
        parse_addr_spec(item, lenient=True)
    except BadAddress as error:
        cure = f"write name@domain, or {{contains: {quote(item)}}}"
        raise mistake(f"{quote(item)} is no whole address ({error}): {cure}") from None


def _known_mailboxes(value: tuple[Matcher, ...], info: ValidationInfo) -> tuple[Matcher, ...]:
    for address in (a for m in value if m.kind == "exact" for a in m.patterns):
        check_mailbox(address, info)
    return value


_Written = str | Matcher | tuple[str | Matcher, ...]
Matchers = Annotated[tuple[Matcher, ...], BeforeValidator(_matchers, json_schema_input_type=_Written)]
_Plain = Annotated[str, Field(pattern=r"^[^*]+@[^*]*$")]
_WrittenAddress = _Plain | Matcher | tuple[_Plain | Matcher, ...]
AddressMatchers = Annotated[
    tuple[Matcher, ...], BeforeValidator(_address_matchers, json_schema_input_type=_WrittenAddress)
]
MailboxMatchers = Annotated[AddressMatchers, AfterValidator(_known_mailboxes)]


class Wanted:
    """Matchers of one condition, entered in the book: whether and where they hold."""

    __slots__ = ("_matchers", "numbers", "text")

    def __init__(self, matchers: tuple[Matcher, ...], where: PatternField, book: PatternBook) -> None:
        self._matchers = matchers
        self.numbers = frozenset(book.add(where, m.kind, p) for m in matchers for p in m.patterns)
        self.text = " or ".join(f"{m.kind} {quote(p)}" for m in matchers for p in m.patterns)

    def place_in(self, text: str) -> int:
        """Where in `text` the first matcher holds that can say so, 0 otherwise: for showing the words around it."""
        for matcher in self._matchers:
            for pattern in matcher.patterns:
                place = _place(matcher.kind, pattern, text)
                if place > 0:
                    return place
        return 0


def _place(kind: str, pattern: str, text: str) -> int:
    if kind == "contains":
        return fold_text(text).find(fold_text(pattern))
    found = re2.search(pattern, text.encode("utf-8", "replace").decode()) if kind == "regex" else None
    return int(found.start()) if found else 0
