"""Standard output and standard error that take nothing: full, closed, or left by their reader."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from gateway.core.errors import GatewayError


class NotPrinted(GatewayError):
    """Standard output took nothing more. Who only went away (`gateway log | head`) is BrokenPipeError instead."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output: {error.strerror}; what was printed is not complete")


def put(text: str) -> None:
    """Raises NotPrinted, BrokenPipeError."""
    with _told():
        sys.stdout.write(text)


def flush() -> None:
    """Raises NotPrinted, BrokenPipeError. Either way nothing waits any more, and the interpreter's end says nothing."""
    with _told():
        sys.stdout.flush()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        give_up(sys.stdout)
        raise
    except OSError as error:
        give_up(sys.stdout)
        raise NotPrinted(error) from None


@contextmanager
def unheeded() -> Iterator[None]:
    """What is printed in here may come to nothing: standard output that is full, closed, without a reader or with one
    that has stopped changes nothing of what the command has done.
    """
    try:
        if not _takes_words():
            give_up(sys.stdout)
        yield
        flush()
    except (NotPrinted, BrokenPipeError):
        return


def _takes_words() -> bool:
    """Without waiting. What has no descriptor (a test's) takes them."""
    with suppress(OSError, ValueError):
        return bool(select.select([], [sys.stdout.fileno()], [], 0)[1])
    return True


def is_broken(stream: TextIO) -> bool:
    """What waits in it cannot be written."""
    try:
        stream.flush()
    except OSError:
        return True
    return False


def give_up(stream: TextIO) -> None:
    """What waits in it, and all that follows, goes nowhere: else every later flush fails as this one did, the last one at
    the interpreter's end, which makes the exit code 120.
    """
    with suppress(OSError, ValueError, AttributeError):  # one without a descriptor has nothing to be turned away
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
