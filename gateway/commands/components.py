"""The plug-ins that are found, by kind: what an installation can do beyond the line itself."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from gateway.core.ports import AuthCheck, Strategy
from gateway.notify.folder import templates_folder
from gateway.policy import actions, conditions, strategies
from gateway.policy.document import all_actions, all_conditions
from gateway.registry import modules_of, plugins_of
from gateway.scan import scanners
from gateway.scan.configured import kinds
from gateway.verify import checks


@dataclass(frozen=True, slots=True)
class Component:
    """`kind` is check, scanner, condition, action, strategy, notification or job; `where` the file or folder it is in."""

    kind: str
    name: str
    where: str
    about: str = ""


def components() -> list[Component]:
    """By kind, then by name. Raises BadPlugin for a file that does not offer what its kind asks for."""
    plugins_of(checks, "CHECK", AuthCheck)  # type: ignore[type-abstract]  # the port is what is asked for
    plugins_of(strategies, "STRATEGY", Strategy)  # type: ignore[type-abstract]  # the same
    all_conditions()
    all_actions()
    kinds()
    return [
        *plugins_as("check", checks, "CHECK"),
        *plugins_as("scanner", scanners, "SCANNER"),
        *plugins_as("condition", conditions, "CONDITION"),
        *plugins_as("action", actions, "ACTION"),
        *plugins_as("strategy", strategies, "STRATEGY"),
        *_notifications(),
    ]


def plugins_as(kind: str, package: ModuleType, attribute: str) -> list[Component]:
    """What the files of `package` offer as `attribute`, by name."""
    modules = modules_of(package).values()
    found = [Component(kind, str(getattr(m, attribute).name), m.__name__, _about(m)) for m in modules]
    return sorted(found, key=lambda component: component.name)


def _about(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().partition("\n")[0]


def _notifications() -> list[Component]:
    """Each kind with its languages."""
    folder = templates_folder() / "notifications"
    kinds = sorted(k for k in folder.iterdir() if k.is_dir() and not k.name.startswith("_"))
    return [Component("notification", k.name, str(k), ", ".join(sorted(f.stem for f in k.glob("*.j2")))) for k in kinds]
