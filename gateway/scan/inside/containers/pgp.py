"""OpenPGP messages: nobody takes them apart here. What is encrypted says so by itself; of the rest nobody knows what it is."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.scan.filetypes import openpgp
from gateway.scan.inside.entry import Entry, Share, Unscannable

TYPES = frozenset({"pgp"})


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """None. Raises Unscannable, unless all of it is encrypted: that is for the policy on encrypted files alone."""
    share.check_time()
    message = openpgp.look(content)
    if message is None or message.exposed:
        raise Unscannable("what lies in an OpenPGP message (pgp) cannot be checked")
    yield from ()
