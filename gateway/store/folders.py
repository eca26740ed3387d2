"""The data directory. Standard library only: the supervisor makes it before anything else is there."""

from __future__ import annotations

from pathlib import Path

from gateway.core.errors import InvalidInput


def make_data_dir(path: Path) -> None:
    """Raises InvalidInput naming the folder, the reason and the cure."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "is a file" if path.is_file() else f"cannot be made: {error.strerror}"
        raise InvalidInput(f"data_dir {path} {why}; name a folder that this user may write to") from None
