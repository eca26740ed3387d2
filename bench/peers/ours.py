"""The gateway of this repository, with the default policy, on SQLite or PostgreSQL, as `gateway serve` runs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench.peers.peer import Peer
from bench.services import RECIPIENT, Services
from gateway.store import secret
from gateway.store.queries import LogFilter, log_lines
from tests.servers import postgres
from tests.servers.gateway import RunningGateway

NO_ZONE = '$ORIGIN nothing.invalid.\n$TTL 60\n@ IN TXT "-"\n'
"""Every name is asked of the name server."""


def settings_for(services: Services | None, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The bench's clamd and DNS; without services neither is there."""
    chosen: dict[str, Any] = {}
    if services:
        chosen["clamav"] = {"address": f"unix:{services.clamd_socket}"}
        chosen["dns"] = {"nameservers": ["127.0.0.1"], "port": services.dns_port, "timeout_seconds": 5}
    return chosen | dict(more or {})


class Ours(Peer):
    name: ClassVar[str] = "ours"
    marks: ClassVar[Mapping[str, str]] = {
        "spf": r'"method": "spf", "result": "pass"',
        "dkim": r'"method": "dkim", "result": "pass"',
        "broken dkim": r'"method": "dkim", "result": "fail"',
        "clamd": r'"stage": "scan", "outcome": "clean"',
    }

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None, relay: str = "") -> None:
        super().__init__(folder)
        self.recipient = RECIPIENT
        self._more, self._relay = settings, relay
        self.gateway: RunningGateway

    @classmethod
    def missing(cls) -> list[str]:
        return []

    def prepare(self, services: Services | None) -> None:
        """Database, accounts and configuration are there; nothing runs."""
        self.gateway = self._make(settings_for(services, self._more))
        self.port = self.gateway.smtp_port
        self.log = self.gateway.log

    def start(self, services: Services | None) -> None:
        self.prepare(services)
        self.gateway.start()

    def _make(self, settings: Mapping[str, Any]) -> RunningGateway:
        return RunningGateway(self.folder, relay=self._relay, zone=NO_ZONE, settings=settings)

    def own(self) -> list[int]:
        process = self.gateway.process
        return [process.pid] if process else []

    def said(self) -> str:
        lines = log_lines(self.gateway.store, LogFilter())
        return json.dumps([self.gateway.trace(line["trace"]) for line in lines[:50]])

    def stop(self) -> None:
        if self.gateway.running:
            self.gateway.stop()
        self.gateway.close()


class OursOnPostgres(Ours):
    """One SMTP process per core, and the database's own processes as helpers."""

    name: ClassVar[str] = "ours-postgres"
    _server: postgres.PostgresServer

    @classmethod
    def missing(cls) -> list[str]:
        return [] if postgres.binaries() else ["postgresql"]

    def _make(self, settings: Mapping[str, Any]) -> RunningGateway:
        self._server = postgres.PostgresServer(self.folder / "postgres")
        self._server.create()
        self._server.start()
        self._server.sql("CREATE DATABASE bench")
        home = self.folder / "gateway"
        home.mkdir()
        secret.make(home / "var" / "secret.key")
        more = {"database_url": self._server.url_of("bench")} | dict(settings)
        return RunningGateway(home, relay=self._relay, zone=NO_ZONE, settings=more)

    def helpers(self) -> list[int]:
        return [int((self.folder / "postgres" / "data" / "postmaster.pid").read_text().split()[0])]

    def stop(self) -> None:
        super().stop()
        self._server.stop()
