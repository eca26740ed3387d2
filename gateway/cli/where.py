"""`where`: where somebody's mail is, in plain sentences."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.desk import at_desk
from gateway.cli.options import AsJson, EveryAccount, Since


def where(
    ctx: typer.Context,
    sender: Annotated[
        str,
        typer.Option("--sender", metavar="ADDRESS", help="The author or the envelope's sender; rewritten ones too."),
    ],
    account: EveryAccount = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Say what became of every mail of a sender, or that none reached us; in all accounts unless one is named."""
    from gateway.commands.where import nothing_came
    from gateway.commands.where import where as look
    from gateway.store import named

    with at_desk(ctx) as desk:
        if account:
            named.account_id(desk.store, account)
        found = look(desk.store, sender, account=account or None, since=since)
        nothing = "" if found else nothing_came(desk.store, sender, account or None)
    if as_json:
        show.document(found)
        return
    if nothing:
        show.say(f"{nothing}.")
    for entry in found:
        show.say(entry["sentence"])
