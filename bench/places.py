"""Where things of a bench lie: the repository, the cache of peers, a folder for one run."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from tests.servers.ports import free_port

__all__ = ["PEERS", "ROOT", "free_port", "run_folder"]

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / ".peers"
"""What cannot be installed beside each other on one system is kept here; git ignores it."""


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """Removed at the end, also of a run that is told to stop: servers started in the block end with it.

    Other users may pass through it: daemons of packages run as users of their own.
    """
    signal.signal(signal.SIGTERM, _leave)
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
