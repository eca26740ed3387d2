"""The blobs' folder gets its mark, by which the database knows it from then on (`blobs.py` asks for it)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from sqlalchemy import Connection, select, update

from gateway.core.clock import new_id
from gateway.store.binding import blob_mark, others_wait
from gateway.store.blobs import MARK, mark_of, sync_directory
from gateway.store.engine import Store
from gateway.store.erasure import ERASED, EXPIRED
from gateway.store.tables import Change, MessageRow
from gateway.store.tables.columns import columns

_c, _m = columns(Change), columns(MessageRow)


def mark_blobs(store: Store, folder: Path) -> None:
    """Make the blobs' folder and tell it from any other that may come to lie under its name. Once: later the folder is there,
    or it is away. Where it cannot be made, or is not the one whose blobs the database names, it stays without a mark: large mail
    is deferred, and told why.
    """
    if blob_mark(store):
        return
    with store.write() as connection, contextlib.suppress(OSError):
        others_wait(connection)
        if not connection.execute(select(_c.blob_mark)).scalar() and _may_be_ours(connection, folder):
            folder.mkdir(parents=True, exist_ok=True)
            connection.execute(update(Change).values(blob_mark=mark_of(folder) or _marked(folder)))


def _may_be_ours(connection: Connection, folder: Path) -> bool:
    """False for the empty place where the disk would be mounted that has what an earlier release kept."""
    blobs = select(_m.account_id, _m.id).where(_m.content.is_(None), _m.disposition.not_in((ERASED, EXPIRED)))
    newest = connection.execute(blobs.order_by(_m.id.desc()).limit(1)).first()
    return newest is None or bool(mark_of(folder)) or (folder / newest.account_id / newest.id).is_file()


def _marked(folder: Path) -> str:
    mark = new_id()
    with (folder / MARK).open("w", encoding="ascii") as file:
        file.write(f"{mark}\n")
        file.flush()
        os.fchmod(file.fileno(), 0o644)  # no secret: root may have made it, and others read it
        os.fsync(file.fileno())
    for place in (folder, folder.parent):
        sync_directory(place)
    return mark
