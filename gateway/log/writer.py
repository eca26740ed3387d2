"""Lines to stderr that make nobody wait. A write to a pipe that nobody reads, or to a terminal that is stopped, blocks
its thread; so a thread of its own writes, and what it cannot write in time is dropped and counted.
"""

from __future__ import annotations

import atexit
import os
import queue
import select
import sys
import threading
from collections.abc import Callable

MOST_LINES = 10_000
MOST_CHARACTERS = 16 * 1024 * 1024
"""So much waits at most: a few lines with long tracebacks must not take the memory that so many short ones would not."""
FLUSH_SECONDS = 1.0


def _plain_notice(dropped: int) -> str:
    return f"{dropped} log lines dropped\n"


class Writer:
    """The file of the process log. `write` never blocks and never raises, from any thread.

    `notice` makes the line that tells, once lines flow again, how many were dropped.
    """

    def __init__(self, *, most_lines: int = MOST_LINES, most_characters: int = MOST_CHARACTERS) -> None:
        self.notice: Callable[[int], str] = _plain_notice
        self._most_lines = most_lines
        self._most_characters = most_characters
        self._waiting: queue.SimpleQueue[str | threading.Event] = queue.SimpleQueue()
        self._characters = 0
        self._dropped = 0
        self._lock = threading.Lock()  # guards the two counts and the start; never held while anything is written
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        with self._lock:
            full = self._waiting.qsize() >= self._most_lines or self._characters + len(text) > self._most_characters
            if full or not self._started():
                self._dropped += 1
                return len(text)
            self._characters += len(text)
        self._waiting.put(text)
        return len(text)

    def flush(self) -> None:
        """What is written goes out by itself; see `close`."""

    def close(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until what was written so far is out, but no longer than `seconds`. False when it is not. Lines may follow."""
        if self._thread is None:
            return True
        out = threading.Event()
        self._waiting.put(out)
        return out.wait(seconds)

    def _started(self) -> bool:
        """The thread begins with the first line: commands that log nothing have none."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="log", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending, or the system has no threads left
                return False
            self._thread = thread
            atexit.register(self.close)
        return True

    def _run(self) -> None:
        while True:
            item = self._waiting.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            with self._lock:
                self._characters -= len(item)
            self._out(item)

    def _out(self, text: str) -> None:
        if not _to_stderr(text):
            self._count_dropped(1)
            return
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped and not _to_stderr(self.notice(dropped)):
            self._count_dropped(dropped)

    def _count_dropped(self, lines: int) -> None:
        with self._lock:
            self._dropped += lines


def _to_stderr(text: str) -> bool:
    """To whatever stderr is when the line goes out. False when it is closed, its reader is gone, or its disk is full.

    The file descriptor is written to, not `sys.stderr`: a thread that blocks in there holds the stream's lock, and the
    next traceback or warning of any other thread would wait for it. But never descriptor 2 by number: where stderr was
    closed it may be the database.
    """
    stream = sys.stderr
    try:
        if stream is None:
            return False
        if stream is sys.__stderr__:
            _write_all(sys.stderr.fileno(), text.encode("utf-8", "backslashreplace"))
        else:
            stream.write(text)
            stream.flush()
    except (OSError, ValueError):
        return False
    return True


def _write_all(descriptor: int, octets: bytes) -> None:
    while octets:
        try:
            octets = octets[os.write(descriptor, octets) :]
        except BlockingIOError:  # another process that shares the pipe made it non-blocking
            select.select([], [descriptor], [])
