"""One `serve` for each role and data directory: two would send the same notification twice."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.core.errors import InvalidInput
from gateway.store.folders import make_data_dir


@dataclass(slots=True)
class RoleLocks:
    """`<data_dir>/serve-<role>.lock`, one holder each; the kernel frees them at death."""

    data_dir: Path
    files: list[int] = field(default_factory=list)

    def take(self, roles: Sequence[str]) -> None:
        """Raises InvalidInput naming the holder's pid."""
        make_data_dir(self.data_dir)
        for role in roles:
            path = self.data_dir / f"serve-{role}.lock"
            try:
                file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise InvalidInput(f"{path}: {error.strerror}; name a data_dir that this user may write to") from None
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(file)
                raise InvalidInput(
                    f"`serve` with role {role} runs already on {self.data_dir} (process {holder}); "
                    f"stop it first, or give this one a data_dir of its own"
                ) from None
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
            self.files.append(file)

    def adopt(self, files: Sequence[int]) -> None:
        """Locks that this process took before it became the supervisor."""
        self.files += files

    def release(self) -> None:
        for file in self.files:
            os.close(file)
        self.files = []
