"""What a process does before it imports the commands."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.early import command_of
from tests.unit.cli.conftest import environment

FILL = """
import os, sys
from gateway.cli import early
early.fill_streams()
with open(sys.argv[1], "w") as opened:
    print(opened.fileno() > 2, [os.get_inheritable(n) for n in range(3)], sys.stderr.write("x"), file=opened)
    for what in (sys.stdin.read, lambda: print("x")):
        try:
            what()
        except OSError as error:
            print(error.strerror, file=opened)
"""


def test_no_file_gets_the_number_of_a_stream_that_was_closed(tmp_path: Path) -> None:
    """The database would: whoever writes to stderr writes into it."""
    words = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", FILL, str(tmp_path / "opened")]
    assert subprocess.run(words, env=environment(), check=False).returncode == 120, "what was printed is lost, and told"
    assert (tmp_path / "opened").read_text().splitlines() == [
        "True [True, True, True] 1",
        "Bad file descriptor",
        "Bad file descriptor",
    ]


STRUCK = """
import builtins, os, sys
from gateway.cli.main import main

as_it_was = builtins.__import__
def struck(name, *arguments, **named):
    if name == "gateway.cli.app":
        os.kill(os.getpid(), NUMBER)
    return as_it_was(name, *arguments, **named)

builtins.__import__ = struck
main()
"""


@pytest.mark.parametrize(
    ("number", "ended"), [(signal.SIGTERM, 0), (signal.SIGHUP, 1)], ids=["SIGTERM", "SIGHUP, then its own end"]
)
def test_no_signal_ends_a_serve_that_is_still_being_imported(
    number: signal.Signals, ended: int, tmp_path: Path
) -> None:
    """They did in the first tenths of a second: the imports of the commands."""
    words = [sys.executable, "-c", f"NUMBER = {int(number)}{STRUCK}", "--config", str(tmp_path / "none.toml"), "serve"]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (ended, False)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("serve", "serve"),
        ("--config x serve --role smtp", "serve"),
        ("-c serve serve", "serve"),
        ("--config=x serve", "serve"),
        ("-c serve log", "log"),
        ("account show serve", "account"),
        ("--bogus receive", "receive"),
        ("--config", ""),
        ("--version", ""),
    ],
)
def test_the_command_is_the_first_word_that_is_no_option(line: str, command: str) -> None:
    """`serve` keeps signals, which end another one behind a terminal that goes away; `receive` ends with other codes."""
    assert command_of(line.split()) == command
