"""Ports for servers that tests start, stop and start again."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
from collections.abc import Iterator


def _shuffled() -> Iterator[int]:
    """Below those that the kernel gives to clients: while a server is down, one of its waiting clients could otherwise be
    given its port, or even connect to itself. Each process of pytest-xdist has ports of its own, and gives none twice
    before it gave all: one that is free may be that of a server which is only down just now.
    """
    here = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ours = range(15_000 + here, 30_000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    return itertools.cycle(random.sample(ours, len(ours)))


_PORTS = _shuffled()


def free_port() -> int:
    """One of 127.0.0.1 on which nothing listens now, and that no other test is given."""
    for port in _PORTS:
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port
    raise AssertionError("ports never end")
