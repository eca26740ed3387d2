"""The crash test itself: it makes every kill of its plan or says which it did not, and leaves nothing behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.conftest import ROOT, missing
from tests.faults.clients import Sent, load_until
from tests.faults.comparison import Result
from tests.faults.crash_test import End, Killer
from tests.servers.gateway import Fault, wait_until
from tests.servers.postgres import HOW_TO_GET_IT, binaries


class _Gateway:
    """Dies at once at any stage but those it never reaches."""

    def __init__(self, unreached: str = "") -> None:
        self._unreached = unreached
        self.running = False

    def start(self, **_: object) -> None:
        self.running = True

    def begin(self, fault: Fault, **_: object) -> None:
        self.running = fault.stage == self._unreached

    def kill_group(self) -> None:
        self.running = False

    def wait_dead(self) -> int:
        return -9


class _Clients:
    """All is answered after so many waits: faster than the plan foresaw."""

    def __init__(self, waits: int) -> None:
        self._waits = waits

    @property
    def at_work(self) -> bool:
        return self._waits > 0

    def wait_answered(self, _count: int) -> None:
        self._waits -= 1

    def wait_seconds(self, _seconds: float) -> None:
        pass


PLAN = [End("group"), End("group", "parse"), End("group"), End("group", "decide"), End("group")]


def _spread(gateway: _Gateway, clients: _Clients) -> Result:
    result = Result(100)
    killer = Killer(gateway, clients, result, random.Random(1), None)  # type: ignore[arg-type]
    killer.spread(PLAN)
    return result


def test_a_plan_that_was_carried_out_has_no_problems() -> None:
    result = _spread(_Gateway(), _Clients(waits=100))
    assert result.problems == []
    assert (result.kills, [s.split()[0] for s in result.stages]) == (3, ["parse", "decide"])


def test_kills_that_a_fast_load_left_no_time_for_are_told() -> None:
    """They were skipped without a word: 20 kills of 27, and the table said nothing of seven."""
    result = _spread(_Gateway(), _Clients(waits=2))
    assert result.problems == [
        "group not killed: the load had ended",
        "group not killed decide: the load had ended",
        "group not killed: the load had ended",
    ]


def test_a_stage_that_was_not_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.crash_test.STAGE_SECONDS", 0.05)
    result = _spread(_Gateway(unreached="decide"), _Clients(waits=100))
    assert [p.split(" times")[0].rpartition(" ")[0] for p in result.problems] == ["stage decide was not reached"]


def test_the_load_goes_on_until_all_kills_are_made() -> None:
    enough, begun = threading.Event(), list[Sent]()
    load = load_until(enough, 5, 1, begun)
    assert [s.number for s in islice(load, 8)] == [*range(8)]
    enough.set()
    assert list(load) == []
    assert [s.number for s in begun] == [*range(8)]


def test_the_load_is_all_that_was_asked_for_where_the_kills_are_made_early() -> None:
    enough, begun = threading.Event(), list[Sent]()
    enough.set()
    assert len(list(load_until(enough, 5, 1, begun))) == len(begun) == 5


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Not pytest's own, which only its owner may enter: PostgreSQL does not run as root."""
    with tempfile.TemporaryDirectory(prefix="crash-test-of-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize(("database", "number"), [("sqlite", signal.SIGINT), ("postgres", signal.SIGTERM)])
def test_a_crash_test_that_is_stopped_leaves_nothing_behind(
    database: str, number: signal.Signals, open_folder: Path
) -> None:
    """Its gateway and its PostgreSQL went on for ever."""
    if database == "postgres" and binaries() is None:
        missing(HOW_TO_GET_IT)
    command = [sys.executable, "-m", "tests.faults.crash_test", "--database", database, "--folder", str(open_folder)]
    command += ["--no-stages", "--kills", "1", "--worker-kills", "0", "--messages", "100000"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _has_begun(open_folder), "the gateway was started", 120)
    finally:
        process.send_signal(number)
        code = process.wait(120)
    assert code == 128 + number
    assert _processes_on(open_folder) == []
    assert list(open_folder.iterdir()) == []


def _has_begun(folder: Path) -> bool:
    """Its own words are in its log: whoever is stopped in the middle of starting it does not know of it yet."""
    try:
        return any(log.stat().st_size for log in folder.rglob("serve.log"))
    except FileNotFoundError:  # initdb makes folders and removes them while we look
        return False


def _processes_on(folder: Path) -> list[str]:
    """The command lines of all that have to do with a folder, but for those that ask."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
            works_in = (entry / "cwd").readlink()
        except OSError:
            continue
        if os.fsencode(folder) in words or works_in.is_relative_to(folder):
            found.append(words.decode(errors="replace"))
    return found
