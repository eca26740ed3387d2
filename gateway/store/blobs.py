"""Large content, outside the database: written and synced before the commit that names it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.core.errors import BlobUnavailable, StoreUnavailable
from gateway.store.faults import translated_faults

INLINE_BYTES = 256 * 1024
"""Content up to this size lies in the message's own row."""
MARK = "belongs-to"
"""A file of the folder, with what the database has too."""


def mark_of(folder: Path) -> str:
    """Empty where there is none. Raises OSError for one that cannot be read."""
    try:
        return (folder / MARK).read_text(encoding="ascii", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


class FileBlobs:
    """Files named `<account id>/<message id>`. Written to a temporary name, synced, renamed, and the directory synced:
    after a power loss a name either is absent or holds all its bytes. No library was found that does all four.
    """

    def __init__(self, folder: Path, known_by: Callable[[], str]) -> None:
        """`known_by` asks the database what it knows its folder by. In another one, such as the place where its disk would be
        mounted, nothing is written: what is answered 250 would be lost to sight when the disk is back.
        """
        self._folder = folder
        self._known_by = known_by
        self._mark = ""

    def _path(self, account_id: str, message_id: str) -> Path:
        return self._folder / account_id / message_id

    def put(self, account_id: str, message_id: str, content: bytes) -> None:
        """Raises StorageFull, StoreUnavailable."""
        self.require()
        path = self._path(account_id, message_id)
        temporary = path.with_name(path.name + ".tmp")
        with translated_faults():
            self._make_folder(path.parent)
            try:
                with temporary.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
            sync_directory(path.parent)

    def require(self) -> None:
        """Before content is written or removed, and before a commit that its removal follows. Raises StoreUnavailable where the
        folder is away. Read each time: a file of a page, for content of hundreds.
        """
        self._mark = self._mark or self._known_by()
        with translated_faults():
            found = mark_of(self._folder)
        if found and found == self._mark:
            return
        if not self._mark:
            raise StoreUnavailable(
                f"{self._folder} could not be made, or lacks the blobs that the database names; mend or mount it, then run "
                f"`gateway db upgrade`; if it is the right one all the same, before that: echo ours > {self._folder / MARK}"
            )
        raise StoreUnavailable(
            f"{self._folder} is not the folder of this database's blobs ({'another' if found else 'no'} {MARK} in it); "
            f"mount it, or bring it back; if it is the right one all the same: echo {self._mark} > {self._folder / MARK}"
        )

    def _make_folder(self, folder: Path) -> None:
        """A new folder is synced into its parent, or is not there: the next put would take it for synced."""
        if folder.is_dir():
            return
        folder.mkdir(exist_ok=True)
        try:
            sync_directory(self._folder)
        except OSError:
            with contextlib.suppress(OSError):
                folder.rmdir()
            raise

    def get(self, account_id: str, message_id: str, sha256: str) -> bytes:
        """The content. Raises BlobUnavailable when it is absent, unreadable, or not the bytes that were stored."""
        try:
            content = self._path(account_id, message_id).read_bytes()
        except OSError as error:
            raise BlobUnavailable(f"blob {account_id}/{message_id}: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BlobUnavailable(f"blob {account_id}/{message_id}: its SHA-256 is not the one stored with the message")
        return content

    def remove(self, account_id: str, message_id: str) -> None:
        """For content whose commit did not happen, and what is erased. Raises StoreUnavailable."""
        self.require()
        with translated_faults():
            self._path(account_id, message_id).unlink(missing_ok=True)

    def names(self) -> Iterator[tuple[str, str]]:
        """(account id, message id) of every blob. What others leave beside the accounts' folders is passed over: file managers'
        `.directory`, a file system's `lost+found`, which is root's.
        """
        if not self._folder.is_dir():
            return
        for account in sorted(p for p in self._folder.iterdir() if p.is_dir() and os.access(p, os.R_OK | os.X_OK)):
            for blob in sorted(account.iterdir()):
                yield account.name, blob.name


def sync_directory(path: Path) -> None:
    if not path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
