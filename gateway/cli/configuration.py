"""`check-config`: what `serve` would say of the configuration, without starting."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.desk import Invocation, settings_of
from gateway.cli.options import AsJson
from gateway.cli.serve import DEFAULT_ROLES, announce, without_password

if TYPE_CHECKING:
    from gateway.settings import Settings


def check_config(
    ctx: typer.Context,
    as_json: AsJson = False,
    for_serve: Annotated[
        str, typer.Option(hidden=True, metavar="ROLES", help="What `serve` asks at a reload: passwords are shown.")
    ] = "",
    running: Annotated[
        bool, typer.Option("--running", hidden=True, help="With what `serve` runs with on stdin.")
    ] = False,
    filled: Annotated[bool, typer.Option("--filled", hidden=True, help="A file that sets nothing is refused.")] = False,
) -> None:
    """Read the configuration and say what it comes to, or what is wrong with it."""
    settings = _filled(ctx) if filled else settings_of(ctx)
    if running:
        _require_usable(settings, json.loads(sys.stdin.buffer.read()))
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


def _filled(ctx: typer.Context) -> Settings:
    """Raises BadConfiguration, also for a file that sets nothing."""
    from gateway.configuration import load

    invocation = ctx.find_object(Invocation)
    return load(invocation.config if invocation else None, blank_allowed=False)


def _require_usable(new: Settings, running: dict[str, Any]) -> None:
    """That a worker could serve with it, on the data that a reload leaves as it is. Raises InvalidInput: the worker that
    serves now is the last one that does, once another cannot come up.
    """
    from gateway.core.errors import InvalidInput
    from gateway.ground import require_ready

    usual = type(new).model_fields["domain"].default
    if new.domain == usual != running["domain"]:
        raise InvalidInput(
            f"domain: {running['domain']} is not set any more, and all its mail would be refused; set it"
        )
    kept = {
        "data_dir": Path(running["data_dir"]),
        "database_url": running["database_url"],
        "blob_url": running["blob_url"],
    }
    key = running["secret_key_file"]
    require_ready(new.model_copy(update={**kept, "secret_key_file": Path(key) if key else None}))
