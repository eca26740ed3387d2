"""`db`: the schema."""

from __future__ import annotations

import typer

from gateway.cli import show
from gateway.cli.desk import has_database, settings_of
from gateway.cli.options import AsJson

app = typer.Typer(no_args_is_help=True, help="The database's schema.")


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
