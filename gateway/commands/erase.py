"""Delete a message that waits in quarantine: its content goes, a tombstone stays."""

from __future__ import annotations

from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.erasure import erase_quarantined


def delete_quarantined(store: Store, blobs: FileBlobs, account_id: str, message_id: str, *, by: str) -> None:
    """The blob goes after the commit: a crash between the two leaves a blob without an owner, never a message without
    its content. Raises UnknownThing, InvalidInput, StoreUnavailable.
    """
    if erase_quarantined(store, account_id, message_id, by=by):
        blobs.remove(account_id, message_id)
