"""Whether a name still leads to what it led to. Standard library only."""

from __future__ import annotations

from pathlib import Path

from gateway.core.errors import StoreUnavailable


class Anchor:
    """A file or folder, and no other in its place.

    Where a data directory was moved away, or its disk unmounted, SQLite goes on in the open file wherever that lies now,
    while blobs and the write lock would be made anew under the name: a 250 for a message whose blob is in another folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: tuple[int, int] | None = None

    def require(self) -> None:
        """Remembers it when it is first there; what never was may still come. Raises StoreUnavailable later, while it is
        gone or another one.
        """
        try:
            found = self._path.stat()
        except OSError as error:
            if self._first is None:
                return
            raise StoreUnavailable(f"{self._path}: {error.strerror}; it was there, bring it back") from error
        identity = (found.st_dev, found.st_ino)
        self._first = self._first or identity
        if identity != self._first:
            raise StoreUnavailable(f"{self._path} is not the one this process began with; bring that back, or reload")
