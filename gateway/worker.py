"""The worker process: `python -m gateway.worker CONFIG ARGUMENT`, started by the supervisor and by nobody else."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

from gateway import log
from gateway.app import Bell, Worker
from gateway.core.errors import GatewayError, Surroundings
from gateway.settings import load
from gateway.smtp.client_table import ClientTable
from gateway.store import secret


def main(arguments: list[str]) -> int:
    """Exit 0 after a stop in good order, 1 when the grace ran out or our surroundings fail, 2 when it cannot start at all."""
    config, handed = arguments[0], json.loads(arguments[1])
    settings = load(Path(config) if config else None)
    log.set_up(settings.log.format)
    smtp, http = ([socket.socket(fileno=n) for n in handed[kind]] for kind in ("smtp", "http"))
    try:
        log.key_hashes(secret.read(settings.secret_key_path).keys[0])
        worker = Worker(settings, frozenset(handed["roles"]), frozenset(handed.get("group", handed["roles"])))
        life, bell = socket.socket(fileno=handed["life"]), Bell(*handed["bell"])
        drained = asyncio.run(worker.run(smtp, http, life, bell, ClientTable.handed(handed["clients"], handed["slot"])))
    except GatewayError as error:
        sys.stderr.write(f"gateway: {error}\n")
        # a database that is locked or away comes back: the supervisor tries again
        return 1 if isinstance(error, Surroundings) else 2
    return 0 if drained else 1


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # everything begun is finished and closed; threads of libraries must not keep the process
    sys.stdout.flush()
    log.close()
    os._exit(code)
