"""The real gateway on PostgreSQL: as `tests/servers/gateway.py`, with a database of its own on a given server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.core.clock import new_id
from gateway.store import secret
from tests.servers.gateway import RunningGateway
from tests.servers.postgres import PostgresServer


def gateway_on(
    server: PostgresServer,
    folder: Path,
    *,
    relay: str = "",
    workers: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> RunningGateway:
    """Not started. Its SMTP has `workers` processes, the outbox and the web have one more."""
    database = f"t{new_id()}"
    server.sql(f"CREATE DATABASE {database}")
    secret.make(folder / "var" / "secret.key")
    more = {"database_url": server.url_of(database), "smtp": {"workers": workers}} | dict(settings or {})
    return RunningGateway(folder, relay=relay, settings=more)
