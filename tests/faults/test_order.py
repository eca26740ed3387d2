"""The order of fsync, commit and reply, read from the system calls: nothing is answered 250 before it is on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.faults.nth_call import SIZES
from tests.faults.tracing import Trace, smtp_worker_pids, why_not
from tests.servers.gateway import RunningGateway, mail
from tests.servers.on_postgres import gateway_on
from tests.servers.postgres import PostgresServer

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "/^rename", "sendto", "recvfrom")

BLOB = {
    "the blob is written": r'write\(\d+<[^>]*/blobs/[^>]*\.tmp>, "From: Anna.* = \d+$',
    "the blob is synced": r"fsync\(\d+<[^>]*/blobs/[^>]*\.tmp>\) += 0$",
    "the blob gets its name": r'rename\w*\(.*/blobs/.*\.tmp", .*\) += 0$',
    "its folder is synced": r"fsync\(\d+<[^>]*/blobs/[0-9a-f]+>\) += 0$",
}
SQLITE = {
    "the message is written": r"pwrite64\(\d+<[^>]*/gateway\.db-wal>.*Question ordered.* = \d+$",
    "the commit is written": r"pwrite64\(\d+<[^>]*/gateway\.db-wal>.* = \d+$",
    "the commit is synced": r"fdatasync\(\d+<[^>]*/gateway\.db-wal>\) += 0$",
}
POSTGRES = {
    "the message is sent": r"sendto\(\d+<socket:\[\d+\]>.*Question ordered.* = \d+$",
    "COMMIT is sent": r'sendto\(\d+<socket:\[\d+\]>, "Q\\0\\0\\0\\vCOMMIT\\0"',
    "COMMIT is answered": r'recvfrom\(\d+<socket:\[\d+\]>, "C\\0\\0\\0\\vCOMMIT\\0Z',
}
REPLY = {"the client is told 250": r'sendto\(\d+<socket:\[\d+\]>, "250 2\.0\.0 [A-Z2-7]{16} accepted'}
SHOWN_OCTETS = 40_000


@pytest.fixture(autouse=True)
def _tracing() -> None:
    if reason := why_not():
        missing(reason)


@pytest.fixture(params=["sqlite", "postgres"])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningGateway]:
    if request.param == "sqlite":
        with RunningGateway(tmp_path) as made:
            yield made
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        with gateway_on(server, tmp_path) as made:
            yield made


@pytest.mark.parametrize("size", SIZES)
def test_content_then_commit_then_reply(gateway: RunningGateway, tmp_path: Path, size: str) -> None:
    gateway.start()
    # the account's folder for blobs is made once
    assert gateway.send(mail("first", text=SIZES["large"])).code == 250
    [worker] = smtp_worker_pids(gateway)
    with Trace([worker], CALLS, tmp_path / "trace", whole=True, shown_octets=SHOWN_OCTETS) as trace:
        assert gateway.send(mail("ordered", text=SIZES[size])).code == 250
    commit = SQLITE if gateway.store.is_sqlite else POSTGRES
    wanted = {**(BLOB if size == "large" else {}), **commit, **REPLY}
    assert _in_order(trace.lines, wanted) == list(wanted)
    assert _unsynced(trace.lines) == []


def _in_order(lines: list[str], wanted: dict[str, str]) -> list[str]:
    """The names of what was seen, each behind the one before; up to the first that never came."""
    seen, rest = [], iter(lines)
    for name, pattern in wanted.items():
        if not any(re.search(pattern, line) for line in rest):
            break
        seen.append(name)
    return seen


def _unsynced(lines: list[str]) -> list[str]:
    """What the thread that wrote the message had written to the log, and not synced, when the client was told 250. Other
    threads write for themselves.
    """
    written: dict[str, list[str]] = {}
    writers = {line.split()[0] for line in lines if re.search(SQLITE["the message is written"], line)}
    for line in lines:
        thread = line.split()[0]
        if re.search(REPLY["the client is told 250"], line):
            break
        if re.search(SQLITE["the commit is written"], line):
            written.setdefault(thread, []).append(line)
        elif re.search(SQLITE["the commit is synced"], line):
            written.pop(thread, None)
    return [line for thread in writers for line in written.get(thread, ())]


def test_a_broken_order_is_seen() -> None:
    """The reply before the sync; a sync that failed; a blob that gets its name behind the commit."""
    page = ['7 pwrite64(25</d/gateway.db-wal>, "..Question ordered..", 4096, 24) = 4096']
    end = ['7 pwrite64(25</d/gateway.db-wal>, "..", 4096, 4120) = 4096']
    sync = ["7 fdatasync(25</d/gateway.db-wal>) = 0"]
    reply = ['6 sendto(9<socket:[5]>, "250 2.0.0 ABCDEFGH2345ABCD accepted\\r\\n", 37, 0, NULL, 0) = 37']
    wanted = {**SQLITE, **REPLY}
    assert _in_order(page + end + sync + reply, wanted) == list(wanted)
    assert _in_order(sync + page + end + reply + sync, wanted) != list(wanted)
    assert _unsynced(page + sync + end + reply + sync) == end
    failed = [sync[0].replace("= 0", "= -1 EIO (Input/output error)")]
    assert _in_order(page + end + failed + reply, wanted) != list(wanted)
    written = ['8 write(3</d/blobs/0a/0b.tmp>, "From: Anna <a"..., 300) = 300', "8 fsync(3</d/blobs/0a/0b.tmp>) = 0"]
    named = ['8 rename("/d/blobs/0a/0b.tmp", "/d/blobs/0a/0b") = 0', "8 fsync(3</d/blobs/0a>) = 0"]
    wanted = {**BLOB, **wanted}
    assert _in_order(written + named + page + end + sync + reply, wanted) == list(wanted)
    assert _in_order(written + page + end + sync + named + reply, wanted) != list(wanted)
