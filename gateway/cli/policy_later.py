"""`policy scheduled`, `unschedule`: versions that are to be published at a moment to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.desk import at_account
from gateway.cli.options import AccountName, AsJson, whoami

if TYPE_CHECKING:
    from gateway.store.candidates import Candidate


def scheduled(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """Versions that wait for their time, the next one first, and what became of the last ones."""
    from gateway.store import candidates

    with at_account(ctx, account) as desk:
        found = [json_of(c) for c in candidates.scheduled(desk.store, desk.account_id)]
    if as_json:
        show.document(found)
        return
    rows = [
        (c["id"], show.moment(c["due_at"]), c["author"], c["note"], c["result"].partition("\n")[0] or "waits")
        for c in found
    ]
    show.table(("id", "due", "by", "note", "result"), rows, empty="Nothing is to be published later.")


def json_of(candidate: Candidate) -> dict[str, Any]:
    from gateway.store.events import moment

    return {
        "id": candidate.id,
        "due_at": moment(candidate.due_at),
        "author": candidate.author,
        "note": candidate.note,
        "created_at": moment(candidate.created_at),
        "ended_at": moment(candidate.ended_at),
        "result": candidate.result,
        "text": candidate.text,
    }


def unschedule(
    ctx: typer.Context,
    candidate: Annotated[str, typer.Argument(metavar="ID", help="See `policy scheduled`.")],
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw a version that waits for its time: it is not published."""
    from gateway.store import candidates

    with at_account(ctx, account) as desk:
        candidates.unschedule(desk.store, desk.account_id, candidate, by=whoami())
    if as_json:
        show.document({"id": candidate, "withdrawn": True})
    else:
        show.say(f"{candidate} is withdrawn: it will not be published.")


def add_to(app: typer.Typer) -> None:
    app.command()(scheduled)
    app.command()(unschedule)
