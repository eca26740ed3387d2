"""The small values of the document: what each may hold, and what is said to a person when it does not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from gateway.core.addresses import BadAddress, canonical, parse_addr_spec
from gateway.policy.cures import quote

_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(B|KB|MB|GB|KiB|MiB|GiB)?", re.IGNORECASE)
_FACTORS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_DURATION = re.compile(r"(\d{1,6})\s*(s|m|h|d)")
_ALIKE = 0.7
"""What `did you mean` asks for: `hgih` and `high` are 0.75 alike, `nobody` and `bob` 0.67."""
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
LONGEST_RULE_NAME = 200
LONGEST_TAG = 100
"""Characters."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Model(BaseModel):
    """Base of every mapping of the document: immutable, no unknown keys, no conversions.

    `later` names keys that are part of the language but not available in this version; `elsewhere` those that other places
    of the document take, with what to say of them here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=False)
    later: ClassVar[frozenset[str]] = frozenset()
    elsewhere: ClassVar[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Known:
    """The names that exist in the account; a document that speaks of others is refused. `gateway_domains` are those whose
    mail comes here; templates are None where the caller does not know which there are.
    """

    teams: frozenset[str] = frozenset()
    mailboxes: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()
    gateway_domains: frozenset[str] = frozenset()
    agent_templates: frozenset[str] | None = None
    customer_templates: frozenset[str] | None = None


class Published:
    """The context of a document that is live or was: it stays good, whatever a newer release thinks of how it is written, and
    whatever a newer RE2 thinks of its patterns.
    """


PUBLISHED = Published()


def is_published(info: ValidationInfo) -> bool:
    """True when the document was taken already."""
    return info.context is PUBLISHED


def mistake(message: str) -> PydanticCustomError:
    """An error whose text is already meant for the writer; braces are pydantic's formatting, so they go in as context."""
    return PydanticCustomError("mistake", "{message}", {"message": message})


def suggestion(word: str, known: Collection[str]) -> str:
    """`: did you mean ...?`, the known words when there are few, or nothing."""
    asked = word[:100].lower()
    close = _close_addresses(asked, known) if "@" in asked else get_close_matches(asked, sorted(known), 1, _ALIKE)
    begun = [k for k in known if (len(asked) > 1 and k.startswith(asked)) or asked.startswith(f"{k} ")]
    if close or len(begun) == 1:
        return f": did you mean `{(close or begun)[0]}`?"
    return f": known are {', '.join(sorted(known))}" if 0 < len(known) <= 30 else ""


def _close_addresses(asked: str, known: Collection[str]) -> list[str]:
    """Both halves alone: people of one company have the longer half of their addresses in common."""
    local, _, domain = asked.rpartition("@")
    by_local: dict[str, list[str]] = {}
    for address in sorted(known):
        by_local.setdefault(address.lower().rpartition("@")[0], []).append(address)
    near = [address for name in get_close_matches(local, by_local, 5, _ALIKE) for address in by_local[name]]
    return [a for a in near if get_close_matches(domain, [a.lower().rpartition("@")[2]], 1, _ALIKE)]


def not_available(key: str) -> str:
    """What is said of a key that a later version will take."""
    return f"`{key}` is part of the language but not available in this version"


def non_empty(value: str) -> str:
    """Text with something in it."""
    if not value.strip():
        raise mistake("this is empty: write a text, or remove the key")
    return value


def short_name(most: int, what: str) -> AfterValidator:
    """Text that people see in lists and log lines: one line, not longer than `most` characters, nothing that turns the
    direction of what stands beside it (Unicode's UAX 9 section 2). What was published stays good.
    """

    def check(value: str, info: ValidationInfo) -> str:
        if is_published(info):
            return value
        if len(value) > most:
            raise mistake(f"{what} has at most {most} characters, this has {len(value)}: shorten it")
        odd = next((c for c in value if unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in _DIRECTIONS), "")
        if odd in ("\n", "\r", "\x85", "\u2028", "\u2029"):
            raise mistake(f"{what} is one line: remove the line break")
        if odd:
            raise mistake(f"{what} has no control characters and no marks of direction: remove U+{ord(odd):04X}")
        return value

    return AfterValidator(check)


