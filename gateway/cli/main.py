"""`gateway`: the process of a command. The commands themselves are put together in `app`, which takes a moment to import."""

from __future__ import annotations

import contextlib
import gc
import sys
import traceback

from gateway.cli import early
from gateway.cli.exits import TRY_AGAIN, to_a_mail_server


def main(arguments: list[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    if arguments is None:  # this process is the command's own
        arguments = sys.argv[1:]
        gc.disable()  # to look for garbage in what is imported takes a tenth of a command; `desk.imported` ends it
        early.begin(arguments)
    if early.command_of(arguments) == "receive":
        sys.exit(to_a_mail_server(_run_whatever_breaks(arguments)))
    sys.exit(_run(arguments))


def _run(arguments: list[str]) -> int:
    try:
        from gateway.cli.app import run

        return run(arguments)
    except KeyboardInterrupt:
        return 130


def _run_whatever_breaks(arguments: list[str]) -> int:
    """A file that cannot be opened, memory that is used up, a bug: from the first import on."""
    try:
        return _run(arguments)
    except Exception:  # noqa: BLE001  the mail server, who asked, is told by the exit code
        with contextlib.suppress(OSError):
            traceback.print_exc()
        return TRY_AGAIN
