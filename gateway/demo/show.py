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

from gateway.demo import world
from gateway.demo.world import CONFIG, OUTGOING
from gateway.ground import prepare_to_serve
from gateway.settings import NOT_SETTINGS, Settings, load, split_host_port
from gateway.supervisor import RoleLocks, Supervisor

ROLES = ("smtp", "outbox", "web", "jobs")
SET_UP = "set-up"


def run(settings: Settings, *, fresh: bool = False) -> int:
    """Serve the example account until stopped; the exit code. Raises InvalidInput when a port or the folder is taken."""
    folder = settings.data_dir / "demo"
    set_up = folder / SET_UP
    is_new = fresh or not set_up.exists()
    if is_new:
        _make_folder(folder)
    demo = _configure(settings, folder)
    supervisor = Supervisor(
        data_dir=demo.data_dir,
        roles=ROLES,
        smtp=demo.smtp.listen,
        http=(demo.http.listen,),
        worker_command=[sys.executable, "-m", "gateway.worker"],
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


def _make_folder(folder: Path) -> None:
    """An empty folder with a new world. A demo that still runs there is named, and nothing of it is touched."""
    locks = RoleLocks(folder)
    locks.take(ROLES)
    (folder / SET_UP).unlink(missing_ok=True)  # first: what is left half deleted is not taken for a demo
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    locks.release()
    from gateway.demo.zone import make

    make(folder)


def _configure(settings: Settings, folder: Path) -> Settings:
    """The demo's own configuration file, so that every other command can be tried with --config."""
    listen = list(settings.smtp.listen)
    if ":" in world.read(folder).forwarder_ip:
        listen.append(f"[::1]:{split_host_port(listen[0])[1]}")
    lines = [
        "# made by `gateway demo`",
        'hostname = "mx.gateway.localhost"',
        'domain = "gateway.localhost"',
        f"data_dir = {json.dumps(str(folder))}",
        f"smtp = {{ listen = {json.dumps(listen)} }}",
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
