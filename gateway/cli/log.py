"""`log`: the delivery log, a line per transaction."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.desk import at_desk
from gateway.cli.options import AsJson, EveryAccount, OutcomeName, Since
from gateway.cli.trace_page import envelope_sender
from gateway.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from gateway.store.engine import Store
    from gateway.store.log_reading import LogFilter

POLL_SECONDS = 1.0
LATE = timedelta(minutes=10)
"""A transaction's time is that of its content; its line is written when it is settled, at most so much later."""
ALL = 1_000_000
_COLUMNS = ("at", "trace", "account", "outcome", "reason", "client", "from", "to", "reply")


def log(
    ctx: typer.Context,
    account: EveryAccount = None,
    outcome: Annotated[OutcomeName | None, typer.Option("--outcome", help="Only these.")] = None,
    since: Since = None,
    sender: Annotated[str | None, typer.Option("--sender", metavar="ADDRESS", help="Envelope or author.")] = None,
    recipient: Annotated[str | None, typer.Option("--recipient", metavar="ADDRESS")] = None,
    unreturned: Annotated[
        bool, typer.Option("--unreturned", help="Only deferred ones whose sender has not come back.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until interrupted.")] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the newest.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Every transaction, oldest first, refused and deferred ones too; of all accounts unless one is named."""
    from gateway.store import log_reading, named

    if follow and unreturned:
        raise typer.BadParameter(
            "who has not come back yet may still come: leave out --follow or --unreturned", ctx=ctx
        )
    if unreturned and outcome not in (None, OutcomeName.DEFERRED):
        raise typer.BadParameter(f"only deferred mail comes back: leave out --outcome {outcome.value}", ctx=ctx)
    _is_address("--sender", sender)
    _is_address("--recipient", recipient)
    with at_desk(ctx) as desk:
        if account:
            named.account_id(desk.store, account)
        wanted = log_reading.LogFilter(
            account=account or None,
            outcome=outcome.value if outcome else None,
            since=since,
            sender=sender,
            recipient=recipient,
            limit=limit,
        )
        if follow:
            _follow(desk.store, wanted, as_json=as_json)
            return
        found = _unreturned(desk.store, wanted) if unreturned else log_reading.log_lines(desk.store, wanted)
    if as_json:
        show.document(found)
        return
    show.table(_COLUMNS, [_row(x) for x in found], empty="No transaction fits.")


def _is_address(option: str, given: str | None) -> None:
    """An empty list for what is no address would look as if nothing had come."""
    from gateway.core.addresses import BadAddress, parse_addr_spec

    if given is None or given.lower() == "postmaster":  # the one recipient without a domain, RFC 5321 section 4.1.1.3
        return
    try:
        parse_addr_spec(given, lenient=True)
    except BadAddress as error:
        cure = "write a whole address, for example support@acme.example"
        raise typer.BadParameter(f"{given!r} is no mail address: {error}; {cure}", param_hint=option) from None


def _row(x: dict[str, Any]) -> tuple[show.Cell, ...]:
    return (
        show.moment(x["at"]), x["trace"], x["account"], show.state(x["outcome"]), x["reason"], x["client"],
        envelope_sender(x["reverse_path"]), ", ".join(x["recipients"]), x["reply"],
    )  # fmt: skip


def _unreturned(store: Store, wanted: LogFilter) -> list[dict[str, Any]]:
    from gateway.store import log_reading
    from gateway.store.whereabouts import unreturned

    deferred = log_reading.log_lines(store, replace(wanted, outcome=OutcomeName.DEFERRED.value, limit=ALL))
    return unreturned(store, deferred)[-wanted.limit :]


def _follow(store: Store, wanted: LogFilter, *, as_json: bool) -> None:
    """What there is of `--since`, or what comes from now on; one line each, one object each with `--json`."""
    for line in _coming(store, wanted):
        if as_json:
            show.record(line)
        else:
            show.page([_followed(line)])
        sys.stdout.flush()


def _followed(x: dict[str, Any]) -> show.Line:
    """No table: its widths are not known before its end."""
    who = f"{envelope_sender(x['reverse_path'])} to {', '.join(x['recipients']) or 'nobody'}"
    reason = "" if x["reason"] == x["outcome"] else f" {x['reason']}"
    head = (show.Words(f"{show.moment(x['at'])}  {x['trace']}  ", "dim"), show.state(x["outcome"]))
    return show.Line(head, (show.Words(f"{reason}  {x['account']}  {who}"), show.Words(f"  {x['reply']}", "dim")))


def _coming(store: Store, wanted: LogFilter) -> Iterator[dict[str, Any]]:
    """Polls. Lines are told apart by their traces: they are not written in the order of their times."""
    from gateway.store import log_reading

    began = datetime.now(UTC)
    seen: dict[str, datetime] = {}
    if wanted.since is None:
        before = log_reading.log_lines(store, replace(wanted, since=began - LATE, limit=ALL))
        seen = {x["trace"]: datetime.fromisoformat(x["at"]) for x in before}
    lines = log_reading.log_lines(store, wanted) if wanted.since else []
    while True:
        for line in lines:
            if line["trace"] not in seen:
                seen[line["trace"]] = datetime.fromisoformat(line["at"])
                yield line
        time.sleep(POLL_SECONDS)
        horizon = datetime.now(UTC) - LATE
        seen = {trace: at for trace, at in seen.items() if at >= horizon - LATE}
        lines = _polled(store, replace(wanted, since=horizon, limit=ALL))


def _polled(store: Store, wanted: LogFilter) -> list[dict[str, Any]]:
    """A database that is away for a while ends nothing."""
    from gateway.store import log_reading

    try:
        return log_reading.log_lines(store, wanted)
    except StoreUnavailable as error:
        show.complain(f"{error}; trying again")
        return []
