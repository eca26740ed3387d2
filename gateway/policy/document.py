"""The policy document: typed, immutable, and the source of its JSON Schema.

Conditions and actions are found by scanning, so that a new one is a key of the language by being a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, create_model, model_validator

from gateway.policy import actions, conditions
from gateway.policy.action import Action
from gateway.policy.condition import Condition
from gateway.policy.file_kinds import FileTypeList
from gateway.policy.values import Bytes, MailboxAddress, Model, RuleName, Seconds, TeamName, as_list, duration, mistake
from gateway.registry import plugins_of


@cache
def all_conditions() -> dict[str, Condition]:
    """The conditions found, by name."""
    return plugins_of(conditions, "CONDITION", Condition)  # type: ignore[type-abstract]  # the port is what is asked for


@cache
def all_actions() -> dict[str, Action]:
    """The actions found, by name."""
    return plugins_of(actions, "ACTION", Action)  # type: ignore[type-abstract]  # the port is what is asked for


def _joining(value: Any) -> Any:
    if isinstance(value, bool | timedelta):
        return value
    seconds = duration(value)
    if seconds is None:
        raise mistake("write true, false, or how long ago the last activity may be: 90m, 4h or 2d")
    return timedelta(seconds=seconds)


Joining = Annotated[bool | timedelta, BeforeValidator(_joining, json_schema_input_type=bool | str)]
Body = Literal["html", "text"]
ImportCc = Literal["none", "listed", "company", "all"]


class Accept(Model):
    """Whose mail is taken, and what of it."""

    senders: Literal["anyone", "contacts"] = "anyone"
    messages: Literal["all", "new", "answers"] = "all"
    unverified: Literal["accept", "quarantine", "reject"] = "accept"
    forged: Literal["accept", "quarantine", "reject"] = "reject"
    indeterminate: Literal["accept", "quarantine", "defer"] = "accept"
    refuse_forwarded: bool = False
    tell_refused: bool = True
    join_open_ticket: Joining = False
    acknowledge: bool = True
    spam: Literal["accept", "quarantine", "reject"] = "quarantine"


class Allow(Model):
    """For each class of media, the types that are taken (`product.md` C19-C21); all others of the class are violations."""

    image: FileTypeList = ("jpeg", "png", "gif", "tiff", "raw", "webp", "heic", "heif")
    video: FileTypeList = ("mp4", "mov", "avi", "wmv", "webm")
    audio: FileTypeList = ("mp3", "wav", "m4a", "ogg")


class Attachments(Model):
    """Which files are taken, and what happens to those that are not."""

    allow: Allow = Allow()
    deny: FileTypeList = ("exe", "dll", "bat", "zip", "rar", "scr", "bin")
    violation: Literal["strip", "hold", "quarantine", "reject"] = "strip"
    encrypted: Literal["accept", "hold", "strip", "quarantine", "reject"] = "hold"
    macros: Literal["accept", "hold", "strip", "quarantine", "reject"] = "accept"
    max_files: Annotated[int, Field(ge=0, le=10_000)] = 10
    max_bytes: Bytes = 25 * 1024 * 1024
    max_inline_files: Annotated[int, Field(ge=0, le=10_000)] = 10
    max_inline_bytes: Bytes = 25 * 1024 * 1024


class Virus(Model):
    """What follows from the scanner's findings. With the scanner off it is not asked."""

    infected: Literal["reject", "quarantine", "strip"] = "reject"
    unscannable: Literal["hold", "quarantine", "reject", "accept"] = "hold"
    scanner_down: Literal["defer", "hold", "quarantine", "accept"] = "defer"
    defer_at_most: Seconds = 4 * 3600


class Overrides(Model):
    """What is different for one mailbox; keys not written are as for the account."""

    accept: Accept = Accept()
    body: Body = "html"
    import_cc: ImportCc = "company"
    attachments: Attachments = Attachments()
    virus: Virus = Virus()


class IfBase(Model):
    """Several keys mean all of them."""

    @model_validator(mode="after")
    def _something(self) -> IfBase:
        if not self.model_fields_set:
            raise mistake("this is empty: write a condition, for example {subject: {contains: urgent}}")
        return self

    def clauses(self) -> Iterator[IfBase]:
        """Itself, and all that stand within."""
        yield self
        for combined in ("all", "any", "none"):
            for inner in getattr(self, combined, None) or ():
                yield from inner.clauses()


