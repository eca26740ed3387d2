"""Streams that are full, closed or without a reader: what a command has done, and its exit code, do not depend on them."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import pytest

from gateway.cli import show, streams
from gateway.cli.app import run
from gateway.cli.desk import on_the_line
from gateway.configuration import load
from gateway.core.errors import InvalidInput
from tests.unit.cli.conftest import Cli, environment

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is not everywhere")

ARGUMENTS = ["receive", "--sender", "<>", "--recipient", "support@acme.gw.test"]

RECEIVE = """
import sys
from types import SimpleNamespace
from gateway.cli import receive
from gateway.cli.main import main
from gateway.core.outcome import Accepted, Reason, Refused
kept = Accepted(reason=Reason.ACCEPTED, message_id="m", trace_id="T", ticket=1)
outcome = Refused(Reason.BAD_RECIPIENT, "no") if "refused" in sys.argv[-1] else kept
settings = SimpleNamespace(smtp=SimpleNamespace(max_message_bytes=1024))
receive.on_the_line, receive.settings_of = lambda *_: outcome, lambda _: settings
sys.modules["gateway.commands.receive"] = SimpleNamespace(receive=None, WrongCall=None)
main()
"""
"""The command as a process, without the line."""


@pytest.fixture
def full() -> Iterator[TextIO]:
    """A stream on a disk without room; closed without a flush."""
    stream = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115  closed below
    yield stream
    streams.give_up(stream)
    stream.close()


def _receive(redirected: str, *arguments: str) -> subprocess.Popen[bytes]:
    line = f'exec "$@" {redirected}'
    words = ["sh", "-c", line, "sh", sys.executable, "-c", RECEIVE, *ARGUMENTS, *arguments]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, env=environment())


def test_a_kept_message_is_not_returned_for_what_its_exit_code_is_told_with() -> None:
    """Postfix bounces anything but 0 and 75: kept mail was, for exit 1 and for the interpreter's own 120."""
    accepted = {">/dev/full 2>&1": (), ">&- 2>&-": (), ">/dev/full": ("--json",)}
    begun = {how: _receive(how, *more) for how, more in accepted.items()}
    refused = _receive("2>/dev/full", "--helo", "refused")
    assert {how: process.wait(120) for how, process in begun.items()} == dict.fromkeys(accepted, 0)
    assert refused.wait(120) == 65


@pytest.mark.parametrize(
    "arguments",
    [
        [*ARGUMENTS, "--client-ip", "garbage"],
        [*ARGUMENTS, "--bogus"],
        ["receive", "--sender", "<>"],
    ],
    ids=["client-ip", "option", "no recipient"],
)
def test_a_mistake_in_the_mail_servers_configuration_returns_no_mail(
    bare: Cli, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """--client-ip was not looked at, and made accepted mail refused; 2, wrong usage, is a bounce."""

    def without_line(_settings: object, work: Any) -> Any:
        return asyncio.run(work(None))

    monkeypatch.setattr("gateway.cli.receive.on_the_line", without_line)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x")))
    said = bare(*arguments, code=75).err
    assert said.count("\n") == 1
    assert "garbage" not in arguments or "'garbage' is no IP address; write for example 192.0.2.9" in said


def test_what_goes_wrong_before_the_command_is_found_returns_no_mail(
    bare: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare("--bogus", *ARGUMENTS, code=75)
    monkeypatch.setitem(sys.modules, "gateway.cli.app", None)
    assert "ModuleNotFoundError" in bare(*ARGUMENTS, code=75).err


def test_the_line_opens_without_a_stderr(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """AttributeError: 75 for ever."""
    monkeypatch.setattr("sys.stderr", None)
    with pytest.raises(InvalidInput, match="there is no database"):
        on_the_line(load(bare.folder / "gateway.toml"), lambda _: asyncio.sleep(0))


# --- every command ---


@pytest.mark.parametrize("octets", [10, 1_000_000])
def test_a_report_that_finds_no_room_is_told_in_one_line(
    octets: int, full: TextIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gateway log > /dev/full` was a traceback."""
    monkeypatch.setattr("gateway.cli.app.app", lambda *_, **__: show.document("x" * octets))
    with redirect_stdout(full):
        assert run([]) == 1
    assert (
        capsys.readouterr().err
        == "gateway: standard output: No space left on device; what was printed is not complete\n"
    )
    full.flush()  # nothing waits for the interpreter's end


def test_a_usage_error_that_finds_no_room_is_no_traceback(full: TextIO) -> None:
    with redirect_stderr(full):
        assert run(["no-such-command"]) == 1
    full.flush()


def test_a_reader_that_has_stopped_is_not_waited_for() -> None:
    heard, told = os.pipe()
    os.set_blocking(told, False)
    while _written(told):
        pass
    os.set_blocking(told, True)
    with os.fdopen(told, "w", encoding="utf-8") as stream, redirect_stdout(stream):
        with streams.unheeded():
            show.say("mail is kept")
        stream.flush()
    os.close(heard)


def _written(descriptor: int) -> int:
    try:
        return os.write(descriptor, b"x" * 4096)
    except BlockingIOError:
        return 0


# --- serve ---

SERVE = """
import os, sys
from gateway.supervisor import Supervisor
Supervisor.claim = lambda self: None
Supervisor.hand_over = lambda self: os._exit(7)
from gateway.cli.main import main
main()
"""


def test_serve_starts_whatever_becomes_of_its_words(cli: Cli) -> None:
    """It did not: nobody took mail."""
    config = str(cli.folder / "gateway.toml")
    words = ["sh", "-c", 'exec "$@" >/dev/full', "sh", sys.executable, "-c", SERVE, "--config", config, "serve"]
    assert subprocess.run(words, env=environment(), check=False).returncode == 7
