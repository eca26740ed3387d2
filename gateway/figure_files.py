"""The files in which a worker counts, in a folder that all workers of a supervisor share (prometheus-client, multiprocess mode).

A set of files for each slot, not for each process: a worker goes on where the one before it in its slot ended. So counters
stay whole, and what lies there does not grow with every death.
"""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path
from typing import Final

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of prometheus-client."""
_KIB: Final = 1024
_OCTETS: Final = {
    "counter": 64 * _KIB,
    "histogram": 256 * _KIB,
    "gauge_livesum": 16 * _KIB,
    "gauge_livemin": 16 * _KIB,
    "gauge_livemax": 16 * _KIB,
    "gauge_livemostrecent": 16 * _KIB,
}
"""Twice and more of what all series need: labels are closed sets. The library would make them as holes and write into those,
and where memory (`/dev/shm`) has no room for the page, that is a SIGBUS.
"""


def share(slot: int) -> str:
    """To be called before prometheus-client is imported: it looks once. Where there is no room, this process counts for
    itself, and what is returned says why; else "".
    """
    folder = os.environ.pop(FOLDER, None)  # put back when all is well: an import must not see it before
    if folder is None:
        return ""
    try:
        for kind, octets in _OCTETS.items():
            _reserve(Path(folder) / f"{kind}_{slot}.db", octets)
    except OSError as error:
        return f"{folder}: {error.strerror}; this worker's figures are its own until it finds room at its next start"
    from prometheus_client import values  # noqa: PLC0415  it looks at the environment once

    os.environ[FOLDER] = folder
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
    return ""


def _reserve(path: Path, octets: int) -> None:
    """Every octet of it has its place from now on. Raises OSError where there is none."""
    if path.exists() and _is_sound(path):
        _fill(path, octets)
        return
    new = path.with_suffix(".new")  # nobody reads it half made
    try:
        new.write_bytes(b"")
        _fill(new, octets)
        new.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def _fill(path: Path, octets: int) -> None:
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, max(size, octets))  # holes within, too
        elif size < octets:  # macOS
            file.seek(size)
            file.write(bytes(octets - size))


def _is_sound(path: Path) -> bool:
    """A file that cannot be read would end every worker of the slot at once, for ever: what it counted is given up."""
    from prometheus_client.mmap_dict import MmapedDict  # noqa: PLC0415  as above

    try:
        for _ in MmapedDict.read_all_values_from_file(path):  # type: ignore[no-untyped-call]
            pass
    except (RuntimeError, ValueError, IndexError, struct.error):
        return False
    return True
