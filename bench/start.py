"""From the command to ready, on a data directory that exists: python -m bench.start [--rounds 5]."""

from __future__ import annotations

import argparse
from time import perf_counter

from bench.alone import gateway
from bench.figures import Spread


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    ready, ended = [], []
    with gateway(started=False) as peer:
        for _ in range(given.rounds + 1):
            started = perf_counter()
            peer.serve()
            ready.append(perf_counter() - started)
            started = perf_counter()
            peer.gateway.stop()
            ended.append(perf_counter() - started)
    print(
        f"`gateway serve`: first {ready[0]:.2f} s, then ready after {Spread.of(ready[1:])} s, "
        f"ended {Spread.of(ended)} s after SIGTERM"
    )


if __name__ == "__main__":
    main()
