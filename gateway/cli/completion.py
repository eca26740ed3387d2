"""What the shell completes: names and numbers from the database, or nothing where there is none to ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gateway.core.errors import GatewayError

if TYPE_CHECKING:
    from gateway.store.engine import Store

SHOWN = 200
Found = list[tuple[str, str]]


def account_names(ctx: typer.Context, incomplete: str) -> Found:
    """Accounts with their companies."""
    from gateway.store import listing

    with _quietly(), _store(ctx) as store:
        return _fitting([(a["name"], a["company_name"]) for a in listing.accounts(store)], incomplete)
    return []


def ticket_numbers(ctx: typer.Context, incomplete: str) -> Found:
    """The newest tickets of the account, with their subjects."""
    from gateway.cli.show import washed
    from gateway.store.ticket_changes import newest_tickets

    with _quietly(), _store(ctx) as store:
        account_id = _account_id(ctx, store)
        return _fitting([(str(n), washed(subject)) for n, subject in newest_tickets(store, account_id)], incomplete)
    return []


def agent_addresses(ctx: typer.Context, incomplete: str) -> Found:
    """The agents of the account, with their names."""
    from gateway.store import listing

    with _quietly(), _store(ctx) as store:
        account_id = _account_id(ctx, store)
        return _fitting([(a["address"], a["name"]) for a in listing.agents(store, account_id)], incomplete)
    return []


def team_names(ctx: typer.Context, incomplete: str) -> Found:
    """The teams of the account, with how many agents each has."""
    from gateway.store import listing

    with _quietly(), _store(ctx) as store:
        account_id = _account_id(ctx, store)
        found = [(t["name"], f"{len(t['agents'])} agents") for t in listing.teams(store, account_id)]
        return _fitting(found, incomplete)
    return []


def starter_names(incomplete: str) -> Found:
    """The policies to begin with, and what each is for."""
    from gateway.cli.starters import starters

    with _quietly():
        return _fitting([(s.name, s.about) for s in starters()], incomplete)
    return []


def _fitting(found: Found, incomplete: str) -> Found:
    return [one for one in found if one[0].startswith(incomplete)][:SHOWN]


def _account_id(ctx: typer.Context, store: Store) -> str:
    """Of the account that was typed so far, or the only one; the shell has not yet run any callback. Raises UnknownThing."""
    import os

    from gateway.store import named

    value: Any = ctx.params.get("account") or os.environ.get("GATEWAY_ACCOUNT") or named.only_account(store) or ""
    return named.account_id(store, str(value).strip().lower())


@contextmanager
def _quietly() -> Iterator[None]:
    """A shell that completes is no place for complaints."""
    from contextlib import suppress

    with suppress(GatewayError):
        yield


@contextmanager
def _store(ctx: typer.Context) -> Iterator[Store]:
    from gateway.cli.desk import has_database
    from gateway.configuration import load
    from gateway.core.errors import UnknownThing
    from gateway.store.engine import Store

    config = ctx.find_root().params.get("config")
    settings = load(Path(config) if config else None)
    if not has_database(settings):
        raise UnknownThing("no database")
    store = Store(settings.database_url, settings.data_dir)
    try:
        yield store
    finally:
        store.close()
