"""A place for a worker."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from gateway.supervisor.reload import Check
from gateway.supervisor.slots import Plan, Slot
from tests.servers.gateway import wait_until

STRUCK = "import os, signal; os.kill(os.getpid(), signal.SIGHUP); raise SystemExit(7)"


def test_a_check_of_the_configuration_was_ended_by_a_hangup_for_the_whole_group(tmp_path: Path) -> None:
    """Its verdict was that the configuration is bad."""
    check = Check([sys.executable, "-c", f"print('said'); {STRUCK}"], os.environ, tmp_path, b"{}")
    wait_until(lambda: (found := check.verdict(b"{}")) and found.reason == "its check ended with 7", "its verdict")


def test_a_worker_still_being_imported_was_ended_by_a_hangup_for_the_whole_group() -> None:
    """`systemctl kill -s HUP`, a terminal that closes: it is meant for the supervisor, which replaces workers."""
    slot, before = Slot(0, Plan(("smtp",))), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    slot.start([sys.executable, "-c", STRUCK], {}, [], os.environ)
    assert slot.process
    assert slot.process.wait(60) == 7
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    slot.close_life()
