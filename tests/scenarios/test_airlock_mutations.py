"""Of mail that chance has damaged, whatever we hand out as the virus a scanner has called so, or the message waits."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.core.ambiguity import ambiguity_of
from gateway.core.envelope import Envelope
from gateway.core.errors import TooComplex
from gateway.core.reports import ScanStatus
from gateway.parse import decode_part
from gateway.scan.files import parse_and_see
from gateway.scan.runner import ScanRunner
from gateway.scan.scanners import clamav
from tests.scenarios.airlock import VIRUS
from tests.scenarios.airlock.mutations import mutated
from tests.servers.clamd import ClamdServer

MESSAGES = int(os.environ.get("AIRLOCK_MUTATIONS", "1500"))
SEED = int(os.environ.get("AIRLOCK_SEED", "1"))


async def _at_once(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


async def test_whatever_is_out_of_place_the_scanner_sees_what_we_hand_out(clamd: ClamdServer, tmp_path: Path) -> None:
    runner = ScanRunner([clamav.make(clamd.address, 30, tmp_path / "seen")], _at_once)
    chance = random.Random(SEED)
    envelope = Envelope("T", "acme", "smtp", datetime.now(UTC), None, "anna@customer.test", (), False, b"", "")
    handed_out = 0
    for n in range(MESSAGES):
        content = mutated(chance)
        try:
            message, files = parse_and_see(content)
        except TooComplex:
            continue
        has_it = any(decode_part(content, part).startswith(VIRUS) for part in message.parts)
        if not has_it or ambiguity_of(message.defects):
            continue
        handed_out += 1
        report = await runner.scan(content, message, files, runner.ask(content, envelope))
        assert report.status is ScanStatus.INFECTED, (
            f"seed {SEED}, message {n}: {message.defects}\n{content.decode('latin-1')}"
        )
    assert handed_out > MESSAGES / 5
