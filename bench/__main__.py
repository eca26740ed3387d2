"""`./dev bench NAME […]`: runs one of the benches, or says which there are."""

from __future__ import annotations

import runpy
import sys

from bench import install
from bench.peers import PEERS

BENCHES = {
    "compare": "Haraka, Exim, Postfix and us in turn, on the same messages with the same checks",
    "load": "the load generator alone: --sink",
    "intake": "intake without clamd and DNS, on SQLite and PostgreSQL",
    "memory": "100 messages of 10 MB at once, empty lines, stalled clients",
    "fairness": "a small message while large ones stream in",
    "growth": "accepting and listing with many messages stored",
    "slow_disk": "commits in groups on a disk whose fsync takes 2 ms more",
    "outbox": "notifications to a fast relay, and beside a dead one",
    "start": "time to ready",
    "policy_decide": "500 rules on one message",
    "airlock": "CPU of scanning and looking inside, ours and clamd's, by size and with archives",
    "replay": "10,000 stored messages through another policy",
}
NEEDS = {"compare": tuple(PEERS), "intake": ("ours", "ours-postgres")}
"""Peers that a bench runs, where that is not only us."""


def _peers_of(name: str, arguments: list[str]) -> list[str]:
    """As the bench itself will read them, of what was named on the command line."""
    for i, argument in enumerate(arguments):
        if argument == "--peers":
            return arguments[i + 1].split(",") if i + 1 < len(arguments) else []
        if argument.startswith("--peers="):
            return argument.partition("=")[2].split(",")
    return list(NEEDS.get(name, ("ours",)))


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in BENCHES:
        print("./dev bench NAME [arguments; --help says which]\n")
        for known, what in BENCHES.items():
            print(f"  {known:<14} {what}")
        sys.exit(2 if name else 0)
    arguments = sys.argv[2:]
    sys.argv = ["bench.install", *_peers_of(name, arguments)]
    if "--help" not in arguments and name not in ("load", "policy_decide", "replay"):
        install.main()
    sys.argv = [f"bench.{name}", *arguments]
    runpy.run_module(f"bench.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
