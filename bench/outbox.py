"""Notifications to a fast relay with the CPU each costs, and beside one that hangs: python -m bench.outbox [--messages 1000].

A dead relay here is one that takes connections and says nothing, first in the list before one that works.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from bench import sink
from bench.alone import gateway, load, refusals
from bench.figures import percentile
from bench.peers.ours import Ours
from bench.places import ROOT, free_port, run_folder
from bench.processes import cpu_seconds, settle
from tests.servers.gateway import wait_until

PATIENCE_SECONDS = 180


@contextlib.contextmanager
def relay(folder: Path) -> Iterator[tuple[str, Path]]:
    """A fast one in a process of its own: its URL, and the file with the time of each message."""
    port, times = free_port(), folder / f"times-{time.monotonic_ns()}"
    process = subprocess.Popen([sys.executable, "-m", sink.__name__, str(port), str(times)], cwd=ROOT)
    try:
        sink.await_greeting(port)
        yield f"smtp://127.0.0.1:{port}", times
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """A relay whose kernel takes connections, and that never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(500)
        yield f"smtp://127.0.0.1:{listening.getsockname()[1]}"


def arrivals(times: Path, count: int) -> list[float]:
    """When the relay had each; fewer than `count` when they do not come in time."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = times.read_text().split() if times.exists() else []
        if len(found) >= count:
            break
        time.sleep(0.1)
    return [float(moment) for moment in found]


def owe(peer: Ours, count: int) -> int:
    """Accept mail while there is no relay: how many confirmations it owes now."""
    taken = load(peer, "small", 10, count // 10, "owed")
    if refused := refusals(taken):
        print(refused)
    return len(peer.gateway.outbox("acme"))


def fast(folder: Path, count: int) -> None:
    with gateway() as peer, relay(folder) as (url, times):
        owed = owe(peer, count)
        peer.gateway.stop()
        config = peer.gateway.config
        config.write_text(config.read_text().replace("url = []", f'url = ["{url}"]'))
        peer.gateway.begin()
        # from the middle of it: what the start costs is no notification's
        before = len(arrivals(times, owed // 5))
        cpu = cpu_seconds(peer.own())
        came = arrivals(times, owed)
        settle(peer.own())
        cpu = cpu_seconds(peer.own()) - cpu
        rate = (len(came) - 1) / (came[-1] - came[0]) if len(came) > 1 else 0.0
        each = 1000 * cpu / max(1, len(came) - before)
        print(
            f"a fast relay: {len(came)} of {owed} notifications, {rate:.0f}/s, own CPU {each:.1f} ms each", flush=True
        )


def delays(peer: Ours, count: int) -> list[float]:
    """From the commit that owes a notification to the record that it was taken, in seconds, oldest first."""
    wait_until(lambda: len(peer.gateway.outbox("acme", state="delivered")) >= count, f"{count} taken", PATIENCE_SECONDS)
    rows = sorted(peer.gateway.outbox("acme"), key=lambda row: str(row["created_at"]))
    moments = [(datetime.fromisoformat(r["created_at"]), datetime.fromisoformat(r["settled_at"])) for r in rows]
    return [(settled - created).total_seconds() for created, settled in moments]


def beside_a_dead_one(folder: Path) -> None:
    """The first find out that it hangs; those that come later should not notice."""
    with silent() as dead, relay(folder) as (alive, _):
        with gateway(settings={"relay": {"url": [dead, alive]}}) as peer:
            load(peer, "small", 1, 20, "dead")
            first = delays(peer, 20)
            load(peer, "small", 1, 20, "later")
            later = delays(peer, 40)[20:]
        print(
            f"behind a relay that hangs: 20 went through the next one within {max(first):.1f} s, half of them within "
            f"{percentile(first, 50):.1f} s; the next 20 within {max(later):.2f} s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.outbox", description=__doc__)
    parser.add_argument("--messages", type=int, default=1000)
    given = parser.parse_args()
    with run_folder() as folder:
        fast(folder, given.messages)
        beside_a_dead_one(folder)


if __name__ == "__main__":
    main()
