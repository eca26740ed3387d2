"""`check-config`: what `serve` would say of the configuration, without starting."""

from __future__ import annotations

import typer

from gateway.cli import show
from gateway.cli.desk import settings_of
from gateway.cli.options import AsJson
from gateway.cli.serve import DEFAULT_ROLES, announce, without_password


def check_config(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Read the configuration and say what it comes to, or what is wrong with it."""
    settings = settings_of(ctx)
    lines = list(announce(settings, DEFAULT_ROLES))[1:]
    if as_json:
        values = settings.model_dump(mode="json")
        values["relay"]["url"] = [without_password(u) for u in settings.relay.url]
        values["database_url"] = without_password(settings.database_url)
        show.document({"settings": values, "says": lines})
        return
    show.say(f"The configuration is good: {settings.hostname}, data in {settings.data_dir}.")
    for line in lines:
        show.say(line)
