"""Which errors of the database and the disk are our surroundings' (4xx), and which are bugs of our own."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.core.errors import StorageFull, StoreUnavailable

_FULL = ("database or disk is full", "no space left", "disk quota")
_DISK_FULL = "53100"

_CLASSES = frozenset({"08", "28", "40", "53", "55", "57", "58", "F0"})
"""Of PostgreSQL's SQLSTATEs (its manual, appendix A): connection, login, rolled back for others' sake, resources, state of
an object, operator, system, configuration. Psycopg's classes are coarser: to it a standby is an internal error.
"""
_CURES = {
    "25006": "; it is a standby or was made read-only: point database_url at the server that takes writes",
    "25P03": "",  # the server ended an idle transaction: ours stood still
    "25P04": "",  # transaction_timeout
    "3D000": "; point database_url at a database that exists, or create it",
    "42501": "; grant the user of database_url its rights again",
    "XX001": "; restore it from the backup",
    "XX002": "; REINDEX it, or restore it from the backup",
}
"""Single ones of other classes, with what helps a person."""
_LIMITS = "54"
"""A statement too large for PostgreSQL: what is in it made it so, and it would be so the next time."""

_SQLITE_CURES = {
    sqlite3.SQLITE_READONLY: "; make it and its folder writable for this user",
    sqlite3.SQLITE_IOERR: "; see whether its disk is full, read-only or failing",
    sqlite3.SQLITE_FULL: "; make room on its disk",
    sqlite3.SQLITE_CANTOPEN: "; see whether its folder is there, and its disk mounted and not full",
}


@contextmanager
def translated_faults(database: str = "") -> Iterator[None]:
    """What the database or disk did not do, as our errors; `database` names it for people. A statement that is wrong in
    itself stays what it is: a bug.
    """
    try:
        yield
    except (DisconnectionError, PoolTimeout, ResourceClosedError) as error:
        raise StoreUnavailable(str(error)) from error
    except DBAPIError as error:
        if fault := _fault(error, database):
            raise fault from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(str(error)) from error
        raise StoreUnavailable(str(error)) from error


def _fault(error: DBAPIError, database: str) -> StoreUnavailable | StorageFull | None:
    if error.connection_invalidated:
        return StoreUnavailable(str(error.orig))
    if isinstance(error.orig, sqlite3.Error):
        return _fault_of_sqlite(error.orig, database)
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state == _DISK_FULL:
        return StorageFull(str(error.orig))
    if state in _CURES or (state and state[:2] in _CLASSES):
        return StoreUnavailable(f"{error.orig}{_CURES.get(state, '')}")
    # without a state: the driver's own, of a connection that is not there
    of_the_driver = isinstance(error, (OperationalError, InterfaceError)) and not (state or "").startswith(_LIMITS)
    return StoreUnavailable(str(error.orig)) if of_the_driver else None


def _fault_of_sqlite(error: sqlite3.Error, database: str) -> StoreUnavailable | StorageFull | None:
    words = str(error)
    where = f"the database {database}: " if database else ""
    # sqlite3.DatabaseError proper: the file is damaged or no database; never this message's fault
    if type(error) is sqlite3.DatabaseError:
        return StoreUnavailable(f"{where}{words}; restore it from the backup")
    if not isinstance(error, (sqlite3.OperationalError, sqlite3.InterfaceError)):
        return None
    # the low octet is the primary code; the driver's own errors have none
    cure = _SQLITE_CURES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
    told = f"{where}{words}{cure}" if cure else words
    return StorageFull(told) if any(w in words.lower() for w in _FULL) else StoreUnavailable(told)
