"""Where content waits while it comes, and until the line takes it: small content in memory while the shared budget lasts,
all other in a spool file. Whatever many clients send at once, memory stays within the budget.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

from gateway import metrics
from gateway.core.errors import StorageFull
from gateway.offload import Offload

P = ParamSpec("P")
R = TypeVar("R")

MEMORY_OCTETS = 128 * 1024
"""Content over this size goes to the spool as it comes, whatever memory is free: a client that stalls holds no more."""
WRITE_OCTETS = 64 * 1024
"""A spool file is written in pieces of at least this size: a thread switch costs more than a small write."""
TURN_SECONDS = 240.0
"""Longest wait for memory before a spooled message is deferred; clients wait 600 (RFC 5321 section 4.5.3.2.6)."""


class Budget:
    """Octets of content that the sessions of one process hold in memory together.

    A quarter is for content that comes, taken as it lasts: what stalls there holds up nobody, for the rest goes to the
    spool. The others are for spooled content whose turn at the line it is, in order; the line's deadlines free it.
    """

    def __init__(self, octets: int) -> None:
        self._coming = octets // 4
        self._turn_octets = octets - octets // 4
        self._in_turn = 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    def reserve(self, octets: int) -> bool:
        """Room for content that comes; False when there is none left."""
        if octets > self._coming:
            return False
        self._coming -= octets
        metrics.CONTENT_BYTES.inc(octets)
        return True

    def release(self, octets: int) -> None:
        self._coming += octets
        metrics.CONTENT_BYTES.dec(octets)

    @asynccontextmanager
    async def turn(self, octets: int) -> AsyncIterator[None]:
        """Room for spooled content, first come first served; one larger than all there is goes alone.

        Raises StorageFull after TURN_SECONDS.
        """
        await self._wait(octets)
        metrics.CONTENT_BYTES.inc(octets)
        try:
            yield
        finally:
            metrics.CONTENT_BYTES.dec(octets)
            self._in_turn -= octets
            self._admit()

    async def _wait(self, octets: int) -> None:
        ticket = (octets, asyncio.get_running_loop().create_future())
        self._queue.append(ticket)
        self._admit()
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await ticket[1]
        except BaseException as error:
            if ticket in self._queue:
                self._queue.remove(ticket)
            elif not ticket[1].cancelled():  # one that was cancelled in the queue has been passed over there
                self._in_turn -= octets
            self._admit()
            if isinstance(error, TimeoutError):
                raise StorageFull("no memory came free for a spooled message") from None
            raise

    def _admit(self) -> None:
        while self._queue and (not self._in_turn or self._in_turn + self._queue[0][0] <= self._turn_octets):
            octets, ticket = self._queue.popleft()
            if not ticket.done():
                self._in_turn += octets
                ticket.set_result(None)


class Spool:
    """Makes the place for each message's content. `folder` is on the disk of the data directory, not in memory."""

    def __init__(self, folder: Path, budget_bytes: int, pool: Offload) -> None:
        self.folder = folder
        self.budget = Budget(budget_bytes)
        self.pool = pool

    def incoming(self, max_bytes: int) -> Incoming:
        return Incoming(self, max_bytes)


class Incoming:
    """The content of one message as it comes. Must be closed."""

    def __init__(self, spool: Spool, max_bytes: int) -> None:
        self._spool = spool
        self._max_bytes = max_bytes
        self._memory = io.BytesIO()
        self._reserved = 0
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._fault: Exception | None = None
        self._dropped = False
        self._work: asyncio.Task[Any] | None = None
        self.size_bytes = 0

    @property
    def is_too_big(self) -> bool:
        return self.size_bytes > self._max_bytes

    @property
    def sha256(self) -> str:
        """Of what has come so far. What was spooled was hashed in the thread that wrote it."""
        digest = self._hash.copy()
        digest.update(self._memory.getbuffer())
        return digest.hexdigest()

    async def add(self, octets: bytes) -> None:
        """Never raises: content must be read to its end whatever becomes of it; `whole` tells of a fault."""
        self.size_bytes += len(octets)
        if self.is_too_big:
            self.drop()
        if self._dropped or not octets:
            return
        if self._stays_in_memory(len(octets)):
            self._memory.write(octets)
            return
        await self._spill(octets)

    def _stays_in_memory(self, octets: int) -> bool:
        if self._file:
            return self._memory.tell() + octets < WRITE_OCTETS
        if self.size_bytes > MEMORY_OCTETS or not self._spool.budget.reserve(octets):
            return False
        self._reserved += octets
        return True

    async def _spill(self, octets: bytes = b"") -> None:
        """Write what is in memory, and these behind it."""
        try:
            if self._file is None:
                self._file = await self._in_pool(_open, self._spool.folder)
                metrics.SPOOLED.inc()
            await self._in_pool(_write, self._file, self._hash, self._memory.getbuffer(), octets)
        except OSError as error:
            self._fault = StorageFull(f"spool: {error.strerror or error}")
            self.drop()
        else:
            self._memory = io.BytesIO()
            self._give_back()

    async def _in_pool(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """A client that leaves cancels the session, not the thread: until that is done its descriptor stays open, or the
        thread might write into whatever file is given that number next.
        """
        self._work = asyncio.get_running_loop().create_task(self._spool.pool(function, *args, **kwargs))
        return await asyncio.shield(self._work)

    def drop(self) -> None:
        """Nothing of it is wanted any more; the rest is read and forgotten."""
        self._dropped = True
        self.close()

    def _give_back(self) -> None:
        self._spool.budget.release(self._reserved)
        self._reserved = 0

    @asynccontextmanager
    async def whole(self) -> AsyncIterator[bytes]:
        """The content, in memory for as long as the block lasts. Raises StorageFull."""
        if self._fault:
            raise self._fault
        if self._file is None:
            yield self._memory.getvalue()
            return
        if self._memory.tell():
            await self._spill()
        async with self._spool.budget.turn(self.size_bytes):
            yield await self._read_back(self._file)

    async def _read_back(self, file: IO[bytes] | None) -> bytes:
        if self._fault or file is None:
            raise self._fault or StorageFull("spool: the file is gone")
        try:
            return await self._in_pool(_whole, file)
        except OSError as error:
            raise StorageFull(f"spool: {error.strerror or error}") from error

    def close(self) -> None:
        """Memory and file are free again."""
        self._give_back()
        self._memory = io.BytesIO()
        file, self._file = self._file, None
        if self._work and not self._work.done():
            self._work.add_done_callback(lambda work: _close(file, work))
        elif self._work:  # a file may have been made for a session that was cancelled before it heard of it
            _close(file, self._work)


def _open(folder: Path) -> IO[bytes]:
    """A file without a name: whatever ends the process, nothing of it is left. A data directory that is gone stays gone:
    one made anew would take what the commit then refuses.
    """
    folder.mkdir(exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, buffering=0)


def _write(file: IO[bytes], digest: hashlib._Hash, *pieces: bytes | memoryview) -> None:
    """Raw files write what there is room for, and tell how much."""
    for piece in pieces:
        digest.update(piece)
        octets = memoryview(piece)
        while octets:
            octets = octets[file.write(octets) :]


def _close(file: IO[bytes] | None, work: asyncio.Task[Any]) -> None:
    made = None if work.cancelled() or work.exception() else work.result()
    for opened in (file, made):
        if isinstance(opened, io.IOBase):
            opened.close()


def _whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
