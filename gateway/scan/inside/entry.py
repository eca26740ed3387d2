"""What the walker and the readers of containers share: an entry, what may be spent, and why a container is given up."""

from __future__ import annotations

import time
from dataclasses import dataclass

RATIO = 100
"""Octets that may come of one octet of the container; text compresses 20 times, 42.zip millions."""
RATIO_FREE_BYTES = 1024 * 1024
"""Up to here no ratio is asked: a small table of zeros is no bomb."""
FILES = 10_000
DEPTH = 5
"""Containers within containers; a mail with a zip of a mail with a zip has four."""
BYTES = 1024 * 1024 * 1024
"""Octets unpacked for one message, all containers together."""
SECONDS = 30.0
ENTRY_BYTES = 16 * 1024 * 1024
"""What is held of one entry at most. The type of a larger one goes by its beginning, and it is not entered."""
STREAM_BYTES = 48 * 1024 * 1024
"""The same for the one file of a compressed stream: logs come as a tar of tens of megabytes in a tgz of two."""


class Unscannable(Exception):
    """A container that cannot be judged to its end; the text says why in a few plain words (`more than 10000 files`)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a container, by the name it has there. `content` is None where it can only be listed, or is encrypted;
    `cut` says that it is only the beginning (ENTRY_BYTES or STREAM_BYTES of a larger file), `declared` is the media type
    that a container of mail gives it.
    """

    name: str
    content: bytes | None
    encrypted: bool = False
    cut: bool = False
    declared: str = ""


@dataclass(slots=True)
class Budget:
    """What may still be spent on one message; `deadline` is a `time.monotonic()` value."""

    deadline: float
    files: int = FILES
    octets: int = BYTES


@dataclass(slots=True)
class Share:
    """What a reader spends from, for one container of `size_bytes` that is called `name` (compressed streams have no other
    name for what is in them). No declared size is believed.
    """

    budget: Budget
    size_bytes: int
    taken: int = 0
    name: str = ""

    def file(self) -> None:
        """One more file; called before it is unpacked. Raises Unscannable."""
        self.budget.files -= 1
        if self.budget.files < 0:
            raise Unscannable(f"more than {FILES} files")
        self.check_time()

    def take(self, octets: int) -> None:
        """So many octets were unpacked just now; called for each piece, before the next is unpacked. Raises Unscannable."""
        self.taken += octets
        self.budget.octets -= octets
        if self.budget.octets < 0:
            raise Unscannable(f"more than {BYTES >> 20} MiB unpacked")
        if self.taken > max(RATIO * self.size_bytes, RATIO_FREE_BYTES):
            raise Unscannable(f"more than {RATIO} times its size")
        self.check_time()

    def check_time(self) -> None:
        """For work that neither opens files nor unpacks. Raises Unscannable."""
        if time.monotonic() > self.budget.deadline:
            raise Unscannable("takes too long")
