"""`contact`: the people an account knows."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.desk import at_account
from gateway.cli.options import AccountName, AsJson, Language

app = typer.Typer(no_args_is_help=True, help="Contacts: the customers an account knows.")


@app.command()
def add(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS")],
    account: AccountName = None,
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT")] = None,
    company: Annotated[str | None, typer.Option("--company", metavar="TEXT")] = None,
    language: Language = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="Added to the tags there are. May be given again."),
    ] = None,
    no_tag: Annotated[
        list[str] | None, typer.Option("--no-tag", metavar="TAG", help="Taken away. May be given again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a contact, or bring one that is known up to date: what is not named stays; '' takes away what was known."""
    from gateway.commands.accounts import add_contact
    from gateway.core.addresses import canonical
    from gateway.store import listing
    from gateway.store.contacts import NewContact

    with at_account(ctx, account) as desk:
        said = NewContact(address, name, language, company, tuple(tag or ()), tuple(no_tag or ()))
        add_contact(desk.store, desk.account_id, said)
        every = listing.contacts(desk.store, desk.account_id) if as_json else []
    if as_json:
        show.document(next(c for c in every if canonical(c["address"]) == canonical(address.strip())))
    else:
        show.say(f"Contact {address.strip()} is known.")


@app.command("list")
def list_(ctx: typer.Context, account: AccountName = None, as_json: AsJson = False) -> None:
    """All contacts of an account."""
    from gateway.store import listing

    with at_account(ctx, account) as desk:
        found = listing.contacts(desk.store, desk.account_id)
    if as_json:
        show.document(found)
        return
    rows = [(c["address"], c["name"], c["company"], c["language"], ", ".join(c["tags"])) for c in found]
    show.table(("contact", "name", "company", "language", "tags"), rows, empty="There are no contacts.")
