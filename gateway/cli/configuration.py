"""`check-config`: what `serve` would say of the configuration, without starting."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.desk import settings_of
from gateway.cli.options import AsJson
from gateway.cli.serve import DEFAULT_ROLES, announce, without_password


def check_config(
    ctx: typer.Context,
    as_json: AsJson = False,
    for_serve: Annotated[
        str, typer.Option(hidden=True, metavar="ROLES", help="What `serve` asks at a reload: passwords are shown.")
    ] = "",
) -> None:
    """Read the configuration and say what it comes to, or what is wrong with it."""
    settings = settings_of(ctx)
    roles = tuple(for_serve.split(",")) if for_serve else DEFAULT_ROLES
    lines = list(announce(settings, roles))[1:]
    values = settings.model_dump(mode="json")
    if for_serve:
        show.document({"settings": values})
        return
    if as_json:
        values["relay"]["url"] = [without_password(u) for u in settings.relay.url]
        values["rspamd"]["password"] = "***" if settings.rspamd.password else ""
        values["database_url"] = without_password(settings.database_url)
        show.document({"settings": values, "says": lines})
        return
    show.say(f"The configuration is good: {settings.hostname}, data in {settings.data_dir}.")
    for line in lines:
        show.say(line)
