"""The scanners of this installation: found in `scanners/`, made as its settings say."""

from __future__ import annotations

from functools import cache
from typing import Protocol

from gateway.core.ports import Scanner
from gateway.registry import plugins_of
from gateway.scan import scanners
from gateway.settings import Settings


class ScannerKind(Protocol):
    """What a file in `scanners/` offers as `SCANNER`."""

    name: str

    def make(self, settings: Settings) -> Scanner | None:
        """In a running event loop; None where the settings do not ask for it. Raises InvalidInput for what cannot work."""
        ...


@cache
def kinds() -> dict[str, ScannerKind]:
    """Those found, by name. Raises BadPlugin."""
    return plugins_of(scanners, "SCANNER", ScannerKind)  # type: ignore[type-abstract]  # the port is what is asked for


def configured(settings: Settings) -> tuple[Scanner, ...]:
    """Those the settings ask for. Raises InvalidInput."""
    made = (kind.make(settings) for kind in kinds().values())
    return tuple(scanner for scanner in made if scanner)
