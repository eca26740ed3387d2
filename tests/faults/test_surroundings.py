"""The database is locked, the disk is full or fails: 4xx within ten seconds, never 5xx, and back by itself."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import smtplib
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.relay import Relay
from tests.faults.tracing import smtp_worker_pids
from tests.servers.gateway import Fault, Reply, RunningGateway, free_port, mail, wait_until

PROMPT_SECONDS = 10.0


@contextlib.contextmanager
def _locked_by_sqlite(gateway: RunningGateway) -> Iterator[None]:
    """Another program writes into the database and does not end."""
    with contextlib.closing(sqlite3.connect(gateway.settings.data_dir / "gateway.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextlib.contextmanager
def _locked_by_flock(gateway: RunningGateway) -> Iterator[None]:
    """Another process of ours holds the write lock."""
    with (gateway.settings.data_dir / "write.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_taken(gateway: RunningGateway, content: bytes) -> bool:
    with contextlib.suppress(smtplib.SMTPException, OSError):
        return gateway.send(content).code == 250
    return False


def _send_together(gateway: RunningGateway, contents: list[bytes]) -> list[tuple[int, float]]:
    """Each in its own session, all at once; codes, and seconds to the reply."""
    found: list[tuple[int, float]] = []

    def one(content: bytes) -> None:
        began = time.monotonic()
        try:
            code = gateway.send(content).code
        except smtplib.SMTPResponseException as refusal:
            code = refusal.smtp_code
        found.append((code, time.monotonic() - began))

    threads = [threading.Thread(target=one, args=(c,)) for c in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("lock", [_locked_by_sqlite, _locked_by_flock], ids=["sqlite", "flock"])
def test_a_database_locked_for_long_defers_within_ten_seconds_and_comes_back(
    gateway: RunningGateway, lock: object
) -> None:
    gateway.start()
    assert gateway.send(mail("before")).code == 250
    contents = [mail(n) for n in range(8)]
    with lock(gateway):  # type: ignore[operator]
        found = _send_together(gateway, contents)
    assert {code for code, _ in found} == {451}
    assert max(seconds for _, seconds in found) < PROMPT_SECONDS
    began = time.monotonic()
    assert {code for code, _ in _send_together(gateway, contents)} == {250}
    assert time.monotonic() - began < PROMPT_SECONDS
    assert len(gateway.tickets()) == len(gateway.messages()) == 9
    assert gateway.audit().problems == []


def test_a_worker_that_starts_while_the_database_is_locked_defers_mail_until_it_is_free(
    gateway: RunningGateway,
) -> None:
    gateway.start()
    with _locked_by_sqlite(gateway):
        killed = gateway.kill_worker()
        wait_until(lambda: gateway.worker_pid() != killed, "another worker")
        assert [code for code, _ in _send_together(gateway, [mail("while")])] == [451]
        started = gateway.worker_pid()
        assert started != killed
    wait_until(lambda: gateway.send(mail("after")).code == 250, "mail is taken again")
    assert gateway.worker_pid() == started


def test_mail_that_keeps_coming_while_the_database_is_locked_is_never_kept_waiting(gateway: RunningGateway) -> None:
    """Those who come while others wait are not queued behind their waiting."""
    gateway.start()
    with _locked_by_sqlite(gateway):
        slowest, ended = [], threading.Event()

        def client(name: int) -> None:
            n = 0
            while not ended.is_set():
                n += 1
                slowest.extend(seconds for _, seconds in _send_together(gateway, [mail(f"{name}-{n}")]))

        clients = [threading.Thread(target=client, args=(i,)) for i in range(6)]
        for i, thread in enumerate(clients):
            thread.start()
            ended.wait(0.4 * i)
        ended.wait(12)
        ended.set()
        for thread in clients:
            thread.join()
    assert max(slowest) < PROMPT_SECONDS
    assert gateway.messages() == []


def test_a_second_serve_ran_on_a_data_directory_that_a_reload_had_gone_over_to(tmp_path: Path) -> None:
    """The first held the locks of the folder that lay there before: restored, or mounted anew."""
    with RunningGateway(tmp_path) as gateway:
        gateway.start()
        var, process = tmp_path / "var", gateway.process
        assert process
        var.rename(tmp_path / "old")
        shutil.copytree(tmp_path / "old", var)
        os.kill(process.pid, signal.SIGHUP)
        wait_until(lambda: _is_taken(gateway, mail("behind the reload")), "mail is taken there", 60)
        second = tmp_path / "second.toml"
        ports = {gateway.smtp_port: free_port(), gateway.http_port: free_port()}
        text = gateway.config.read_text()
        for taken, other in ports.items():
            text = text.replace(str(taken), str(other))
        second.write_text(text)
        serve = [w if w != str(gateway.config) else str(second) for w in gateway.command("serve")]
        ended = subprocess.run(serve, cwd=tmp_path, capture_output=True, check=False, timeout=60)
        assert ended.returncode == 1
        assert f"runs already on {var} (process {process.pid})" in ended.stderr.decode()
        assert gateway.send(mail("after it")).code == 250


def test_a_worker_began_in_a_data_directory_that_another_serve_had_taken(tmp_path: Path) -> None:
    """The folder was replaced, and somebody else's `serve` started there, before this one's worker died."""
    with RunningGateway(tmp_path) as gateway:
        gateway.start()
        (tmp_path / "var").rename(tmp_path / "old")
        shutil.copytree(tmp_path / "old", tmp_path / "var")
        with (tmp_path / "var" / "serve-smtp.lock").open("r+") as lock:
            lock.write("4711\n")
            lock.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
            gateway.kill_worker()
            said = f"`serve` with role smtp runs already on {tmp_path / 'var'} (process 4711)"
            wait_until(lambda: said in gateway.log.read_text(), "the refusal is told")
            assert smtp_worker_pids(gateway) == []
        wait_until(lambda: _is_taken(gateway, mail("when it is free")), "a worker works there")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(file: Path, leave: int = 0) -> None:
    """Write until no octet is left, then give `leave` back."""
    with file.open("wb", buffering=0) as filler:
        with contextlib.suppress(OSError):
            while filler.write(b"\0" * 65536):
                pass
        with contextlib.suppress(OSError):
            while filler.write(b"\0" * 512):
                pass
        filler.truncate(filler.tell() - leave)


def test_a_full_disk_is_told_as_such_and_takes_mail_again_when_there_is_room(
    small_disk: Path, tmp_path: Path, relay: Relay
) -> None:
    large = mail("large", text="\r\n".join(["z" * 70] * 5000))
    with RunningGateway(tmp_path, relay=relay.url, settings={"data_dir": str(small_disk / "var")}) as gateway:
        gateway.start()
        assert gateway.send(mail("before")).code == 250
        filler = small_disk / "filler"
        _fill(filler, leave=100_000)
        reply = gateway.send(large)
        assert (reply.code, reply.text[:5]) == (452, "4.3.1")
        _fill(filler)
        contents = [large, *(mail(n, text="\r\n".join(["y" * 70] * 300)) for n in range(4))]
        replies = [gateway.send(c) for c in contents]
        assert {(r.code, r.text[:5]) for r in replies} == {(452, "4.3.1")}
        assert gateway.answers("/healthz")
        filler.unlink()
        began = time.monotonic()
        for content in contents:
            wait_until(lambda c=content: gateway.send(c).code == 250, "taken again")
        assert time.monotonic() - began < PROMPT_SECONDS
        assert len(gateway.messages()) == len(gateway.tickets()) == 6
        report = gateway.audit()
        assert (report.problems, report.counts["unowned blobs"]) == ([], 0)
        assert gateway.stop() == 0


def test_a_worker_that_starts_on_a_full_disk_says_so_to_clients_and_recovers(
    small_disk: Path, tmp_path: Path, relay: Relay
) -> None:
    """Nothing it maps into memory may lie in a hole of a file there: writing to it would be a SIGBUS. What the one
    before it had in hand cannot be taken over yet: it had begun to serve, and ended for that.
    """
    with RunningGateway(tmp_path, relay=relay.url, settings={"data_dir": str(small_disk / "var")}) as gateway:
        gateway.start()
        assert gateway.send(mail("before")).code == 250
        wait_until(lambda: gateway.outbox() and gateway.outbox()[0]["state"] != "pending", "notified")
        _lease_everything(small_disk / "var" / "gateway.db")
        filler = small_disk / "filler"
        _fill(filler)
        killed = gateway.kill_worker()
        wait_until(lambda: gateway.worker_pid() != killed, "another worker")
        content = mail("x", text="\r\n".join(["y" * 70] * 300))
        assert gateway.send(content).code == 452
        worker = gateway.worker_pid()
        assert [gateway.send(content).code for _ in range(5)] == [452] * 5
        assert gateway.answers("/healthz")
        filler.unlink()
        assert gateway.send(content).code == 250
        wait_until(lambda: not _leased(small_disk / "var" / "gateway.db"), "what was in hand is taken over")
        assert gateway.worker_pid() == worker


def _lease_everything(database: Path) -> None:
    """As one leaves it who is killed with work in hand."""
    with contextlib.closing(sqlite3.connect(database)) as other, other:
        other.execute("UPDATE job SET holder = 'dead', leased_until = '2999-01-01 00:00:00.000000'")
        other.execute("UPDATE outbox SET state = 'pending', leased_until = '2999-01-01 00:00:00.000000'")
    assert _leased(database) > 1


def _leased(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database)) as other:
        held = "SELECT leased_until FROM {} WHERE leased_until LIKE '2999%'"
        return len(other.execute(" UNION ALL ".join(held.format(table) for table in ("job", "outbox"))).fetchall())


@pytest.mark.parametrize(
    ("fault", "code", "enhanced"),
    [("ENOSPC", 452, "4.3.1"), ("EDQUOT", 452, "4.3.1"), ("EIO", 451, "4.3.0"), ("EROFS", 451, "4.3.0")],
)
def test_every_sync_of_a_blob_that_fails_defers_and_the_next_try_is_kept_once(
    gateway: RunningGateway, fault: str, code: int, enhanced: str
) -> None:
    """The first try fails at its new folder, the second at its file, the third at the folder's new name for it."""
    assert hasattr(errno, fault)
    large = mail("large", text="\r\n".join(["z" * 70] * 5000))
    gateway.start(*(Fault("blob-sync", fault, after=n) for n in (1, 2, 4)))
    replies = [gateway.send(large) for _ in range(4)]
    assert [r.code for r in replies] == [code, code, code, 250]
    assert {r.text[:5] for r in replies[:3]} == {enhanced}
    [message] = gateway.messages()
    assert gateway.raw("acme", message["id"]) == large
    assert gateway.audit().problems == []


