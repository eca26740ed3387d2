"""`db`: the schema, and what the database belongs to."""

from __future__ import annotations

from contextlib import closing

import typer

from gateway.cli import show
from gateway.cli.desk import has_database, require_database, settings_of
from gateway.cli.options import AsJson

app = typer.Typer(no_args_is_help=True, help="The database: its schema, and the domain it was made for.")


@app.command()
def upgrade(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Make or upgrade the database, the secret key and the operator's account `system`. Does no harm twice."""
    settings = settings_of(ctx)
    from gateway.ground import prepare
    from gateway.store.migrations import HEAD

    prepare(settings)
    if as_json:
        show.document({"revision": HEAD, "head": HEAD, "current": True})
    else:
        show.say(f"The database has schema {HEAD}, which this release needs. Data in {settings.data_dir}")


@app.command()
def current(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Which schema the database has, and which this release needs."""
    settings = settings_of(ctx)
    from gateway.store import migrations
    from gateway.store.engine import Store

    revision = None
    if has_database(settings):
        store = Store(settings.database_url, settings.data_dir)
        revision = migrations.current(store)
        store.close()
    if as_json:
        found = {"revision": revision, "head": migrations.HEAD, "current": revision == migrations.HEAD}
        show.document(found)
        return
    say = "it is up to date" if revision == migrations.HEAD else "run `gateway db upgrade`"
    show.say(f"database: {revision or 'empty'}, this release: {migrations.HEAD}; {say}")


@app.command()
def domain(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Have the accounts below the configured `domain`, where the database was made with another one.

    Their addresses change with it, and the records they want published: `gateway doctor` names them. Stop `serve` before.
    """
    settings = settings_of(ctx)
    from gateway.store import migrations
    from gateway.store.engine import Store
    from gateway.store.moving import move_accounts

    require_database(settings)
    with closing(Store(settings.database_url, settings.data_dir)) as store:
        migrations.require_current(store)
        moved = move_accounts(store, settings.domain)
    if as_json:
        show.document({"domain": settings.domain, "before": moved.before, "policies": list(moved.policies)})
        return
    show.say(f"The accounts lie below {settings.domain} from now on; before, it was {moved.before}.")
    if moved.policies:
        show.say(f"Policies that still speak of {moved.before}: {', '.join(moved.policies)}; publish them anew.")
