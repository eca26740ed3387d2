"""The settings that hold for a transaction: the account's, a mailbox's own, or the strictest of several mailboxes'."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from gateway.policy.document import Accept, Allow, Attachments, Overrides, PolicyDocument, Virus
from gateway.policy.values import Model

M = TypeVar("M", bound=Model)

_FEWEST_FIRST = ("none", "listed", "company", "all")

LENIENT_TO_STRICT = ("accept", "hold", "strip", "quarantine", "defer", "reject")
"""One order for all dispositions: `strip` is final where `hold` waits, and what is not taken is stricter than what waits."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the document says for one mailbox. `messages` holds every restriction, for two mailboxes may differ; `body` is
    the first mailbox's, whose ticket it is.
    """

    accept: Accept
    attachments: Attachments
    virus: Virus
    messages: frozenset[str]
    import_cc: str = "company"
    body: str = "html"


def settings_of(document: PolicyDocument) -> Settings:
    """The account's settings."""
    return _settings(document.accept, document.attachments, document.virus, document.import_cc, document.body)


def settings_with(document: PolicyDocument, overrides: Overrides) -> Settings:
    """The account's settings with those of one mailbox laid over them, key by key."""
    return _settings(
        _laid_over(document.accept, overrides.accept),
        _laid_over(document.attachments, overrides.attachments),
        _laid_over(document.virus, overrides.virus),
        overrides.import_cc if "import_cc" in overrides.model_fields_set else document.import_cc,
        overrides.body if "body" in overrides.model_fields_set else document.body,
    )


def strictest(settings: Sequence[Settings]) -> Settings:
    """The settings of a message that is for several mailboxes at once."""
    if len(settings) == 1:
        return settings[0]  # nearly always: to tell settings apart costs more than all else here
    first, *others = dict.fromkeys(settings)
    if not others:
        return first
    every = [first, *others]
    return Settings(
        _joined([s.accept for s in every]),
        _joined([s.attachments for s in every]),
        _joined([s.virus for s in every]),
        frozenset().union(*(s.messages for s in every)),
        min((s.import_cc for s in every), key=_FEWEST_FIRST.index),
        first.body,
    )


def stricter(one: str, other: str) -> str:
    """The stricter of two dispositions."""
    return max(one, other, key=LENIENT_TO_STRICT.index)


def _settings(accept: Accept, attachments: Attachments, virus: Virus, import_cc: str, body: str) -> Settings:
    return Settings(accept, attachments, virus, frozenset({accept.messages}), import_cc, body)


def _laid_over(base: M, over: M) -> M:
    written = {name: getattr(over, name) for name in over.model_fields_set}
    if isinstance(base, Attachments) and "allow" in written:
        written["allow"] = _laid_over(base.allow, written["allow"])
    return base.model_copy(update=written)


def _joined(models: Sequence[M]) -> M:
    names = type(models[0]).model_fields
    return models[0].model_copy(update={n: _JOIN.get(n, _strictest)([getattr(m, n) for m in models]) for n in names})


def _strictest(values: Sequence[str]) -> str:
    return max(values, key=LENIENT_TO_STRICT.index)


def _first(values: Sequence[Any]) -> Any:
    return values[0]


def _joins_least(values: Sequence[bool | timedelta]) -> bool | timedelta:
    if any(v is False for v in values):
        return False
    return min((v for v in values if isinstance(v, timedelta)), default=True)


def _union(values: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(t for types in values for t in types))


def _in_all(values: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(t for t in values[0] if all(t in types for types in values[1:]))


def _allowed_by_all(values: Sequence[Allow]) -> Allow:
    return _joined(values)


_JOIN: dict[str, Callable[[Sequence[Any]], Any]] = {
    "senders": lambda values: "contacts" if "contacts" in values else "anyone",
    "messages": _first,  # Settings.messages has them all
    "join_open_ticket": _joins_least,
    "refuse_forwarded": any,
    "tell_refused": all,  # the strictest sends least
    "acknowledge": all,
    "allow": _allowed_by_all,
    "image": _in_all,
    "video": _in_all,
    "audio": _in_all,
    "deny": _union,
    "max_files": min,
    "max_bytes": min,
    "max_inline_files": min,
    "max_inline_bytes": min,
    "defer_at_most": min,
}
