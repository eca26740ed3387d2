"""Lets the gateway's clock jump: `gateway.core.clock` reads the time with an offset, which a test writes into a file.

Python imports this module at its start when this folder is on PYTHONPATH; the file's name stands in CLOCK_OFFSET. Only the
wall clock jumps, as when NTP or an administrator sets it; the monotonic one goes on.
"""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import gateway.core.clock


def offset() -> float:
    return float(Path(os.environ["CLOCK_OFFSET"]).read_text())


class _Datetime:
    @staticmethod
    def now(zone):
        return datetime.now(zone) + timedelta(seconds=offset())


class _Time:
    @staticmethod
    def time_ns():
        return time.time_ns() + int(offset() * 1e9)


if "CLOCK_OFFSET" in os.environ:
    gateway.core.clock.datetime = _Datetime
    gateway.core.clock.time = _Time
