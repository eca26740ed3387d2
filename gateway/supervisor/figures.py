"""The folder in which the figures of a supervisor's workers lie: `<data_dir>/metrics/<roles>`, beside those of others."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  mkdtemp's names cannot be guessed
_PREFIX: Final = "gateway-metrics-"


class FiguresFolder:
    """A link into memory where there is such a place: figures are written all the time, and nobody needs them later.

    Figures are a help: where there is no room for them, workers serve without. Who holds the lock beside the folder lives, so
    a start finds what a killed group left, and leaves the folders of living ones alone.
    """

    def __init__(self, data_dir: Path, roles: Sequence[str]) -> None:
        self._all = data_dir / "metrics"
        self.path = self._all / "-".join(sorted(roles))
        """What the workers get; it may be gone, or lead nowhere."""

    def claim(self) -> int:
        """Removes what dead groups left. The file of the lock, to be kept open. Raises OSError where the disk takes nothing."""
        self._leave_old_layout()
        self._all.mkdir(exist_ok=True)
        lock = _lock_of(self.path)
        fcntl.flock(lock, fcntl.LOCK_EX)  # who looks whether we live lets go at once
        self.remove()
        for other in self._all.iterdir():
            if other.suffix != ".lock" and other != self.path:
                _remove_of_dead(other)
        return lock

    def is_there(self) -> bool:
        """Makes it where it is not, or not any more: logind's RemoveIPC= empties /dev/shm of who logs out."""
        if self.path.is_dir():
            return True
        try:
            self._all.mkdir(exist_ok=True)
            self.path.unlink(missing_ok=True)
            self._make()
        except OSError:
            return False
        return True

    def forget_gauges(self, slot: int) -> None:
        """Those of a worker end with it; its counters stay, for the next one in its slot."""
        for file in self.path.glob(f"gauge_*_{slot}.db"):
            file.unlink(missing_ok=True)

    def remove(self) -> None:
        _remove(self.path)

    def _make(self) -> None:
        if not (_MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)):
            self.path.mkdir()
            return
        folder = tempfile.mkdtemp(prefix=_PREFIX, dir=_MEMORY)
        try:
            self.path.symlink_to(folder)
        except OSError:
            os.rmdir(folder)  # noqa: PTH106  a name is all that mkdtemp gives
            raise

    def _leave_old_layout(self) -> None:
        """Once `metrics` itself was the link, or held the files."""
        if self._all.is_symlink():
            _remove(self._all)
        elif any(self._all.glob("*.db")):
            shutil.rmtree(self._all, ignore_errors=True)


def _lock_of(folder: Path) -> int:
    return os.open(f"{folder}.lock", os.O_RDWR | os.O_CREAT, 0o600)


def _remove_of_dead(folder: Path) -> None:
    lock = _lock_of(folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        _remove(folder)
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    if not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
        return
    target = folder.readlink()
    if target.parent == _MEMORY and target.name.startswith(_PREFIX):
        shutil.rmtree(target, ignore_errors=True)
    folder.unlink(missing_ok=True)
