"""The policies to begin with, as they lie in `templates/policies`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import InvalidInput
from gateway.notify.folder import templates_folder

SCHEMA_FILE = "policy.schema.json"
"""Beside a policy: the first line of every starter names it, and editors that know the YAML language server read it."""


@dataclass(frozen=True, slots=True)
class Starter:
    """`about` is its first comment: one sentence."""

    name: str
    about: str
    text: str


def starters() -> list[Starter]:
    """All of them, by name. Raises InvalidInput when the installation lacks them."""
    files = sorted((templates_folder() / "policies").glob("*.yaml"))
    return [_read(file) for file in files]


def starter(name: str) -> Starter:
    """Raises InvalidInput for a name that none bears, with those there are."""
    known = {s.name: s for s in starters()}
    found = known.get(name.removesuffix(".yaml"))
    if found is None:
        raise InvalidInput(f"there is no starter {name!r}; there are {', '.join(known)}")
    return found


def schema_text() -> str:
    """The JSON Schema of policies, as a file."""
    from gateway.policy.loader import schema

    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _read(file: Path) -> Starter:
    text = file.read_text(encoding="utf-8")
    about = next(line[2:] for line in text.splitlines() if line.startswith("# ") and "$schema" not in line)
    return Starter(file.stem, about.rstrip(".:"), text)
