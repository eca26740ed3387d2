"""Stands in for a worker below a real supervisor: starts in a moment, and does what its configuration says.

`python fake_worker.py FOLDER ARGUMENT`. The configuration's key `behave` names what happens, for every slot or in a
mapping by slot: serve (say that it lives, end on SIGTERM), die (exit 1 at once), cannot-start (exit 2), hang (serve, then
say nothing more, and not hear SIGTERM), never (not even begin to serve), linger (serve, and end two seconds after SIGTERM),
cannot-start-later (exit 2 when there is `FOLDER/later`). `FOLDER/starts` gets a line for each start:
slot, pid, behaviour, and the `value` of the configuration.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path


def main(folder: Path, handed: dict[str, object]) -> int:
    configuration = json.loads(os.pread(int(str(handed["settings"])), 1 << 20, 0))
    behave = configuration.get("behave", "serve")
    if isinstance(behave, dict):
        behave = behave.get(str(handed["slot"]), "serve")
    told = sorted(name for name in os.environ if name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_")))
    line = f"{handed['slot']} {os.getpid()} {behave} {configuration.get('value')} {handed['smtp']} {told}\n"
    with (folder / "starts").open("a") as starts:
        starts.write(line)
    if behave == "cannot-start-later":
        while not (folder / "later").exists():
            time.sleep(0.02)
        return 2
    if behave in ("die", "cannot-start"):
        return 1 if behave == "die" else 2
    if behave in ("hang", "never"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif behave == "linger":
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(2))
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    life = socket.socket(fileno=int(str(handed["life"])))
    if behave != "never":
        life.send(b".")
    while behave in ("hang", "never"):
        time.sleep(60)
    while True:
        if select.select([life], [], [], 0.2)[0]:
            return 0
        life.send(b".")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
