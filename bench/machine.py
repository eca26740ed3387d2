"""What the machine itself is doing: a fixed piece of work, timed before each round."""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from pathlib import Path
from time import perf_counter

SWING = 2.0
"""A round is done again when the machine took this many times longer, or shorter, than usual."""


def calibrate() -> float:
    """Seconds for a mix of interpreter, hashing and memory traffic: about 0.3 on two idle cores of 2.5 GHz."""
    started = perf_counter()
    total = 0
    for number in range(1_500_000):
        total += number & 7
    block = bytes(1 << 20)
    for _ in range(60):
        total += hashlib.sha256(block).digest()[0]
        total += len(block.replace(b"\0\0", b"\0"))
    assert total
    return perf_counter() - started


def swings(seconds: float, usual: float) -> bool:
    return not 1 / SWING <= seconds / usual <= SWING


def flushes_per_second(folder: Path, count: int = 200) -> float:
    """How many 4 KB writes with fsync the disk under `folder` does in a row."""
    block = os.urandom(4096)
    with tempfile.TemporaryFile(dir=folder) as file:
        started = perf_counter()
        for _ in range(count):
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        return count / (perf_counter() - started)


def describe(folder: Path) -> str:
    """One line for the head of a report."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return (
        f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"{flushes_per_second(folder):,.0f} fsync/s, load {os.getloadavg()[0]:.1f}"
    )


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []
