"""What `doctor` says of one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """`warn`: it works, but not for everything or not for long."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names the thing, `detail` says in one sentence how it is, with the cure where it is not well."""

    check: str
    status: Health
    detail: str


def well(check: str, detail: str) -> Finding:
    return Finding(check, Health.OK, detail)


def warned(check: str, detail: str) -> Finding:
    return Finding(check, Health.WARN, detail)


def failed(check: str, detail: str) -> Finding:
    return Finding(check, Health.FAIL, detail)
