"""The demo's course: set up, serve, send the example mail to ourselves, show each trace, go on serving.

What a set-up or the guide needs is imported there: the second `./dev run` serves without the one, and before the other.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import threading
from collections.abc import Collection
from pathlib import Path

from gateway.configuration import NOT_SETTINGS, load
from gateway.core.errors import InvalidInput
from gateway.demo import world
from gateway.demo.world import CONFIG, OUTGOING
from gateway.ground import prepare_to_serve
from gateway.settings import Settings, split_host_port
from gateway.supervisor import RoleLocks, Supervisor, listen

ROLES = ("smtp", "outbox", "web", "jobs")
SET_UP = "set-up"


def run(settings: Settings, *, fresh: bool = False, smtp: int | None = None, http: int | None = None) -> int:
    """Serve the example account until stopped; the exit code. `smtp` and `http` are other ports than the settings'. Raises
    InvalidInput when a port or the folder is taken.
    """
    settings = _at_ports(settings, smtp, http)
    folder = settings.data_dir / "demo"
    set_up = folder / SET_UP
    is_new = _claim_folder(settings, folder, fresh=fresh)
    demo = _configure(settings, folder)
    supervisor = Supervisor(
        data_dir=demo.data_dir,
        roles=ROLES,
        smtp=demo.smtp.listen,
        http=(demo.http.listen,),
        worker_command=[sys.executable, "-P", "-m", "gateway.worker"],
        configuration=demo.model_dump_json().encode(),
    )
    supervisor.claim()
    prepare_to_serve(demo)
    if is_new:
        from gateway.demo.account import set_up_account

        set_up_account(demo)
        set_up.touch()
    sent_before = {path.name for path in (folder / OUTGOING).glob("*.eml")}
    threading.Thread(target=_guide, args=(demo, folder, sent_before, is_new), name="guide", daemon=True).start()
    return supervisor.run()


def _guide(demo: Settings, folder: Path, sent_before: Collection[str], is_new: bool) -> None:
    from gateway.demo.guide import Guide  # takes as long as the worker takes to start, and meanwhile

    gc.enable()  # the command line rests it
    Guide(demo, folder, sent_before, is_new=is_new).run()


def _at_ports(settings: Settings, smtp: int | None, http: int | None) -> Settings:
    addresses = settings.smtp.listen if smtp is None else (_at_port(settings.smtp.listen[0], smtp),)
    web = settings.http.listen if http is None else _at_port(settings.http.listen, http)
    changed = {
        "smtp": settings.smtp.model_copy(update={"listen": addresses}),
        "http": settings.http.model_copy(update={"listen": web}),
    }
    port = split_host_port(web)[1]
    if port and web in addresses:  # 0 is any port that is free
        raise InvalidInput(
            f"SMTP and HTTP cannot both be at port {port}: choose another with --smtp PORT or --http PORT"
        )
    return settings.model_copy(update=changed)


def _at_port(address: str, port: int) -> str:
    return f"{address.rpartition(':')[0]}:{port}"


def _claim_folder(settings: Settings, folder: Path, *, fresh: bool) -> bool:
    """Whether the demo begins anew, in a folder that was emptied. A demo that still runs there, or another program at its
    ports, is named before anything is touched. Raises InvalidInput.
    """
    locks = RoleLocks(folder)
    try:
        locks.take(ROLES)
        for option, addresses in (("--smtp", settings.smtp.listen), ("--http", (settings.http.listen,))):
            for address in addresses:
                listen(address, elsewhere=f"choose another port with {option} PORT").close()
        is_new = fresh or not (folder / SET_UP).exists()
        if is_new:
            _make_folder(folder)
    finally:
        locks.release()
    return is_new


def _make_folder(folder: Path) -> None:
    """An empty folder with a new world."""
    (folder / SET_UP).unlink(missing_ok=True)  # first: what is left half deleted is not taken for a demo
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    from gateway.demo.zone import make

    make(folder)


def _configure(settings: Settings, folder: Path) -> Settings:
    """The demo's own configuration file, so that every other command can be tried with --config."""
    addresses = list(settings.smtp.listen)
    if ":" in world.read(folder).forwarder_ip:
        addresses.append(f"[::1]:{split_host_port(addresses[0])[1]}")
    lines = [
        "# made by `gateway demo`",
        'hostname = "mx.gateway.localhost"',
        'domain = "gateway.localhost"',
        f"data_dir = {json.dumps(str(folder))}",
        f"smtp = {{ listen = {json.dumps(addresses)} }}",
        f"http = {{ listen = {json.dumps(settings.http.listen)} }}",
        f"clamav = {{ address = {json.dumps(settings.clamav.address)} }}",
        'dns = { zone_file = "zone.txt", timeout_seconds = 1 }',
        f'relay = {{ url = ["file:{OUTGOING}"] }}',
        f"log = {{ format = {json.dumps(settings.log.format)} }}",
    ]
    (folder / CONFIG).write_text("\n".join(lines) + "\n", "utf-8")
    # what the environment said is in the file now; the worker must not read it twice
    for variable in [v for v in os.environ if v.startswith("GATEWAY_") and v not in NOT_SETTINGS]:
        del os.environ[variable]
    return load(folder / CONFIG)
