"""Logging never waits for whoever reads it (F26)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from gateway.log.writer import Writer

BUSY = """
import os, sys
from gateway import log
log.set_up("json")
room = log.get("test")
for n in range({lines}):
    room.info("line", n=n, filler="x" * 100)
os.write(1, b"worked on\\n")
sys.stdin.read(1)
{more}
log.close()
os._exit(7)
"""


def start(lines: int, more: str = "", **options: int) -> subprocess.Popen[bytes]:
    """A process that logs, says so on stdout, waits for an octet, logs `more` and ends."""
    given = {"stderr": subprocess.PIPE} | options
    program = [sys.executable, "-c", BUSY.format(lines=lines, more=more)]
    return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **given)


def worked_on(process: subprocess.Popen[bytes]) -> None:
    """Fails by its time limit where logging blocks."""
    assert process.stdout
    said = threading.Event()

    def read() -> None:
        assert process.stdout
        if process.stdout.readline() == b"worked on\n":
            said.set()

    threading.Thread(target=read, daemon=True).start()
    if not said.wait(120):
        process.kill()
        pytest.fail("it waits for its log to be read")


def ended(process: subprocess.Popen[bytes]) -> bytes:
    """Let it go on; what stderr still held."""
    _, rest = process.communicate(b".", timeout=120)
    return rest or b""


def test_a_pipe_that_nobody_reads_holds_up_nothing_and_what_was_dropped_is_told() -> None:
    process = start(15_000, 'room.info("last")')  # some 3 MB: the pipe takes 64 kB, the queue 10,000 lines

    worked_on(process)
    lines = [json.loads(line) for line in ended(process).splitlines()]

    assert process.returncode == 7
    told = [x["lines"] for x in lines if x["event"] == "log lines dropped"]
    numbers = [x["n"] for x in lines if x["event"] == "line"]
    assert len(numbers) + sum(told) >= 15_000 - 1  # the last line may have found the queue still full
    assert sum(told) > 3000
    assert numbers == sorted(numbers)


def test_a_process_ends_within_its_second_although_nobody_reads() -> None:
    with start(15_000) as process:
        worked_on(process)
        assert process.stdin
        began = time.monotonic()
        process.stdin.close()

        assert process.wait(120) == 7
        assert time.monotonic() - began < 10


def test_a_reader_that_went_away_ends_nothing() -> None:
    reading, writing = os.pipe()
    process = start(100, stderr=writing)
    os.close(writing)
    os.close(reading)

    worked_on(process)
    ended(process)

    assert process.returncode == 7


def test_a_closed_stderr_gives_its_number_away_and_nobody_writes_there(tmp_path: object) -> None:
    script = "import sys; from gateway import log; log.set_up('json'); log.get('x').info('lost'); log.close()"
    kept = f"{tmp_path}/kept"
    shell = f"exec 2>&-; exec {sys.executable} -c \"f = open('{kept}', 'w'); assert f.fileno() == 2; {script}\""

    assert subprocess.run(["/bin/sh", "-c", shell], check=False, timeout=120).returncode == 0
    with open(kept) as file:  # noqa: PTH123
        assert file.read() == ""


def test_lines_are_out_when_the_interpreter_ends_by_itself() -> None:
    script = "from gateway import log; log.set_up('json'); [log.get('x').info('line') for _ in range(500)]"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=120)

    assert done.stderr.count(b"\n") == 500


class Gate:
    """A stderr that takes nothing until it is opened, or fails."""

    def __init__(self) -> None:
        self.open, self.entered = threading.Event(), threading.Event()
        self.fails: type[Exception] | None = None
        self.taken: list[str] = []

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.open.wait(120)
        if self.fails:
            raise self.fails
        self.taken.append(text)
        return len(text)

    def flush(self) -> None: ...


@pytest.fixture
def make_gate(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Gate]:
    """Called within the test: pytest puts a stderr of its own in place between the set-up and the call."""

    def make_gate() -> Gate:
        gate = Gate()
        monkeypatch.setattr(sys, "stderr", gate)
        return gate

    return make_gate


def make(**limits: int) -> Writer:
    writer = Writer(**limits)
    writer.notice = lambda n: f"{n} lost\n"
    return writer


def test_no_more_lines_wait_than_allowed(make_gate: Callable[[], Gate]) -> None:
    gate = make_gate()
    writer = make(most_lines=3)
    writer.write("0\n")
    assert gate.entered.wait(120)
    for n in range(1, 10):
        writer.write(f"{n}\n")

    gate.open.set()

    assert writer.close(20)
    assert gate.taken == ["0\n", "6 lost\n", "1\n", "2\n", "3\n"]


def test_no_more_characters_wait_than_allowed(make_gate: Callable[[], Gate]) -> None:
    gate = make_gate()
    writer = make(most_characters=100)
    writer.write("-")
    assert gate.entered.wait(120)
    writer.write("x" * 90)
    writer.write("y" * 90)

    gate.open.set()

    assert writer.close(20)
    assert gate.taken == ["-", "1 lost\n", "x" * 90]


@pytest.mark.parametrize("error", [OSError, ValueError])
def test_a_write_that_fails_is_counted_and_told_when_the_next_succeeds(
    make_gate: Callable[[], Gate], error: type[Exception]
) -> None:
    gate = make_gate()
    gate.open.set()
    writer = make()
    gate.fails = error
    writer.write("a\n")
    writer.write("b\n")
    assert writer.close(20)
    gate.fails = None

    writer.write("c\n")

    assert writer.close(20)
    assert gate.taken == ["c\n", "2 lost\n"]


def test_close_waits_no_longer_than_it_was_given(make_gate: Callable[[], Gate]) -> None:
    gate = make_gate()
    writer = make()
    writer.write("a\n")

    assert not writer.close(0.01)
    gate.open.set()
    assert writer.close(20)


def test_a_system_without_threads_costs_lines_only(
    make_gate: Callable[[], Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = make_gate()

    def no_thread(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    writer = make()
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", no_thread)
        assert writer.write("a\n") == 2
        assert writer.close()
    gate.open.set()
    writer.write("b\n")

    assert writer.close(20)
    assert gate.taken == ["b\n", "1 lost\n"]


def test_a_pipe_that_somebody_made_non_blocking_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = start(2000, stderr=writing)
    os.close(writing)
    worked_on(process)
    drained = _drained(reading)
    ended(process)

    assert drained().count(b"\n") == 2000
    assert process.returncode == 7


def _drained(reading: int) -> Callable[[], bytes]:
    pieces: list[bytes] = []

    def read() -> None:
        while piece := os.read(reading, 65536):
            pieces.append(piece)
        os.close(reading)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def all_of_it() -> bytes:
        thread.join(120)
        return b"".join(pieces)

    return all_of_it
