"""`python -m tests.servers.lone_supervisor FOLDER PORT WORKERS SILENCE`: the process that `supervised` looks at.

Imports nothing heavy, as the supervisor itself: it starts in a moment.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from gateway.supervisor import ServiceManager, Supervisor, group, slots

FAKE = Path(__file__).with_name("fake_worker.py")


def run(folder: Path, port: int, workers: int, silence: float) -> int:
    slots.SILENCE_SECONDS = slots.START_SECONDS = silence  # type: ignore[misc]
    group._STOPPED_SECONDS = min(silence, 5.0)
    slots.KILL_AFTER_GRACE_SECONDS = 1.0  # type: ignore[misc]
    configuration = json.loads((folder / "new").read_text())["settings"]
    check = f'if [ -e "{folder}/bad" ]; then cat "{folder}/bad" >&2; exit 1; fi; cat "{folder}/new"'
    supervisor = Supervisor(
        data_dir=folder / "var",
        roles=("smtp",),
        smtp=[f"127.0.0.1:{port}"],
        http=[],
        worker_command=[sys.executable, "-S", "-E", str(FAKE), str(folder)],
        check_command=["sh", "-c", check],
        configuration=json.dumps(configuration).encode(),
        smtp_workers=workers,
        manager=ServiceManager(os.environ),
    )
    if "fault_in_slot" in configuration:
        _break(configuration["fault_in_slot"])
    return supervisor.run()


def _break(index: int) -> None:
    """A bug of the supervisor's own, for one slot."""
    start = slots.Slot.start

    def broken(slot: slots.Slot, *arguments: Any) -> None:
        if slot.index == index:
            raise LookupError("a bug")
        start(slot, *arguments)

    slots.Slot.start = broken  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
