"""Notifications to a fast relay, and beside one that hangs: python -m bench.outbox [--messages 1000].

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
from pathlib import Path

from bench import sink
from bench.alone import gateway, load, refusals
from bench.figures import percentile
from bench.peers.ours import Ours
from bench.places import ROOT, free_port, run_folder

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
        peer.serve()
        came = arrivals(times, owed)
        rate = (len(came) - 1) / (came[-1] - came[0]) if len(came) > 1 else 0.0
        print(f"a fast relay: {len(came)} of {owed} notifications, {rate:.0f}/s", flush=True)


def beside_a_dead_one(folder: Path) -> None:
    with silent() as dead, relay(folder) as (alive, times):
        with gateway(settings={"relay": {"url": [dead, alive]}}) as peer:
            started = time.time()
            load(peer, "small", 1, 20, "dead")
            came = [moment - started for moment in arrivals(times, 20)]
        print(
            f"behind a relay that hangs: {len(came)} of 20 went through the next one, "
            f"half of them within {percentile(came, 50):.1f} s, all within {max(came, default=float('nan')):.1f} s"
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
