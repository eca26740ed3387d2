"""Who is the only one at work: of processes that share a data directory, one at a time holds a name."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


class Sole:
    """A lock on a file, which the kernel frees at its holder's death, whatever that is.

    A supervisor that is killed leaves its workers to end what they have begun. They may be sending what they hold when the next
    group starts: what is held is a dead one's only when this is ours.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def is_ours(self) -> bool:
        """From the first time on that nobody else holds it. Not where it cannot be looked at: the disk is full, or away."""
        if self._file is None:
            with contextlib.suppress(OSError):
                self._file = self._taken()
        return self._file is not None

    def _taken(self) -> int:
        """Raises OSError; BlockingIOError while another holds it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise
        return file

    def let_go(self) -> None:
        """What was held is given back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
