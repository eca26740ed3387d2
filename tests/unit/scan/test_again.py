"""Stored mail is scanned again by all scanners that are set up, or by none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.core.ports import Mail, ScannerResult
from gateway.core.reports import ScanStatus
from gateway.scan.again import ScannerAway, ScansAgain


class Scanner:
    """Answers `result`, and to a ping whether it is `there`."""

    def __init__(self, name: str, result: ScannerResult, *, there: bool = True, off: bool = False) -> None:
        self.name, self.result, self.there, self.off = name, result, there, off

    async def scan(self, _content: bytes, _mail: Mail) -> ScannerResult:
        return self.result

    async def ping(self) -> bool:
        return self.there

    def is_off(self) -> bool:
        return self.off

    async def version(self) -> str:
        return "1" if self.there else ""


async def here(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


DOWN = Scanner("clamav", ScannerResult(ScanStatus.UNSCANNED, "down"), there=False)
OFF = Scanner("clamav", ScannerResult(ScanStatus.UNSCANNED, "scanner-off"), there=False, off=True)
CLEAN = Scanner("yara", ScannerResult(ScanStatus.CLEAN))
UNSCANNABLE = Scanner("yara", ScannerResult(ScanStatus.UNSCANNABLE, "too-complex"))
INFECTED = Scanner("yara", ScannerResult(ScanStatus.INFECTED))


@pytest.mark.parametrize("other", [CLEAN, UNSCANNABLE])
async def test_what_one_says_does_not_stand_for_another_that_is_away(other: Scanner) -> None:
    """`unscannable` outweighs `unscanned`: it used to count as the scan that the message had waited for."""
    scans = ScansAgain([DOWN, other], here)
    with pytest.raises(ScannerAway, match="clamav does not answer"):
        await scans.require()
    with pytest.raises(ScannerAway):
        await scans.file(b"x")


async def test_what_is_found_counts_whoever_is_away() -> None:
    assert (await ScansAgain([DOWN, INFECTED], here).file(b"x")).status is ScanStatus.INFECTED


async def test_one_that_is_off_is_not_waited_for() -> None:
    scans = ScansAgain([OFF, CLEAN], here)
    await scans.require()
    assert (await scans.file(b"x")).status is ScanStatus.CLEAN
    assert await scans.version() == "yara 1"


async def test_where_all_are_off_there_is_none() -> None:
    with pytest.raises(ScannerAway, match="no virus scanner is configured"):
        await ScansAgain([OFF], here).require()


async def test_signatures_have_no_version_while_one_is_away() -> None:
    """Else the rules alone would be taken for new signatures, and the hunt for clamd's would begin from its start."""
    assert await ScansAgain([DOWN, CLEAN], here).version() == ""
    assert await ScansAgain([CLEAN], here).version() == "yara 1"
