"""Nobody reads the process log: mail goes on (F26)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator

import pytest

from tests.servers.gateway import RunningGateway, mail


@pytest.fixture
def unread(gateway: RunningGateway) -> Iterator[int]:
    """The log is a pipe; this end of it is open, and nobody reads."""
    os.mkfifo(gateway.log)
    pipe = os.open(gateway.log, os.O_RDWR | os.O_NONBLOCK)
    yield pipe
    os.close(pipe)


def _fill(pipe: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"." * 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b".")


def _read(pipe: int) -> bytes:
    pieces = []
    with contextlib.suppress(BlockingIOError):
        while True:
            pieces.append(os.read(pipe, 65536))
    return b"".join(pieces)


def test_mail_is_taken_while_nobody_reads_the_log_and_told_when_it_is_read_again(
    gateway: RunningGateway, unread: int
) -> None:
    gateway.start()
    _fill(unread)

    replies = [gateway.send(mail(f"unread-{n}")) for n in range(20)]
    assert {r.code for r in replies} == {250}
    assert gateway.ready()

    told = _read(unread)
    assert gateway.send(mail("read")).code == 250
    assert gateway.stop() == 0
    told += _read(unread)
    filled = (x.lstrip(".") for x in told.decode().splitlines())
    lines = [json.loads(x) for x in filled if x.startswith("{")]
    traces = {x["trace"] for x in lines if x["event"] == "transaction"}
    assert {r.trace for r in replies} <= traces


def test_it_stops_in_good_order_while_nobody_reads(gateway: RunningGateway, unread: int) -> None:
    gateway.start()
    _fill(unread)
    assert gateway.send(mail("unread")).code == 250

    assert gateway.stop(30) == 0
