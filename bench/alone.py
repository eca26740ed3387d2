"""Our gateway without peers: what the small benches share."""

from __future__ import annotations

import contextlib
import re
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from bench.load import Load, Taken, run
from bench.peers import PEERS
from bench.peers.ours import Ours
from bench.places import run_folder
from bench.services import Services

SOURCES = tuple(f"127.0.0.{n}" for n in range(2, 7))
"""Clients: the gateway lets one client have 50 connections."""


@contextlib.contextmanager
def gateway(
    kind: str = "ours",
    *,
    checks: bool = False,
    started: bool = True,
    settings: Mapping[str, Any] | None = None,
    relay: str = "",
) -> Iterator[Ours]:
    """Running; `checks`: with clamd and a name server, else without a scanner and with its records in a file."""
    with run_folder() as folder, contextlib.ExitStack() as stack:
        services = stack.enter_context(Services(folder)) if checks else None
        cls = PEERS[kind]
        assert issubclass(cls, Ours)
        peer = cls(folder / kind, settings, relay)
        peer.prepare(services)
        stack.callback(peer.stop)
        if started:
            peer.serve()
        yield peer


def load(peer: Ours, size: str, connections: int, messages: int, label: object) -> Taken:
    """`label`: unlike that of any other load on this gateway."""
    pem = peer.key.pem.decode()
    return run(Load("127.0.0.1", peer.port, peer.recipient, size, str(label), pem, connections, messages, SOURCES))


def fetch(peer: Ours, path: str, key: str = "") -> bytes:
    """Raises OSError (HTTPError) for anything but success."""
    request = urllib.request.Request(f"http://127.0.0.1:{peer.gateway.http_port}{path}")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def figure(peer: Ours, name: str) -> float:
    """One of `/metrics`; the sum where it has labels."""
    text = fetch(peer, "/metrics").decode()
    return sum(float(v) for v in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def refusals(taken: Taken) -> str:
    """Empty, or what was said to those not accepted: for the end of a line of figures."""
    others = [f"{count} x {line}" for line, count in taken.replies.items() if line != "accepted"]
    return f"; NOT ACCEPTED: {', '.join(others)}" if others else ""
