"""What workers count stays whole over their deaths, takes no more room with each, and costs no mail where there is none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

START = """
import resource, sys
limit = int(sys.argv[2])
if limit >= 0:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from gateway import figure_files
print(figure_files.share(int(sys.argv[1])))
from gateway import metrics
metrics.SPOOLED.inc()
metrics.SESSIONS.inc()
print(metrics.exposition().decode())
sys.stdout.flush()
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "metrics" / "smtp"
    folder.mkdir(parents=True)
    return folder


def worker(folder: Path, slot: int, *, largest_file: int = -1) -> str:
    """One that counts a message, says what it sees, and is killed."""
    command = [sys.executable, "-c", START, str(slot), str(largest_file)]
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    return done.stdout


def spooled(said: str) -> float:
    [figure] = re.findall(r"^gateway_spooled_total (.*)$", said, re.MULTILINE)
    return float(figure)


def test_a_worker_counts_on_where_the_one_before_it_was_killed_and_needs_no_more_room(folder: Path) -> None:
    """Each left its files; in a container's /dev/shm of 64 MB that was the end one day."""
    assert spooled(worker(folder, 0)) == 1
    files = {p.name: p.stat().st_size for p in folder.iterdir()}
    assert spooled(worker(folder, 0)) == 2
    assert {p.name: p.stat().st_size for p in folder.iterdir()} == files
    assert spooled(worker(folder, 1)) == 3


def test_the_figures_of_a_supervisor_beside_it_are_seen_too(folder: Path) -> None:
    beside = folder.parent / "web"
    beside.mkdir()
    worker(folder, 0)
    assert spooled(worker(beside, 0)) == 2


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="there zeros are written")
def test_no_file_has_a_hole(folder: Path) -> None:
    """A hole that memory has no room for is a SIGBUS when it is written: workers died of it one after the other."""
    worker(folder, 0)
    found = [p.stat() for p in folder.iterdir()]
    assert len(found) == 6
    assert all(f.st_blocks * 512 >= f.st_size > 0 for f in found)


@pytest.mark.parametrize("room", [0, 100_000])
def test_a_worker_without_room_counts_for_itself_and_leaves_nothing_half_made(folder: Path, room: int) -> None:
    said = worker(folder, 0, largest_file=room)
    assert "this worker's figures are its own" in said
    assert spooled(said) == 1
    assert [p.name for p in folder.glob("*.new")] == []
    assert spooled(worker(folder, 1)) == 1


def test_a_damaged_file_is_given_up_and_not_the_worker(folder: Path) -> None:
    worker(folder, 0)
    file = folder / "counter_0.db"
    file.write_bytes(b"\xff\xff\xff\x7f" + bytes(60))
    (folder / "histogram_0.db").write_bytes(b"")
    assert spooled(worker(folder, 0)) == 1
