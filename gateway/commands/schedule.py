"""Versions that are published at a moment to come: tried now, and once more when it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.commands.dropped_rules import dropped
from gateway.commands.losses import REPLAYED, Losses, NotAgreed
from gateway.commands.publish import check, tried
from gateway.commands.replay import replay
from gateway.core.clock import now
from gateway.core.errors import InvalidInput
from gateway.core.policy_notice import NOT_PUBLISHED
from gateway.policy.problems import PolicyError
from gateway.store import candidates
from gateway.store.candidates import Candidate
from gateway.store.digests import zone_of
from gateway.store.engine import Store
from gateway.store.policies import live_version, never_stood_its_trial, version_at

RAW_MOMENT = (
    "write a time of RFC 3339 (2026-12-01T08:00:00+01:00), or 2026-12-01 08:00 as clocks of the account show it"
)


class BadMoment(InvalidInput):
    """Nothing can be published then. `what` is wrong, and the `cure`."""

    def __init__(self, what: str, cure: str) -> None:
        self.what, self.cure = what, cure
        super().__init__(f"--at {what}; {cure}")


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A version that waits for its time: the id to withdraw it by, and what was agreed to lose by it."""

    id: str
    losses: Losses


def moment_of(text: str, timezone: str) -> datetime:
    """A moment to come, UTC. Without an offset it is local time of the account. Raises BadMoment."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadMoment(f"{text!r} is no time", RAW_MOMENT) from None
    try:
        at = (at if at.tzinfo else _local(at, timezone)).astimezone(UTC)
    except OverflowError:
        raise BadMoment(f"{text!r} lies outside of the calendar", "name a time that somebody will see") from None
    if at <= now():
        raise BadMoment(f"{text!r} is past", "without --at it is published at once")
    return at


def _local(at: datetime, timezone: str) -> datetime:
    """The first of the two where clocks show a time twice. Raises BadMoment for a time that clocks leap over."""
    there = at.replace(tzinfo=zone_of(timezone))
    if there.astimezone(UTC).astimezone(there.tzinfo).replace(tzinfo=None) != at:
        raise BadMoment(
            f"'{at:%Y-%m-%d %H:%M}' is never shown in {timezone}: clocks go forward then", "name another time"
        )
    return there


def schedule(
    store: Store,
    account_id: str,
    text: str,
    at: datetime,
    *,
    note: str = "",
    author: str = "",
    agreed: bool = False,
    most: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Scheduled:
    """Publish it then. Raises PolicyError and NotAgreed as `publish` does."""
    document, replayed = tried(store, account_id, text, most=most, on_progress=on_progress)
    live = live_version(store, account_id)  # what managers publish behind it is looked at when its time has come
    losses = Losses(dropped(store, account_id, document, live), replayed)
    if losses and not agreed:
        raise NotAgreed(losses)
    return Scheduled(
        candidates.schedule(store, account_id, text, at, since_version=live, note=note, author=author), losses
    )


def publish_due(store: Store, moment: datetime) -> list[str]:
    """Publish every version whose time has come; a sentence for each. One that does not fit its account any more is not
    published, and its admins are told. May run twice at once. Raises StoreUnavailable.
    """
    said = (_published(store, candidate) for candidate in candidates.due(store, moment))
    return [sentence for sentence in said if sentence]


def _published(store: Store, candidate: Candidate) -> str:
    """Empty where somebody withdrew it meanwhile, or published another; then it is due still."""
    live, since = live_version(store, candidate.account_id), _since(store, candidate)
    try:
        _keep_rules_since(store, candidate, live, since)
    except (PolicyError, NotAgreed) as error:
        ended = candidates.refuse_due(store, candidate, str(error), NOT_PUBLISHED)
        return f"{candidate.id} was not published: {str(error).splitlines()[0]}" if ended else ""
    worse = len(replay(store, candidate.account_id, candidate.text, now() - REPLAYED).worse)
    untried = not worse and never_stood_its_trial(store, candidate.account_id, candidate.text)

    def result(version: int) -> str:
        told = [f"published as version {version}"]
        told += [f"in the place of version {live}, which came after it was scheduled"] if live > since else []
        told += [f"on probation: {worse} messages of the last {REPLAYED.days} days fare worse"] if worse else []
        told += ["on probation: that of this text was not over"] if untried else []
        return "; ".join(told)

    probation = bool(worse) or untried
    version = candidates.publish_due(store, candidate, probation=probation, result=result, instead_of=live)
    return f"{candidate.id}: {result(version)}" if version else ""


def _since(store: Store, candidate: Candidate) -> int:
    """The version it was held against when it was scheduled; by time for those that the release before scheduled."""
    if candidate.since_version is not None:
        return candidate.since_version
    return version_at(store, candidate.account_id, candidate.created_at)


def _keep_rules_since(store: Store, candidate: Candidate, live: int, since: int) -> None:
    """Of what managers published before, whoever scheduled it was asked. Raises PolicyError, NotAgreed."""
    document = check(store, candidate.account_id, candidate.text)
    rules = dropped(store, candidate.account_id, document, live, since=since)
    if rules:
        raise NotAgreed(Losses(rules))
