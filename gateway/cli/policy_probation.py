"""What is said of a version that begins on probation: for how long, against what, and who hears of the mail that waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.cli import show

if TYPE_CHECKING:
    from gateway.cli.desk import AccountDesk

Json = dict[str, Any]


def probation_of(desk: AccountDesk, version: int) -> Json | None:
    """None for a version that is on none. Raises StoreUnavailable."""
    from gateway.store import policies
    from gateway.store.events import moment
    from gateway.store.listing import account

    found = policies.probation_of(desk.store, desk.account_id, version)
    if found is None:
        return None
    told = list(account(desk.store, desk.account_id)["admins"])
    return {"until": moment(found.since + policies.PROBATION), "before": found.before, "told": told}


def say_probation(account: str, found: Json | None) -> None:
    """Nothing where there is none."""
    if found is None:
        return
    from gateway.store.policy_notices import TOLD_AT

    show.say(
        f"It is on probation until {show.moment(found['until'])}: mail that it would not ticket and version "
        f"{found['before']} would have waits in quarantine until a person looks (gateway quarantine list)."
    )
    if found["told"]:
        show.say(f"When {TOLD_AT} messages wait, a mail says so to {', '.join(found['told'])}.")
    else:
        show.say(
            "Nobody is told of the mail that waits, since the account has no admins: "
            f"gateway account edit {account} --admins ADDRESS"
        )
