"""`gateway`: the process of a command. The commands themselves are put together in `app`, which takes a moment to import."""

from __future__ import annotations

import gc
import sys

from gateway.cli import early


def main(arguments: list[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    if arguments is None:  # this process is the command's own
        arguments = sys.argv[1:]
        gc.disable()  # to look for garbage in what is imported takes a tenth of a command; `desk.imported` ends it
        early.begin(arguments)
    try:
        from gateway.cli.app import run
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run(arguments))
