"""Finds the plug-ins of a package: one file, one thing, found by scanning, with a unique name."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any, TypeVar, cast

T = TypeVar("T")


class BadPlugin(RuntimeError):
    """A file in a plug-in package that does not offer what its port asks for; the text says which and what."""


def modules_of(package: ModuleType) -> dict[str, ModuleType]:
    """Every module of `package` that does not begin with an underscore, by its module name."""
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    return {name: importlib.import_module(f"{package.__name__}.{name}") for name in names}


def plugins_of(package: ModuleType, attribute: str, port: type[T]) -> dict[str, T]:
    """The object called `attribute` in each module of `package`, by its own `name`.

    Raises BadPlugin when a module lacks it, its members, or a unique name.
    """
    found: dict[str, T] = {}
    for module in modules_of(package).values():
        plugin: Any = getattr(module, attribute, None)
        if plugin is None:
            raise BadPlugin(f"{module.__name__} has no `{attribute}`")
        wanted = [m for m in vars(port) if not m.startswith("_")] + list(getattr(port, "__annotations__", {}))
        missing = [m for m in wanted if not hasattr(plugin, m)]
        if missing:
            raise BadPlugin(f"{module.__name__}.{attribute} lacks {', '.join(missing)} ({port.__name__})")
        name = str(plugin.name)
        if name in found:
            raise BadPlugin(f"{module.__name__}: the name {name!r} is taken; names of {package.__name__} are unique")
        found[name] = cast("T", plugin)
    return found
