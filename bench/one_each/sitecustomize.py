"""Python runs this at its start where `bench/slow_disk.py` puts the folder on the path: the committer without groups.

The module is patched when it is imported, so that commands and workers alike are as fast to start as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType

_MODULE = "gateway.store.committer"


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        for name, value in (("GROUP", 1), ("GATHER_SECONDS", 0)):
            assert hasattr(module, name), f"{_MODULE} has no {name} any more"
            setattr(module, name, value)


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        found = PathFinder.find_spec(name, path) if name == _MODULE else None
        if found is None or found.origin is None:
            return None
        return spec_from_file_location(name, found.origin, loader=_Loader(name, found.origin))


sys.meta_path.insert(0, _Finder())
