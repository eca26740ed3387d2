"""`python -m gateway.supervisor FILE`: what `gateway serve` becomes once everything is claimed and looked at."""

from __future__ import annotations

import sys

from gateway.supervisor.group import Supervisor

if __name__ == "__main__":
    sys.exit(Supervisor.taken_over(int(sys.argv[1])).run())
