"""CPU and memory of servers with all their children, read from /proc."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_MB = 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")
_GONE = (FileNotFoundError, ProcessLookupError)


def tree(roots: Sequence[int]) -> list[int]:
    """These processes and all that descend from them. Empty where the roots have ended."""
    found: list[int] = []
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        children: list[str] = []
        with contextlib.suppress(*_GONE):
            for task in Path(f"/proc/{pid}/task").iterdir():
                children += (task / "children").read_text().split()
            found.append(pid)
        waiting += map(int, children)
    return found


def cpu_seconds(roots: Sequence[int]) -> float:
    """Used so far by the trees, with the children that have ended and were waited for."""
    ticks = 0
    for pid in tree(roots):
        with contextlib.suppress(*_GONE):
            # after the name, which may hold blanks and brackets: fields 14 to 17 of proc(5) are the 12th to 15th
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / _TICK


def resident_mb(pid: int) -> float:
    with contextlib.suppress(*_GONE):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / _MB
    return 0.0


def proportional_mb(pid: int) -> float:
    """What it shares with others is counted in parts: the sum over forked children is what they take together."""
    with contextlib.suppress(*_GONE):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


@dataclass(slots=True)
class Memory:
    """The worst moments, in MB: resident memory of one process, proportional memory of all together."""

    largest: float = 0.0
    together: float = 0.0

    def look(self, roots: Sequence[int]) -> None:
        pids = tree(roots)
        self.largest = max([self.largest, *map(resident_mb, pids)])
        self.together = max(self.together, sum(map(proportional_mb, pids)))


@contextlib.contextmanager
def watch(roots: Sequence[int], seconds: float = 0.1) -> Iterator[Memory]:
    """Looks that often while the block runs; the figures are complete when it has ended."""
    memory = Memory()
    done = threading.Event()

    def looking() -> None:
        while not done.wait(seconds):
            memory.look(roots)

    thread = threading.Thread(target=looking, daemon=True)
    memory.look(roots)
    thread.start()
    try:
        yield memory
    finally:
        done.set()
        thread.join()
        memory.look(roots)


def settle(roots: Sequence[int], seconds: float = 10.0, quiet: float = 0.3) -> None:
    """Wait until the trees use next to no CPU, so that work put off is counted with the load that caused it."""
    end = time.monotonic() + seconds
    before = cpu_seconds(roots)
    while time.monotonic() < end:
        time.sleep(quiet)
        now = cpu_seconds(roots)
        if now - before <= 0.1 * quiet:
            return
        before = now
