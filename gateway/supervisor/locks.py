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
            self.files.append(self._taken(role))

    def _taken(self, role: str) -> int:
        path = self._path(role)
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
        return file

    def _path(self, role: str) -> Path:
        return self.data_dir / f"serve-{role}.lock"

    def are_elsewhere(self, roles: Sequence[str]) -> bool:
        """Another data directory lies under the name than the one that was locked: it was restored, or mounted anew."""
        return any(self._is_elsewhere(role, file) for role, file in zip(roles, self.files, strict=False))

    def _is_elsewhere(self, role: str, file: int) -> bool:
        try:
            return self.data_dir.is_dir() and not os.path.samestat(os.fstat(file), self._path(role).stat())
        except FileNotFoundError:
            return True
        except OSError:
            return False  # it cannot be looked at: its workers say so

    def follow(self, roles: Sequence[str]) -> None:
        """Lock the data directory that lies under the name now, where that is another one. Raises InvalidInput when somebody
        else has it.
        """
        for n, role in enumerate(roles):
            if self._is_elsewhere(role, self.files[n]):
                before, self.files[n] = self.files[n], self._taken(role)
                os.close(before)

    def adopt(self, files: Sequence[int]) -> None:
        """Locks that this process took before it became the supervisor."""
        self.files += files

    def release(self) -> None:
        for file in self.files:
            os.close(file)
        self.files = []