def _bytes(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise mistake("a size is not negative")
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found:
        raise mistake("a size is a number of bytes, or has a unit: 25MB (KB, MB, GB; 1 MB is 1,048,576 bytes)")
    return int(float(found.group(1)) * _FACTORS[(found.group(2) or "")[:1].lower()])


def duration(value: Any) -> int | None:
    """The seconds of `30s`, `90m`, `4h` or `2d`; None for anything else."""
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(found.group(1)) * _SECONDS[found.group(2)] if found else None


def _seconds(value: Any) -> Any:
    seconds = duration(value)
    if seconds is None:
        raise mistake("a duration is a number and a unit: 30s, 90m, 4h or 2d")
    return seconds


def _address(value: str) -> str:
    try:
        parse_addr_spec(value)
    except BadAddress as error:
        raise mistake(f"{quote(value)} is no e-mail address ({error}): write name@domain") from None
    return value


def check_team(value: str, info: ValidationInfo) -> str:
    """A team that exists, where the caller said which do."""
    known = _known(info)
    if known is not None and canonical(value) in {canonical(x) for x in known.agents}:
        raise mistake(
            f"{quote(value)} is an agent, no team: {{assign: {value}}} gives tickets to an agent, {{notify: [{value}]}} tells one"
        )
    if known is not None and value not in known.teams:
        raise mistake(f"there is no team {quote(value)}{suggestion(value, known.teams)}")
    return value


def _no_team(value: str, info: ValidationInfo) -> str:
    """Text where an agent is wanted, unless it is the name of a team."""
    known = _known(info)
    team = next((t for t in known.teams if t.lower() == value.strip().lower()), "") if known else ""
    if team and "@" not in value:
        raise mistake(f"{quote(value)} is a team, no agent: write {{team: {team}}}")
    if known is None and "@" not in value:
        raise mistake(f"{quote(value)} is no e-mail address: an agent is name@domain, a team {{team: {value}}}")
    return value


def check_agent(value: str, info: ValidationInfo) -> str:
    """An agent that exists, where the caller said which do."""
    known = _known(info)
    if known is not None and canonical(value) not in {canonical(x) for x in known.agents}:
        raise mistake(f"there is no agent {quote(value)}{suggestion(value, known.agents)}")
    return value


def check_mailbox(value: str, info: ValidationInfo) -> str:
    """A mailbox that exists, where the caller said which do."""
    known = _known(info)
    if known is not None and canonical(value) not in {canonical(x) for x in known.mailboxes}:
        raise mistake(f"there is no mailbox {quote(value)}{suggestion(value, known.mailboxes)}")
    return value


def check_agent_template(value: str, info: ValidationInfo) -> str:
    """A template for mail to agents that exists, where the caller said which do."""
    known = _known(info)
    return _template(value, known.agent_templates if known else None, "agents")


def check_customer_template(value: str, info: ValidationInfo) -> str:
    """A template for mail to customers that exists, where the caller said which do."""
    known = _known(info)
    return _template(value, known.customer_templates if known else None, "customers")


def _template(value: str, there: frozenset[str] | None, whom: str) -> str:
    if there is not None and value not in there:
        raise mistake(f"there is no template {quote(value)} for mail to {whom}{suggestion(value, there)}")
    return value


def _known(info: ValidationInfo) -> Known | None:
    known = info.context
    return known if isinstance(known, Known) else None


def as_list(value: Any) -> Any:
    """One thing where a list may stand is a list of one."""
    if isinstance(value, tuple) and not value:
        raise mistake("this list is empty: write something into it, or remove the key")
    return value if isinstance(value, tuple) else (value,)


def _scalar_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, AfterValidator(non_empty)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(as_list, json_schema_input_type=str | tuple[str, ...])]
ScalarText = Annotated[str, BeforeValidator(_scalar_text, json_schema_input_type=str | int | float | bool)]
_SizeWritten = (
    Annotated[str, Field(pattern=r"^\s*\d{1,9}(\.\d{1,3})?\s*(([KkMmGg][Ii]?)?[Bb])?\s*$")]
    | Annotated[int, Field(ge=0)]
)
_DurationWritten = Annotated[str, Field(pattern=r"^\s*\d{1,6}\s*[smhd]\s*$")]
Bytes = Annotated[int, BeforeValidator(_bytes, json_schema_input_type=_SizeWritten)]
Seconds = Annotated[int, BeforeValidator(_seconds, json_schema_input_type=_DurationWritten)]
EmailAddress = Annotated[Text, AfterValidator(_address)]
RuleName = Annotated[
    Text,
    short_name(LONGEST_RULE_NAME, "the name of a rule"),
    Field(json_schema_extra={"maxLength": LONGEST_RULE_NAME}),
]
_TagWritten = Annotated[str, Field(max_length=LONGEST_TAG)]
Tags = Annotated[
    tuple[Annotated[Text, short_name(LONGEST_TAG, "a tag")], ...],
    BeforeValidator(as_list, json_schema_input_type=_TagWritten | tuple[_TagWritten, ...]),
]
TeamName = Annotated[Text, AfterValidator(check_team)]
AgentAddress = Annotated[Text, AfterValidator(_no_team), AfterValidator(_address), AfterValidator(check_agent)]
AgentTemplate = Annotated[Text, AfterValidator(check_agent_template)]
MailboxAddress = Annotated[EmailAddress, AfterValidator(check_mailbox)]
