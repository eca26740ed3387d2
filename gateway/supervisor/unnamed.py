"""Files without a name, for what holds passwords: nothing of them outlives the processes that were handed them."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def unnamed_file(folder: Path, content: bytes = b"") -> int:
    """A descriptor to read and write, in memory on Linux, else on the disk of `folder`. Raises OSError without room."""
    if sys.platform == "linux":
        file = os.memfd_create("gateway")
    else:
        with tempfile.TemporaryFile(dir=folder) as temporary:
            file = os.dup(temporary.fileno())
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError:
        os.close(file)
        raise
    return file


def content_of(file: int) -> bytes:
    """All of it, wherever others that share the descriptor stand."""
    size = os.fstat(file).st_size
    content = b""
    while len(content) < size and (block := os.pread(file, size - len(content), len(content))):
        content += block
    return content
