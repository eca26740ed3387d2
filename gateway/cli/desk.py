"""What a command works on: the settings, the database, an account in it; opened as late and as little as it needs."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from gateway.core.errors import InvalidInput

if TYPE_CHECKING:
    from gateway.line import Line
    from gateway.settings import Settings
    from gateway.store.blobs import FileBlobs
    from gateway.store.engine import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Invocation:
    """What was said before the command: `--config`."""

    config: Path | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    settings: Settings
    store: Store

    def blobs(self) -> FileBlobs:
        from gateway.store.binding import blob_mark
        from gateway.store.blobs import FileBlobs

        return FileBlobs(self.settings.blob_dir, partial(blob_mark, self.store))


@dataclass(frozen=True, slots=True)
class AccountDesk(Desk):
    """A desk in one account."""

    account_id: str
    account: str


def imported() -> None:
    """From here on a command may be long: what its work leaves lying is collected, what was imported is not looked at."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def settings_of(ctx: typer.Context) -> Settings:
    """Raises BadConfiguration."""
    from gateway.configuration import load

    invocation = ctx.find_object(Invocation)
    return load(invocation.config if invocation else None)


@contextmanager
def at_desk(ctx: typer.Context) -> Iterator[Desk]:
    """The database, of this release's schema and this domain. Raises BadConfiguration, InvalidInput, StoreUnavailable."""
    from gateway.store import migrations
    from gateway.store.binding import require_domain
    from gateway.store.engine import Store

    settings = settings_of(ctx)
    require_database(settings)
    store = Store(settings.database_url, settings.data_dir)
    try:
        migrations.require_current(store)
        require_domain(store, settings.domain)
        imported()
        yield Desk(settings, store)
    finally:
        store.close()


def has_database(settings: Settings) -> bool:
    """False where SQLite has no file yet; a server is asked by connecting to it."""
    is_file = settings.database_url.startswith("sqlite:///")
    return not is_file or Path(settings.database_url.removeprefix("sqlite:///")).exists()


def require_database(settings: Settings) -> None:
    """Opening would make an empty one: a look at nothing leaves nothing behind."""
    if not has_database(settings):
        where = settings.database_url.removeprefix("sqlite:///")
        raise InvalidInput(f"there is no database at {where}; run `gateway db upgrade` first, or name a --config")


@contextmanager
def at_account(ctx: typer.Context, name: str | None) -> Iterator[AccountDesk]:
    """As `at_desk`, in the account that `--account` names; where nothing names one, in the only one. Raises UnknownThing."""
    from gateway.store import listing, named

    with at_desk(ctx) as desk:
        name = named.only_account(desk.store) if name is None else name.strip().lower()
        if not name:
            there = ", ".join(a["name"] for a in listing.accounts(desk.store))
            text = f"say which account: --account NAME, or set GATEWAY_ACCOUNT. Accounts: {there or 'none yet'}"
            raise typer.BadParameter(text, ctx=ctx, param_hint="--account")
        yield AccountDesk(desk.settings, desk.store, named.account_id(desk.store, name), name)


def on_the_line(settings: Settings, work: Callable[[Line], Awaitable[T]]) -> T:
    """Run `work` with the intake and all it needs, in an event loop of its own. Raises InvalidInput."""
    import asyncio
    import logging

    from gateway import log
    from gateway.ground import open_ground
    from gateway.line import Line

    terminal = sys.stderr is not None and sys.stderr.isatty()
    # to stderr: stdout is for what the command reports, and that is all a person at a terminal wants of what went well
    log.set_up(settings.log.format, least=logging.WARNING if terminal else logging.INFO)

    async def run() -> T:
        async with Line(ground) as line:
            return await work(line)

    require_database(settings)
    ground = open_ground(settings)
    log.key_hashes(ground.secret.keys[0])
    imported()
    try:
        return asyncio.run(run())
    finally:
        ground.close()
        log.close()  # before the words the command ends with
