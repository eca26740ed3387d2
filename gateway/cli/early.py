"""What the process of a command does before it imports anything: whoever started it may have closed its streams, or send
it a signal in its first tenth of a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from types import FrameType

_STREAMS: Final = ((0, "stdin", os.O_WRONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_RDWR))
"""Opened the wrong way round: what reads or writes a closed stream goes on to fail, for who asked for a report has none.
Words to stderr may go nowhere.
"""


def begin(arguments: Sequence[str]) -> None:
    """In a process that is the command's own; `arguments` without the program's name."""
    fill_streams()
    if command_of(arguments) == "serve":
        _keep_signals()


def fill_streams() -> None:
    """Descriptors 0 to 2 that were closed become /dev/null, for children too: the next file that is opened, such as the
    database, would else get the number, and whoever writes to stderr by its number would write into it.
    """
    for number, name, mode in _STREAMS:
        if _is_open(number):
            continue
        null = os.open(os.devnull, mode)  # the lowest number that is free: those below are open by now
        os.set_inheritable(null, True)
        stream = os.fdopen(null, "w" if number else "r", 1, encoding="utf-8", errors="replace", closefd=False)
        setattr(sys, name, stream)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def command_of(arguments: Sequence[str]) -> str:
    """The first word that is neither an option nor the file of one; empty where there is none."""
    words = iter(arguments)
    for word in words:
        if word in ("--config", "-c"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


@contextmanager
def signals_kept() -> Iterator[None]:
    """SIGHUP waits for the supervisor, which hears it where it would have ended `serve`; SIGTERM ends it in good order.

    Where `serve` does not come to be, both are again what they were.
    """
    import signal

    stopped, before = signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    _keep_signals()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, stopped)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _keep_signals() -> None:
    import signal

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    signal.signal(signal.SIGTERM, _stop)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    """Nobody has been greeted yet, and nothing begun."""
    raise SystemExit(0)
