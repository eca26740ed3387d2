"""The memory in which the workers of one node keep what they know of their clients: they share its limits.

Standard library only: the supervisor makes the table and imports nothing heavy. What the figures mean is said in
`clients.py`; here is where they lie, and what happens to them when a process dies at any instruction.

- Networks and accounts have rows, eight to a set; a name may lie only in the set that its keyed hash tells. So the table
  never grows and never fills: a newcomer takes the row of its set that was used least recently. Accounts have sets of
  their own, so that a flood of networks makes no account's rate be forgotten.
- Open connections are counted in a column for each worker, which only that worker writes: the supervisor zeroes the column
  of one that died, and whatever it was doing, the sums are right again.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import tempfile
import time
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Final, Self

WAYS: Final = 8
NETWORKS: Final = range(32_768)
ACCOUNTS: Final = range(32_768, 36_864)
_ROWS: Final = len(NETWORKS) + len(ACCOUNTS)
_FIELDS: Final = 5
_COLUMN: Final = _ROWS + 1  # the last cell of a column counts all connections of its worker
_MAGIC: Final = b"clients1"
"""Raise the digit with every change of the layout: after an upgrade SIGHUP puts new workers below an old supervisor."""
_SALT: Final = slice(16, 32)
_HEADER_OCTETS: Final = 32
_ROWS_OCTETS: Final = _ROWS * _FIELDS * 8

PATIENCE_SECONDS: Final = 0.5
"""How long the lock is waited for; it is held for microseconds, so its holder has been stopped (SIGSTOP, a debugger)."""
_HOPELESS_SECONDS: Final = 10.0
_NAP_SECONDS: Final = 0.000_02


class TableLock:
    """Excludes the other workers. The kernel frees it when its holder dies.

    `fcntl.lockf`, not `flock`: an flock belongs to the open file description, and this one is the supervisor's, inherited by
    all workers, so that it would exclude none of them. A lock of lockf belongs to the process; hence within a process only
    one thread may use a table. It is asked for, not waited for: a worker that was stopped while it held the lock must
    not stop the mail of the others. They go on without it (`held` is False), and are patient again a while later.
    """

    def __init__(self, file: int | None) -> None:
        """Without a file there is nobody to exclude."""
        self._file = file
        self._hopeless_until = 0.0
        self.held = False

    def __enter__(self) -> None:
        self.held = self._file is None or self._take(self._file)

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._file is not None and self.held:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
        self.held = False

    def _take(self, file: int) -> bool:
        if _taken(file):
            return True
        began = time.monotonic()
        if began < self._hopeless_until:
            return False
        while time.monotonic() < began + PATIENCE_SECONDS:
            time.sleep(_NAP_SECONDS)
            if _taken(file):
                return True
        self._hopeless_until = time.monotonic() + _HOPELESS_SECONDS
        return False


def _taken(file: int) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX allows either where another has the lock
        return False
    return True


class ClientTable:
    """The mapped table as the worker in `slot` uses it; rows are read and changed below `lock`, by one thread.

    `rate`, `bad`, `forwarder` hold times in nanoseconds of CLOCK_MONOTONIC, which is one clock for all processes of a machine
    (Linux and macOS). A row that was taken for a newcomer holds zeros.
    """

    def __init__(self, memory: mmap.mmap, slot: int, file: int | None) -> None:
        octets = memoryview(memory)
        self._salt = bytes(octets[_SALT])
        self._slot = slot
        self.lock = TableLock(file)
        cells = octets[_HEADER_OCTETS : _HEADER_OCTETS + _ROWS_OCTETS].cast("q")
        fields = [cells[n * _ROWS : (n + 1) * _ROWS] for n in range(_FIELDS)]
        self._key, self._used, self.rate, self.bad, self.forwarder = fields
        self._open = octets[_HEADER_OCTETS + _ROWS_OCTETS :].cast("I")

    @classmethod
    def alone(cls) -> Self:
        """For a process that shares its clients with no other."""
        memory = mmap.mmap(-1, octets_for(1))
        memory[:_HEADER_OCTETS] = _header(1)
        return cls(memory, 0, None)

    @classmethod
    def handed(cls, file: int, slot: int) -> Self:
        """The supervisor's, for the worker in its `slot`. One of another layout is left to the older workers."""
        size = os.fstat(file).st_size
        memory = mmap.mmap(file, size)
        slots = int.from_bytes(memory[8:16], sys.byteorder)
        if memory[:8] != _MAGIC or slot >= slots or size != octets_for(slots):
            memory.close()
            return cls.alone()
        return cls(memory, slot, file)

    # --- rows ---

    def network_row(self, network: str, now: int) -> int | None:
        """The row of a network, a new one where it has none; None when no row of its set can be spared, or for want of the
        lock. Who gets None allows: a limit that cannot be kept must not refuse mail.
        """
        return self._row(self._key_of(network), NETWORKS, now)

    def account_row(self, account_id: str, now: int) -> int | None:
        """The row of an account; None as in `network_row`."""
        return self._row(self._key_of(account_id), ACCOUNTS, now)

    def known_network_row(self, network: str) -> int | None:
        """None when nothing is known of the network."""
        return self._found(self._key_of(network), NETWORKS)

    def _key_of(self, name: str) -> int:
        """Keyed, so that nobody can choose networks that fall into one set; zero is the key of free rows."""
        digest = blake2b(name.encode(), digest_size=8, key=self._salt).digest()
        return int.from_bytes(digest, "little", signed=True) or 1

    def _row(self, key: int, rows: range, now: int) -> int | None:
        row = self._found(key, rows)
        if row is None and self.lock.held:
            row = self._spared(_set_of(key, rows))
            if row is not None:
                for field in (self.rate, self.bad, self.forwarder):
                    field[row] = 0
                self._key[row] = key  # last: one that dies half way has given nobody's figures to another
        if row is not None:
            self._used[row] = now
        return row

    def _found(self, key: int, rows: range) -> int | None:
        ways = _set_of(key, rows)
        keys = self._key[ways.start : ways.stop].tolist()
        return ways[keys.index(key)] if key in keys else None

    def _spared(self, ways: range) -> int | None:
        """The least recently used without open connections; forwarders that are still remembered come last."""
        for row in sorted(ways, key=lambda r: max(self._used[r], self.forwarder[r])):
            if not self.open_connections(row):
                return row
        return None

    # --- open connections ---

    def open_connections(self, row: int) -> int:
        """Of this row in all workers."""
        return sum(self._open[row::_COLUMN])

    def all_open_connections(self) -> int:
        return sum(self._open[_ROWS::_COLUMN])

    def connected(self, row: int | None) -> None:
        """One more connection of this worker; not counted for its row for want of the lock: the row might just be taken."""
        self._open[self._slot * _COLUMN + _ROWS] += 1
        if row is not None and self.lock.held:
            self._open[self._slot * _COLUMN + row] += 1

    def disconnected(self, network: str) -> None:
        """One less. Needs no lock: nobody else writes these cells, nobody takes a row with connections."""
        self._count_down(self._slot * _COLUMN + _ROWS)
        row = self.known_network_row(network)
        if row is not None:
            self._count_down(self._slot * _COLUMN + row)

    def _count_down(self, cell: int) -> None:
        if self._open[cell]:  # a connection that found no spare row may leave after its network has got one
            self._open[cell] -= 1

    def worker_gone(self, slot: int) -> None:
        """No process is in this slot any more: nor has it connections. Needs no lock, so a stopped worker stops nobody
        here either: the column's only writer is dead.
        """
        self._open[slot * _COLUMN : (slot + 1) * _COLUMN] = memoryview(bytes(_COLUMN * 4)).cast("I")