class EarlyIfBase(IfBase):
    """Of `author_from`: whose mail it is has to be known before what we remember of him and of his tickets."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        name: f"`{name}` is not known yet where it is decided whose mail this is: use sender, header, subject or another"
        for name in ("contact", "kind", "language", "ticket")
    }


class ThenBase(Model):
    """One action, or several."""

    later: ClassVar[frozenset[str]] = frozenset({"remind"})

    @model_validator(mode="after")
    def _something(self) -> ThenBase:
        if not self.model_fields_set:
            raise mistake("this is empty: write an action, for example {route: support}")
        return self


def _conditions(value: Any) -> Any:
    """`all`, `any` and `none` take a list: a mapping would read as if its keys were alternatives."""
    if isinstance(value, dict):
        raise mistake("write a list of conditions: [{subject: …}, {sender: …}]")
    return as_list(value)


def _bare_action(value: Any) -> Any:
    """`- ignore` and `- ignore:` are the action without parameters."""
    bare = {name for name, action in all_actions().items() if action.bare}
    if isinstance(value, str) and value in bare:
        return {value: True}
    if isinstance(value, dict):
        return {key: True if item is None and key in bare else item for key, item in value.items()}
    return value


def _action_list(value: Any) -> Any:
    if isinstance(value, dict | str):
        raise mistake("write a list of actions: then: [{route: support}, {tag: [vip]}]")
    return as_list(value)


if TYPE_CHECKING:

    class If(IfBase):
        """`all`, `any`, `none`, and every condition found."""

    class EarlyIf(EarlyIfBase):
        """The same, but what is `elsewhere`."""

    class Then(ThenBase):
        """Every action found."""
else:

    def _if(name: str, base: type[IfBase]) -> type[IfBase]:
        nested = Annotated[tuple[name, ...] | None, BeforeValidator(_conditions, json_schema_input_type=list[name])]
        taken = {n: c.Params for n, c in all_conditions().items() if n not in base.elsewhere}
        made = create_model(
            name,
            __base__=base,
            __module__=__name__,
            **dict.fromkeys(("all", "any", "none"), (nested, None)),
            **{n: (params | None, None) for n, params in taken.items()},
        )
        made.model_rebuild(_types_namespace={name: made})
        return made

    If = _if("If", IfBase)
    EarlyIf = _if("EarlyIf", EarlyIfBase)
    Then = create_model(
        "Then",
        __base__=ThenBase,
        __module__=__name__,
        **{name: (action.Params | None, None) for name, action in all_actions().items()},
    )

_BARE = tuple(sorted(name for name, action in all_actions().items() if action.bare))
Action_ = Annotated[Then, BeforeValidator(_bare_action, json_schema_input_type=Literal[_BARE] | Then)]


class Rule(Model):
    """`if` what, `then` what; without `if` it holds for all mail that would open a ticket. `stop` ends the list."""

    name: RuleName | None = None
    if_: Annotated[If | None, Field(alias="if")] = None
    then: Annotated[tuple[Action_, ...], BeforeValidator(_action_list, json_schema_input_type=list[Action_])] = ()
    stop: bool = False

    @model_validator(mode="after")
    def _does_something(self) -> Rule:
        if not self.then and not self.stop:
            raise mistake("this rule does nothing: give it `then: […]`, or `stop: true`")
        return self

    @model_validator(mode="after")
    def _sees_answers(self) -> Rule:
        asked = list(self.if_.clauses()) if self.if_ else []
        closed = any(getattr(getattr(clause, "ticket", None), "closed_for", None) is not None for clause in asked)
        if closed and not any("kind" in clause.model_fields_set for clause in asked):
            raise mistake(
                "`closed_for` is about answers, which a rule sees that names `kind`: write `kind: answer` beside it"
            )
        return self


class TeamRules(Model):
    """The rules of one team: they see what reaches it, after all of the account's."""

    rules: tuple[Rule, ...] = ()


class AuthorFrom(Model):
    """Whose mail it really is where From is a machine (a web form, a Google Group): `if` what, which field names him."""

    if_: Annotated[EarlyIf, Field(alias="if")]
    take: Literal["reply-to", "x-original-sender", "x-original-from"]


class PolicyDocument(Model):
    """A whole policy; every key is optional, and an empty document is a good one."""

    accept: Accept = Accept()
    body: Body = "html"
    import_cc: ImportCc = "company"
    attachments: Attachments = Attachments()
    virus: Virus = Virus()
    author_from: tuple[AuthorFrom, ...] = ()
    block: tuple[If, ...] = ()
    rules: tuple[Rule, ...] = ()
    teams: dict[TeamName, TeamRules] = Field(default_factory=dict)
    mailboxes: dict[MailboxAddress, Overrides] = Field(default_factory=dict)

    def named_rules(self, team: str | None = None) -> Iterator[tuple[str, Rule]]:
        """The rules of the account, or of a team, with their names, or places (`rule 3`, `team finance: rule 1`)."""
        whose = f"team {team}: " if team is not None else ""
        for number, rule in enumerate(self.rules if team is None else self.teams[team].rules, 1):
            yield whose + (rule.name or f"rule {number}"), rule