def test_a_process_out_of_files_defers_and_recovers(gateway: RunningGateway) -> None:
    """EMFILE where large content is synced: its folder cannot be opened."""
    gateway.start(Fault("blob-open", "EMFILE", times=2))
    large = mail("large", text="\r\n".join(["z" * 70] * 5000))
    replies: list[Reply] = [gateway.send(large) for _ in range(3)]
    assert [r.code for r in replies] == [451, 451, 250]
    assert len(gateway.tickets()) == 1


def test_large_mail_was_kept_beside_the_disk_of_the_blobs_while_that_was_away(
    tmp_path: Path,
) -> None:
    """250, and lost to sight when it was mounted again: each new process took what lay under the name for the blobs' folder."""
    disk, content = tmp_path / "disk", [mail(f"large {n}", text="\r\n".join(["z" * 70] * 5000)) for n in range(3)]
    with RunningGateway(tmp_path, settings={"blob_url": f"file://{disk / 'blobs'}"}) as gateway:
        gateway.start()
        assert gateway.send(content[0]).code == 250
        disk.rename(tmp_path / "away")
        disk.mkdir()
        killed = gateway.kill_worker()
        wait_until(lambda: gateway.worker_pid() != killed, "another worker")
        assert gateway.send(content[1]).code == 451
        assert gateway.send(mail("small")).code == 250
        piped = gateway.command("receive", "--sender", "<>", "--recipient", "support@acme.gw.test")
        told = subprocess.run(piped, input=content[2], capture_output=True, check=False)
        assert told.returncode == 75
        assert list(disk.iterdir()) == []
        disk.rmdir()
        (tmp_path / "away").rename(disk)
        assert [gateway.send(c).code for c in content] == [250] * 3
        report = gateway.audit()
        assert (report.problems, report.counts["unowned blobs"]) == ([], 0)
