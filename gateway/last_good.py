"""What workers read last from files that a start needs: a worker that finds them gone or broken goes on with that.

It lies in memory without a name, inherited from the supervisor, which never looks into it: a private key outlives no process of the
group. Linux only; elsewhere a worker that finds such a file broken is started again until that is mended.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_DIGEST_OCTETS: Final = 32
_LARGEST_OCTETS: Final = 64 << 20


class LastGood:
    """A few files that belong together, by their paths."""

    def __init__(self, file: int | None = None) -> None:
        """`file`: shared by all workers of a supervisor. Without one nothing is kept."""
        self._file = file if hasattr(os, "memfd_create") else None

    def keep(self, files: Mapping[Path, bytes]) -> None:
        """These are good. Where memory has no room for them, those before may be lost, and no more."""
        if self._file is None:
            return
        body = json.dumps({str(path): content.decode("latin-1") for path, content in files.items()}).encode()
        try:
            # one call, so that workers who do it at once leave what one of them wrote; who is killed in it leaves nothing
            os.pwrite(self._file, hashlib.sha256(body).digest() + len(body).to_bytes(8) + body, 0)
        except OSError:
            return

    def spares(self, paths: Sequence[Path]) -> tuple[Path, ...] | None:
        """Files with the contents that were kept for just these paths, to be read in their place by this process; None where
        there are none.
        """
        kept = self._read()
        if set(kept) != {str(path) for path in paths}:
            return None
        try:
            return tuple(_in_memory(kept[str(path)].encode("latin-1")) for path in paths)
        except OSError:
            return None

    def _read(self) -> dict[str, str]:
        if self._file is None:
            return {}
        content = os.pread(self._file, _LARGEST_OCTETS, 0)
        digest, rest = content[:_DIGEST_OCTETS], content[_DIGEST_OCTETS:]
        body = rest[8 : 8 + int.from_bytes(rest[:8])]
        if not body or hashlib.sha256(body).digest() != digest:
            return {}
        found: dict[str, str] = json.loads(body)
        return found


def _in_memory(content: bytes) -> Path:
    """Open as long as this process lives: OpenSSL takes nothing but a path."""
    file = os.memfd_create("last-good")
    with os.fdopen(os.dup(file), "wb") as writer:
        writer.write(content)
    return Path(f"/proc/self/fd/{file}")
