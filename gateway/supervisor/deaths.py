"""What dead workers had in hand, counted as soon as the disk takes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gateway.store.begun import BegunMarks


class Deaths:
    """A worker often dies of the disk that its death should be written to: nothing of that may end the supervisor."""

    def __init__(self, data_dir: Path, say: Callable[[str], None]) -> None:
        self._data_dir = data_dir
        self._say = say
        self._uncounted: list[int] = []

    def count(self, pid: int) -> int:
        """How many messages the worker had in hand, as far as that can be told; also counts those that had to wait."""
        waiting, self._uncounted = self._uncounted, []
        for earlier in waiting:
            self._try(earlier)
        return self._try(pid)

    def lives(self, pid: int) -> None:
        """The number is another worker's now: its marks accuse nothing."""
        if pid in self._uncounted:
            self._uncounted.remove(pid)

    def _try(self, pid: int) -> int:
        try:
            return BegunMarks(self._data_dir, pid).count_death()
        except OSError as error:
            self._uncounted.append(pid)
            self._say(
                f"{error.filename or self._data_dir}: {error.strerror}; what worker {pid} had in hand when it died is "
                "counted with the next that dies"
            )
            return 0
