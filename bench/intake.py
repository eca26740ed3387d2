"""Intake alone, without clamd and name server: python -m bench.intake [--rounds 5] [--peers ours,ours-postgres]."""

from __future__ import annotations

import argparse

from bench.alone import gateway, load, refusals
from bench.figures import Spread
from bench.processes import cpu_seconds, settle

CONNECTIONS, MESSAGES = 10, 100


def measure(kind: str, rounds: int) -> None:
    """The first load is not counted: caches fill."""
    with gateway(kind) as peer:
        load(peer, "small", CONNECTIONS, 10, "warm")
        rates, p99s, own, helpers = [], [], [], []
        for number in range(rounds):
            before = cpu_seconds(peer.own()), cpu_seconds(peer.helpers())
            taken = load(peer, "small", CONNECTIONS, MESSAGES, number)
            settle([*peer.own(), *peer.helpers()])
            sent = CONNECTIONS * MESSAGES
            rates.append(taken.rate)
            p99s.append(taken.percentile(99))
            own.append(1000 * (cpu_seconds(peer.own()) - before[0]) / sent)
            helpers.append(1000 * (cpu_seconds(peer.helpers()) - before[1]) / sent)
            if refused := refusals(taken):
                print(refused)
    print(
        f"{kind}: {Spread.of(rates)}/s, p99 {Spread.of(p99s)} ms, CPU a message {Spread.of(own)} ms, "
        f"database's {Spread.of(helpers)} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.intake", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default="ours,ours-postgres")
    given = parser.parse_args()
    for kind in given.peers.split(","):
        measure(kind, given.rounds)


if __name__ == "__main__":
    main()
