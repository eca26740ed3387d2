"""The example world: domains with keys, and the addresses their mail comes from. Made at `--fresh`, read at every start."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "acme"
CONFIG = "gateway.toml"
"""The demo's own configuration, in its folder: every other command can be tried with it."""

OUTGOING = "outgoing"
"""Where its relay puts what was sent."""
COMPANY = "acme.example"
CUSTOMER = "petal.example"
SPOOFER = "mallory.example"
NEWCOMER = "friend.example"
SELECTOR = "s1"
CAROL = f"Carol Blum <carol@{CUSTOMER}>"


@dataclass(frozen=True, slots=True)
class World:
    """The addresses mail comes from: the company's forwarding server, and everybody else."""

    forwarder_ip: str
    others_ip: str
    keys: dict[str, bytes]


def read(folder: Path) -> World:
    stored = json.loads((folder / "world.json").read_text("ascii"))
    return World(stored["forwarder_ip"], "127.0.0.1", {d: k.encode("ascii") for d, k in stored["keys"].items()})
