"""Marks of content being worked on, so that content which ends processes is parked unread the third time.

Standard library only: the supervisor, which counts what a dead worker left, imports nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

ENDED_TOO_OFTEN = 2
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BegunMarks:
    """The marks of one worker process: `<data_dir>/begun/<pid>/<sha256>`. Never synced: a power loss is nobody's fault."""

    def __init__(self, data_dir: Path, pid: int | None = None) -> None:
        self._folder = data_dir / "begun" / str(pid or os.getpid())
        self._suspects = data_dir / "suspects"

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._suspects.mkdir(parents=True, exist_ok=True)

    def end(self) -> None:
        """At the end of a process that has nothing in hand any more."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def ended_processes(self, sha256: str) -> bool:
        """True when workers died while they had this content in hand, as often as we can bear."""
        try:
            return (self._suspects / sha256).stat().st_size >= ENDED_TOO_OFTEN
        except FileNotFoundError:
            return False

    def mark(self, sha256: str) -> None:
        """A full or failing disk is met, and told, at the commit."""
        try:
            os.close(os.open(self._folder / sha256, os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError:
            return

    def clear(self, sha256: str) -> None:
        (self._folder / sha256).unlink(missing_ok=True)

    def acquit(self, sha256: str) -> None:
        """After a re-run that went well."""
        (self._suspects / sha256).unlink(missing_ok=True)

    def count_death(self) -> int:
        """Called by the supervisor for a worker that died: what it had in hand becomes suspect; returns how much."""
        marks = [m for m in self._listed() if _SHA256.fullmatch(m.name)]
        for mark in marks:
            with (self._suspects / mark.name).open("ab") as file:
                file.write(b".")
        shutil.rmtree(self._folder, ignore_errors=True)
        return len(marks)

    def _listed(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []


def forget_all(data_dir: Path) -> None:
    """At the start of a supervisor: the marks of a group that was killed as a whole accuse nobody."""
    shutil.rmtree(data_dir / "begun", ignore_errors=True)
