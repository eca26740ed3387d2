"""`trace`: the passport of one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.desk import at_desk
from gateway.cli.options import AsJson, EveryAccount
from gateway.cli.trace_page import trace_lines
from gateway.core.errors import UnknownThing

if TYPE_CHECKING:
    from gateway.store.engine import Store


def trace(
    ctx: typer.Context,
    trace_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The second word of the reply's text, see `gateway log`.")
    ] = None,
    message_id: Annotated[
        str | None, typer.Option("--message-id", metavar="M", help="All transactions that brought this Message-ID.")
    ] = None,
    account: EveryAccount = None,
    as_json: AsJson = False,
) -> None:
    """What happened to one transaction, step by step: every check, every rule with the values it saw, every delivery."""
    if (trace_id is None) == (message_id is None):
        raise typer.BadParameter("name one trace ID, or --message-id", ctx=ctx)
    with at_desk(ctx) as desk:
        found = [_passport(desk.store, t, account) for t in _wanted(desk.store, trace_id, message_id)]
    found = [t for t in found if t]
    if not found:
        what = f"trace {trace_id}" if trace_id else f"kept message with Message-ID {message_id}"
        raise UnknownThing(f"there is no {what}{f' in account {account}' if account else ''}; `gateway log` lists them")
    if as_json:
        show.document(found if message_id else found[0])
        return
    for number, one in enumerate(found):
        show.page([*([show.blank()] if number else []), *trace_lines(one)])


def _wanted(store: Store, trace_id: str | None, message_id: str | None) -> list[str]:
    from gateway.store import log_reading

    return [trace_id] if trace_id else log_reading.traces_of_message_id(store, message_id or "")


def _passport(store: Store, trace_id: str, account: str | None) -> dict[str, Any]:
    """The trace with what the message's rules and files came to, and what it made us owe; empty when of another account."""
    from gateway.store import listing, log_reading, message_reading, named

    found = log_reading.trace(store, trace_id.strip())
    if account and found["account"] != account.strip().lower():
        return {}
    rules: list[Any] = []
    attachments: list[Any] = []
    if found["message"]:
        message = message_reading.message(store, named.account_id(store, found["account"]), found["message"])
        if message["trace"] == found["id"]:  # else a retry: what was decided stands in the first transaction's trace
            rules, attachments = message["rules"], message["attachments"]
        summary = {"author": message["author"], "subject": message["subject"], "ticket": message["ticket"]}
        found["about"] = summary | {"message_id": message["message_id"], "first_trace": message["trace"]}
    notices = listing.notices_of_trace(store, found["id"])
    return found | {"rules": rules, "attachments": attachments, "notifications": notices}
