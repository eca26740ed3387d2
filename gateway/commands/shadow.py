"""A candidate that runs beside the live policy: nothing it decides happens, and everything it would change is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.commands.publish import Published, check, publish
from gateway.commands.replay import Replay, replay
from gateway.core.errors import UnknownThing
from gateway.store import candidates
from gateway.store.candidates import Candidate
from gateway.store.engine import Store
from gateway.store.history import beginning_of

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Shadow:
    """What it would have done otherwise since `since`: its start, or later where that is too much mail to look at."""

    candidate: Candidate
    since: datetime
    found: Replay


def start(store: Store, account_id: str, text: str, *, note: str = "", author: str = "") -> str:
    """Returns its id. Raises PolicyError, ShadowRuns where one runs already."""
    check(store, account_id, text)
    return candidates.start_shadow(store, account_id, text, note=note, author=author)


def watch(
    store: Store,
    account_id: str,
    *,
    most: int | None = None,
    on_progress: OnProgress = lambda _done, _all: None,
) -> Shadow | None:
    """Every message since its start through the candidate, against what was decided; `most` of them, the newest. None where
    none runs. Raises PolicyError when this release cannot read the candidate.
    """
    candidate = candidates.shadow_of(store, account_id)
    if candidate is None:
        return None
    since = candidate.created_at
    since = beginning_of(store, account_id, since, most) if most else since
    return Shadow(candidate, since, replay(store, account_id, candidate.text, since, on_progress))


def stop(store: Store, account_id: str, *, by: str) -> None:
    """Raises UnknownThing where none runs."""
    if not candidates.stop_shadow(store, account_id, f"stopped by {by}"):
        raise _none_runs()


def make_live(
    store: Store,
    account_id: str,
    *,
    note: str = "",
    author: str = "",
    agreed: bool = False,
    most: int | None = None,
    on_progress: OnProgress = lambda _done, _all: None,
) -> Published:
    """Publish the candidate, and end the shadow. Raises UnknownThing, PolicyError, NotAgreed."""
    candidate = candidates.shadow_of(store, account_id)
    if candidate is None:
        raise _none_runs()
    done = publish(
        store, account_id, candidate.text,
        note=note or candidate.note, author=author, agreed=agreed, most=most, on_progress=on_progress,
    )  # fmt: skip
    candidates.stop_shadow(store, account_id, f"published as version {done.version}", only=candidate.id)
    return done


def _none_runs() -> UnknownThing:
    return UnknownThing(
        "no candidate runs in the shadow of this account; `gateway policy shadow start FILE` begins one"
    )
