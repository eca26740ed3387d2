"""The worker process: `python -m gateway.worker ARGUMENT`, started by the supervisor and by nobody else."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys

if __name__ == "__main__":
    gc.disable()  # until all is imported: to look for garbage in what stays would take a fifth of the start
    sys.modules["rich"] = None  # type: ignore[assignment]  # structlog would import it, 50 ms, for what no worker draws
    from gateway import figure_files

    # before anything that counts is imported
    if unshared := figure_files.share(json.loads(sys.argv[1]).get("slot", 0)):
        sys.stderr.write(f"gateway: {unshared}\n")

from pydantic import ValidationError

from gateway import log
from gateway.app import Bell, Worker
from gateway.core.errors import GatewayError, InvalidInput, Surroundings
from gateway.last_good import LastGood
from gateway.life import Life
from gateway.resolver import ZoneFile
from gateway.settings import Settings
from gateway.smtp.client_table import ClientTable
from gateway.store import secret


def main(arguments: list[str]) -> int:
    """Exit 0 after a stop in good order, 1 when our surroundings or a part of it fail, 2 when it cannot start at all.

    A stop whose grace ran out is one in good order: it did what `shutdown_grace_seconds` says, and who was cut comes again.
    """
    # who sends it to the whole group (a terminal that closes, `systemctl kill`) means the supervisor
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # it was, since before our first line
    handed = json.loads(arguments[0])
    try:
        settings = settings_of(handed["settings"])
        log.set_up(settings.log.format)
        smtp, http = inherited(handed["smtp"]), inherited(handed["http"])
        log.key_hashes(secret.read(settings.secret_key_path).keys[0])
        last = {name: LastGood(file) for name, file in handed.get("last_good", {}).items()}
        settings = with_good_zone(settings, last.get("zone", LastGood()))
        worker = Worker(settings, frozenset(handed["roles"]), frozenset(handed["group"]), last.get("pair"))
        life, bell = Life(socket.socket(fileno=handed["life"])), Bell(*handed["bell"])
        whole = asyncio.run(worker.run(smtp, http, life, bell, ClientTable.handed(handed["clients"], handed["slot"])))
    except GatewayError as error:
        sys.stderr.write(f"gateway: {error}\n")
        # a database that is locked or away comes back: the supervisor tries again
        return 1 if isinstance(error, Surroundings) else 2
    return 0 if whole else 1


def inherited(files: list[int]) -> list[socket.socket]:
    """By number alone: then each finds out its protocol, without which asyncio leaves TCP_NODELAY off."""
    return [socket.socket(fileno=n) for n in files]


def with_good_zone(settings: Settings, last_good: LastGood) -> Settings:
    """With the last good zone file in place of a broken one, where there is one; else the line says what is wrong with it."""
    path = settings.dns.zone_file
    if path is None:
        return settings
    try:
        ZoneFile(path)
    except InvalidInput as error:
        if (spares := last_good.spares((path,))) is None:
            return settings
        log.get("worker").error("zone file not usable; the last good one is", reason=str(error))
        dns = settings.dns.model_copy(update={"zone_file": spares[0]})
        return settings.model_copy(update={"dns": dns})
    last_good.keep({path: path.read_bytes()})
    return settings


def settings_of(file: int) -> Settings:
    """The configuration as the supervisor checked it. Raises InvalidInput where that is of another release."""
    text = os.pread(file, os.fstat(file).st_size, 0)
    os.close(file)
    try:
        return Settings.model_validate_json(text)
    except ValidationError as error:
        keys = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
        raise InvalidInput(f"`serve` runs in another release than its worker ({keys}); restart it") from None


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # everything begun is finished and closed; threads of libraries must not keep the process
    sys.stdout.flush()
    log.close()
    os._exit(code)
