"""Marks of content being worked on, so that content which ends processes is parked unread the third time.

Standard library only: the supervisor, which counts what a dead worker left, imports nothing else. A worker's marks lie in
one mapped file: marking costs no system call (a file per message cost 0.6 ms), and the kernel keeps what a killed
process wrote. Never synced: a power loss is nobody's fault.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import re
from pathlib import Path

ENDED_TOO_OFTEN = 2
_SHA256 = re.compile(rb"[0-9a-f]{64}")
_SLOT_OCTETS = 64
_SLOTS = 4096
_FREE = bytes(_SLOT_OCTETS)


class BegunMarks:
    """The marks of one worker process: `<data_dir>/begun/<pid>`, a slot of 64 octets for each SHA-256 in hand."""

    def __init__(self, data_dir: Path, pid: int | None = None) -> None:
        self._path = data_dir / "begun" / str(pid or os.getpid())
        self._suspects = data_dir / "suspects"
        self._slots: mmap.mmap | None = None
        self._free = list(range(_SLOTS))
        self._held: dict[str, list[int]] = {}

    def start(self) -> None:
        """On a full or failing disk it goes on without marks: the commit meets it, and tells the client."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._suspects.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                # held as long as the map, which has the descriptor too: it tells that we live. First, because in another
                # container somebody may have our number
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # written, not truncated: a mapped hole that the disk has no room for is a SIGBUS
                file.write(bytes(_SLOT_OCTETS * _SLOTS))
                file.flush()
                self._slots = mmap.mmap(file.fileno(), _SLOT_OCTETS * _SLOTS)
        except OSError:
            self._slots = None

    def end(self) -> None:
        """At the end of a process that has nothing in hand any more."""
        if self._slots is None:
            return
        self._slots.close()
        self._slots = None
        with contextlib.suppress(OSError):  # on a disk that has become read-only it stays, and accuses nobody
            self._path.unlink(missing_ok=True)

    def ended_processes(self, sha256: str) -> bool:
        """True when workers died while they had this content in hand, as often as we can bear."""
        suspect = f"{self._suspects}/{sha256}"
        if not os.access(suspect, os.F_OK):  # as for all mail but one message in a lifetime
            return False
        try:
            return Path(suspect).stat().st_size >= ENDED_TOO_OFTEN
        except FileNotFoundError:
            return False

    def mark(self, sha256: str) -> None:
        """Beyond as many as there are slots the rest goes unmarked: a mark is a help, no promise."""
        if self._slots is None or not self._free:
            return
        slot = self._free.pop()
        self._held.setdefault(sha256, []).append(slot)
        self._slots[slot * _SLOT_OCTETS : (slot + 1) * _SLOT_OCTETS] = sha256.encode("ascii")

    def clear(self, sha256: str) -> None:
        """The same content may be in hand twice: one mark of it goes."""
        slots = self._held.get(sha256)
        if not slots or self._slots is None:
            return
        slot = slots.pop()
        if not slots:
            del self._held[sha256]
        self._slots[slot * _SLOT_OCTETS : (slot + 1) * _SLOT_OCTETS] = _FREE
        self._free.append(slot)

    def acquit(self, sha256: str) -> None:
        """After a re-run that went well."""
        (self._suspects / sha256).unlink(missing_ok=True)

    def count_death(self) -> int:
        """Called by the supervisor for a worker that died: what it had in hand becomes suspect; returns how much.

        Raises OSError where the disk does not take it: then what is left stays marked, for another try, and nothing of it
        counts twice.
        """
        try:
            file = os.open(self._path, os.O_RDWR)
        except FileNotFoundError:
            return 0
        try:
            marks = self._marks_in(file)
            for mark, places in marks.items():
                self._suspect(mark)
                for place in places:
                    os.pwrite(file, _FREE, place)
        finally:
            os.close(file)
        self._path.unlink(missing_ok=True)
        return len(marks)

    def _marks_in(self, file: int) -> dict[str, list[int]]:
        """Where each stands."""
        places: dict[str, list[int]] = {}
        for found in _SHA256.finditer(os.pread(file, _SLOT_OCTETS * _SLOTS, 0)):
            places.setdefault(found[0].decode("ascii"), []).append(found.start())
        return places

    def _suspect(self, sha256: str) -> None:
        self._suspects.mkdir(exist_ok=True)
        with (self._suspects / sha256).open("ab", buffering=0) as file:
            file.write(b".")


def forget_all(data_dir: Path) -> None:
    """At the start of a supervisor: the marks of a group that was killed as a whole accuse nobody. Those of processes that
    live are not ours: another supervisor may serve other roles on the same data directory.
    """
    for path in (data_dir / "begun").glob("*"):
        with contextlib.suppress(OSError), path.open("rb") as file:  # BlockingIOError: it lives
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
