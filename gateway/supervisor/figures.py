"""The folder in which the figures of all workers lie: prometheus-client maps a file per process."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108  mkdtemp's names cannot be guessed


def make_figures_folder(link: Path) -> Path:
    """In memory where there is such a place: its files have holes, and to write into a hole is a SIGBUS when the disk is
    full. `link` leads to the folder, so that the next start finds what a killed group left.
    """
    if link.is_symlink():
        left = link.readlink()
        if left.parent == _MEMORY:
            shutil.rmtree(left, ignore_errors=True)
        link.unlink()
    shutil.rmtree(link, ignore_errors=True)
    if not (_MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)):
        link.mkdir()
        return link
    folder = Path(tempfile.mkdtemp(prefix="gateway-metrics-", dir=_MEMORY))
    link.symlink_to(folder)
    return folder


def forget_worker(folder: Path, pid: int) -> None:
    """The gauges of a worker end with it; its counters stay."""
    for file in folder.glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)
