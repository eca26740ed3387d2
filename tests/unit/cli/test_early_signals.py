"""Signals that come before `serve` serves: none ends it otherwise than in good order, and none is lost."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.main import main
from tests.servers.gateway import wait_until
from tests.unit.cli.conftest import Cli, environment

COMMAND = """
import importlib, os, sys
from gateway.cli.main import main

place, name, number = importlib.import_module(sys.argv[1]), sys.argv[2], int(sys.argv[3])
*path, name = name.split(".")
for part in path:
    place = getattr(place, part)
as_it_was = getattr(place, name)

def struck(*arguments):
    os.kill(os.getpid(), number)
    return as_it_was(*arguments)

setattr(place, name, struck)
main(["--config", sys.argv[4], "serve"])
"""
MOMENTS = [("gateway.cli.serve", "settings_of"), ("gateway.supervisor", "Supervisor.hand_over")]


def _serve(cli: Cli, moment: tuple[str, str], number: signal.Signals) -> subprocess.Popen[bytes]:
    """`serve`, to which the signal comes at that moment."""
    config = str(cli.folder / "gateway.toml")
    with (cli.folder / "serve.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *moment, str(int(number)), config],
            stdout=log,
            stderr=log,
            env=environment(),
        )


@pytest.mark.parametrize("moment", MOMENTS, ids=["first", "last"])
def test_an_early_sigterm_ends_serve_in_good_order(cli: Cli, moment: tuple[str, str]) -> None:
    """It ended by the signal (-15), which some managers call a failure."""
    process = _serve(cli, moment, signal.SIGTERM)
    try:
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()
    log = _log(cli.folder)
    assert '"ready"' not in log
    assert "Traceback" not in log


def test_an_early_sighup_reloads_once_the_workers_serve(cli: Cli) -> None:
    """It ended `serve`."""
    process = _serve(cli, MOMENTS[0], signal.SIGHUP)
    try:
        wait_until(lambda: process.poll() is not None or "reloaded: " in _log(cli.folder), "a reload", 180)
        process.terminate()
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()
    assert len(re.findall('"event": "ready"', _log(cli.folder))) == 2


def test_a_serve_that_cannot_begin_leaves_signals_as_they_were(cli: Cli) -> None:
    with pytest.raises(SystemExit):
        main(["--config", str(cli.folder / "none.toml"), "serve"])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def _log(folder: Path) -> str:
    return (folder / "serve.log").read_text()