class SharedClientTable:
    """The supervisor's side: makes the memory for so many workers, hands its descriptor `file` down."""

    def __init__(self, slots: int, folder: Path, made: int | None = None) -> None:
        """`made`: the descriptor of one that this process made before it became the supervisor.

        Raises OSError when there is no memory, or elsewhere than on Linux no room in `folder`.
        """
        size = octets_for(slots)
        self.file = _new_file(folder) if made is None else made
        try:
            if made is None:
                # written in full: a mapped hole without room is a SIGBUS, in a worker and while it has mail in hand
                _write(self.file, _header(slots) + bytes(size - _HEADER_OCTETS))
            self._table = ClientTable(mmap.mmap(self.file, size), 0, self.file)
        except OSError:
            os.close(self.file)
            raise

    def worker_gone(self, slot: int) -> None:
        """Give back the connections of a worker whose process has ended and was waited for."""
        self._table.worker_gone(slot)

    def open_connections(self) -> int:
        return self._table.all_open_connections()

    def close(self) -> None:
        os.close(self.file)


def octets_for(slots: int) -> int:
    """The size of a table for so many workers: 2 MB and 0.15 MB for each."""
    return _HEADER_OCTETS + _ROWS_OCTETS + _COLUMN * 4 * slots


def _header(slots: int) -> bytes:
    return _MAGIC + slots.to_bytes(8, sys.byteorder) + os.urandom(16)


def _set_of(key: int, rows: range) -> range:
    first = rows.start + key % (len(rows) // WAYS) * WAYS
    return range(first, first + WAYS)


def _new_file(folder: Path) -> int:
    """Without a name, so that it is gone with its last process, however that ends."""
    if sys.platform == "linux":
        return os.memfd_create("gateway-clients")
    return _unnamed_file(folder)


def _unnamed_file(folder: Path) -> int:
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.dup(file.fileno())


def _write(file: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(file, rest) :]
