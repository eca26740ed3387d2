"""The gateway of this repository, with the default policy, on SQLite or PostgreSQL, as `gateway serve` runs it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench.messages import SigningKey
from bench.peers.peer import Peer
from bench.services import RECIPIENT, Services, records
from gateway.store import secret
from gateway.store.log_reading import LogFilter, log_lines
from tests.servers import postgres
from tests.servers.gateway import RunningGateway, wait_until

NO_ZONE = '$ORIGIN nothing.invalid.\n$TTL 60\n@ IN TXT "-"\n'
"""Every name is asked of the name server."""


def zone_of(key: SigningKey) -> str:
    """The bench's records as a zone file, for runs without a name server; below .example, .test and .arpa nothing is asked."""
    lines = ["$TTL 300"]
    for name in ("example", "test", "arpa"):
        lines += [f"$ORIGIN {name}.", '@ IN TXT "-"']
    for name, kind, value in records(key):
        text = " ".join(f'"{piece}"' for piece in textwrap.wrap(value, 200, drop_whitespace=False))
        lines.append(f"{name}. IN {kind} {text if kind == 'TXT' else value}")
    return "\n".join(lines) + "\n"


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
        self.key: SigningKey

    @classmethod
    def missing(cls) -> list[str]:
        return []

    def prepare(self, services: Services | None) -> None:
        """Database, accounts and configuration are there; nothing runs. Without services: no clamd, and DNS from a file."""
        self.key = services.key if services else SigningKey.make()
        zone = NO_ZONE if services else zone_of(self.key)
        self.gateway = self._make(settings_for(services, self._more), zone)
        if services:  # no zone file, as with an operator: one that is asked first costs time of its own
            config = self.gateway.config
            config.write_text(config.read_text().replace('zone_file = "zone"\n', ""))
        self.port = self.gateway.smtp_port
        self.log = self.gateway.log

    def start(self, services: Services | None) -> None:
        self.prepare(services)
        self.serve()

    def serve(self) -> None:
        """`gateway serve`, until it is ready; patient, because a bench may find a busy machine."""
        self.gateway.begin()
        wait_until(self.gateway.ready, "gateway ready", 120)

    def _make(self, settings: Mapping[str, Any], zone: str) -> RunningGateway:
        return RunningGateway(self.folder, relay=self._relay, zone=zone, settings=settings)

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

    def _make(self, settings: Mapping[str, Any], zone: str) -> RunningGateway:
        self._server = postgres.PostgresServer(self.folder / "postgres")
        self._server.create()
        self._server.start()
        self._server.sql("CREATE DATABASE bench")
        home = self.folder / "gateway"
        home.mkdir()
        secret.make(home / "var" / "secret.key")
        more = {"database_url": self._server.url_of("bench")} | dict(settings)
        return RunningGateway(home, relay=self._relay, zone=zone, settings=more)

    def helpers(self) -> list[int]:
        return [int((self.folder / "postgres" / "data" / "postmaster.pid").read_text().split()[0])]

    def stop(self) -> None:
        super().stop()
        self._server.stop()
