"""Memory runs out: 452, 421 or a death, never 5xx; what was answered 250 is kept, and all is taken when there is room."""

from __future__ import annotations

import contextlib
import hashlib
import re
import resource
import smtplib
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.store.tables import MessageRow
from gateway.store.tables.columns import columns
from tests.conftest import missing
from tests.faults.tracing import smtp_worker_pids, worker_pids
from tests.servers.gateway import Reply, RunningGateway, mail, start_data, transaction, wait_until

SENDERS = 8
HEADROOM = 32 << 20
"""Less than half of what they send together."""
_m = columns(MessageRow)


def _limit(gateway: RunningGateway, octets: int) -> None:
    """What each process of the gateway may address, those to come too."""
    assert gateway.process
    for pid in (gateway.process.pid, *worker_pids(gateway)):
        resource.prlimit(pid, resource.RLIMIT_AS, (octets, resource.RLIM_INFINITY))


def _addressed(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmSize:")[2].split()[0]) * 1024


def _try(gateway: RunningGateway, content: bytes) -> Reply | None:
    try:
        with gateway.session(timeout=60) as client:
            return transaction(client, content, "support@acme.gw.test")
    except smtplib.SMTPResponseException as refusal:
        return Reply(refusal.smtp_code, str(refusal.smtp_error))
    except (OSError, smtplib.SMTPException):
        return None


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="prlimit is Linux's")
def test_memory_that_runs_out_loses_nothing_and_refuses_nothing_for_good(gateway: RunningGateway) -> None:
    if not sys.platform.startswith("linux"):
        missing("RLIMIT_AS of other processes is Linux's")
    gateway.start()
    assert gateway.send(mail("before")).code == 250
    [worker] = smtp_worker_pids(gateway)
    _limit(gateway, _addressed(worker) + HEADROOM)
    contents = [mail(n, text="\r\n".join(["m" * 70] * 110_000)) for n in range(SENDERS)]
    first: dict[int, Reply | None] = {}
    threads = [
        threading.Thread(target=lambda n=n: first.update({n: _try(gateway, contents[n])})) for n in range(SENDERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = sorted(str(r.code) if r else "cut" for r in first.values())
    assert set(told) != {"250"}, "memory did not run out"
    assert not [r for r in first.values() if r and r.code >= 500], told
    _limit(gateway, resource.RLIM_INFINITY)
    again = [wait_until(lambda c=c: _kept(_try(gateway, c)), "taken when there is room", 60) for c in contents]
    with gateway.store.read() as connection:
        rows = connection.execute(select(_m.id, _m.sha256, _m.trace_id, _m.disposition)).all()
    assert sorted(r.sha256 for r in rows if r.trace_id in {a.trace for a in again}) == sorted(
        hashlib.sha256(c).hexdigest() for c in contents
    )
    assert len(rows) == SENDERS + 1
    for n, reply in first.items():
        assert not reply or reply.code != 250 or reply.trace == again[n].trace
    assert [r.disposition for r in rows if r.disposition != "ticketed"] == []
    assert gateway.audit().problems == []
    assert gateway.stop() == 0


STALLED = 24
STALLED_OCTETS = 600_000
MOST_OF_ONE = 400_000
"""Bounds what is there once and for all too: threads, and the first file."""


def test_clients_that_stalled_in_large_content_held_much_of_it_in_memory(gateway: RunningGateway) -> None:
    """1.6 MB each; now it is in the spool."""
    if not sys.platform.startswith("linux"):
        missing("VmRSS of other processes is Linux's")
    gateway.start()
    assert gateway.send(mail("before", text="m" * 70 + "\r\n" * 200_000)).code == 250
    [worker] = smtp_worker_pids(gateway)
    rest = _resident(worker)
    block = b"Subject: stalled\r\n\r\n" + (b"x" * 76 + b"\r\n") * (STALLED_OCTETS // 78)
    with contextlib.ExitStack() as stack:
        for _ in range(STALLED):
            client = stack.enter_context(gateway.session())
            start_data(client)
            client.send(block)
        wait_until(lambda: _spooled(gateway) == STALLED + 1, "all of it has come")
        assert (_resident(worker) - rest) / STALLED < MOST_OF_ONE


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def _spooled(gateway: RunningGateway) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics") as answer:
        found = re.search(r"^gateway_spooled_total (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def _kept(reply: Reply | None) -> Reply | None:
    return reply if reply and reply.code == 250 else None
