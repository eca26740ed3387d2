"""`log`: the delivery log, a line per transaction."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.desk import at_desk
from gateway.cli.options import AccountName, AsJson, OutcomeName, Since


def log(
    ctx: typer.Context,
    account: AccountName = None,
    outcome: Annotated[OutcomeName | None, typer.Option("--outcome", help="Only these.")] = None,
    since: Since = None,
    sender: Annotated[str | None, typer.Option("--sender", metavar="ADDRESS", help="Envelope or author.")] = None,
    recipient: Annotated[str | None, typer.Option("--recipient", metavar="ADDRESS")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the newest.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Every transaction, oldest first, refused and deferred ones too; of all accounts unless one is named."""
    from gateway.store import queries

    with at_desk(ctx) as desk:
        if account:
            queries.account_id(desk.store, account)
        wanted = queries.LogFilter(
            account=account or None,
            outcome=outcome.value if outcome else None,
            since=since,
            sender=sender,
            recipient=recipient,
            limit=limit,
        )
        found = queries.log_lines(desk.store, wanted)
    if as_json:
        show.document(found)
        return
    rows = [
        (
            show.moment(x["at"]), x["trace"], x["account"], show.state(x["outcome"]), x["reason"], x["client"],
            f"<{x['reverse_path'] or ''}>", ", ".join(x["recipients"]), x["reply"],
        )
        for x in found
    ]  # fmt: skip
    columns = ("at", "trace", "account", "outcome", "reason", "client", "from", "to", "reply")
    show.table(columns, rows, empty="No transaction fits.")
