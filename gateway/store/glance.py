"""A glance at a SQLite database with Python's own driver: whether there is anything to prepare before it serves.

Opening the store takes half a second of imports, and at all but the first start of a release there is nothing to do.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection
from pathlib import Path

_SECONDS = 4.0
_REVISION = "SELECT version_num FROM alembic_version"
_BOUND = "SELECT secret_fingerprint, domain, blob_mark FROM change"
_OPERATOR = "SELECT 1 FROM account WHERE name = 'system'"


def is_ready(database: Path, revision: str, fingerprints: Collection[str], domain: str) -> bool:
    """Whether it has the schema `revision`, is bound to one of the secrets and to the domain, has a mark for its blobs and
    the operator's account.

    False also for what cannot be read: who prepares finds out what it is, and says so.
    """
    if not database.is_file():
        return False
    address = f"{database.absolute().as_uri()}?mode=rw"  # never makes a file; `ro` could not read behind a crash
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_SECONDS)) as connection:
            found = connection.execute(_REVISION).fetchone()
            bound = connection.execute(_BOUND).fetchone()
            there = connection.execute(_OPERATOR).fetchone()
    except sqlite3.Error:
        return False
    if not (found and bound and there):
        return False
    return bool(found[0] == revision and bound[0] in fingerprints and bound[1] == domain and bound[2])
