"""`file:DIR`: each message becomes a file. For the demo, for tests, and for a host's own pick-up folder."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

from gateway.core.clock import now
from gateway.core.notice import Delivery, DeliveryResult
from gateway.notify.patience import Patience

_NOT_FOR_FILE_NAMES = re.compile(r"[^A-Za-z0-9@._+-]+")


class FileRelay:
    """Writes `<time>-<recipient>-<random>.eml` with exactly the content, and the envelope beside it in `.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        return f"file:{self._folder}"

    async def deliver(
        self,
        *,
        reverse_path: str | None,
        recipient: str,
        content: bytes,
        patience: Patience,  # noqa: ARG002  # the port's; a write to the disk cannot be called back
    ) -> Delivery:
        """`delivered` once both files are on the disk, `retry` when the disk says no."""
        envelope = {"reverse_path": reverse_path or "", "recipients": [recipient]}
        try:
            file = await asyncio.to_thread(self._write, recipient, json.dumps(envelope).encode("ascii"), content)
        except OSError as error:
            return Delivery(DeliveryResult.RETRY, 0, f"cannot write: {error.strerror or error}", self.name)
        return Delivery(DeliveryResult.DELIVERED, 250, f"written as {file}", self.name)

    async def knock(self, patience: Patience) -> Delivery | None:  # noqa: ARG002  # the port's
        """None when the folder can be written, or made."""
        wrong = await self.probe(timeout_seconds=0)
        return Delivery(DeliveryResult.RETRY, 0, wrong, self.name) if wrong else None

    async def probe(self, *, timeout_seconds: float) -> str:  # noqa: ARG002  # the port's
        """Empty when the folder can be written, or made."""
        place = next((p for p in (self._folder, *self._folder.parents) if p.exists()), self._folder)
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            return f"{place} is no folder that this user can write"
        return ""

    async def close(self) -> None:
        """Nothing is kept open."""

    def _write(self, recipient: str, envelope: bytes, content: bytes) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        washed = _NOT_FOR_FILE_NAMES.sub("_", recipient)[:80]
        stem = f"{now():%Y%m%dT%H%M%S.%fZ}-{washed}-{os.urandom(4).hex()}"
        # The envelope first: whoever waits for *.eml finds it there.
        self._put(f"{stem}.json", envelope)
        self._put(f"{stem}.eml", content)
        self._sync_folder()
        return f"{stem}.eml"

    def _put(self, name: str, content: bytes) -> None:
        unfinished = self._folder / f".{name}.tmp"
        try:
            with unfinished.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self._folder / name)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def _sync_folder(self) -> None:
        """A rename is only sure once its folder is on the disk."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
