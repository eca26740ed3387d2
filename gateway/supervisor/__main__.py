"""`python -m gateway.supervisor FILE`: what `gateway serve` becomes once everything is claimed and looked at."""

from __future__ import annotations

import signal
import sys

from gateway.supervisor.group import Supervisor

if __name__ == "__main__":
    supervisor = Supervisor.taken_over(int(sys.argv[1]))
    supervisor._hear_signals()  # noqa: SLF001  before `run`: those that came meanwhile wait behind the mask that `serve` left
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGTERM, signal.SIGINT})
    sys.exit(supervisor.run())
