"""What the supervisor says, and that it goes on where nobody takes it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from gateway.supervisor import ServiceManager, Supervisor
from gateway.supervisor.group import say
from gateway.supervisor.guard import Guard


class Deaf(ServiceManager):
    """Takes a word when `hears`; writes down which."""

    def __init__(self) -> None:
        super().__init__({})
        self.hears = False
        self.heard: list[str] = []

    def _tell(self, text: str) -> bool:
        if self.hears:
            self.heard.append(text.partition("\n")[0])
        return self.hears


@pytest.fixture
def deaf() -> Deaf:
    return Deaf()


@pytest.fixture
def supervisor(tmp_path: Path, deaf: Deaf) -> Iterator[Supervisor]:
    made = Supervisor(
        data_dir=tmp_path, roles=["outbox"], smtp=[], http=[], worker_command=[], configuration=b"{}", manager=deaf
    )
    made.claim()
    yield made
    made._close()
    for end in (made._woken, made._wake):
        end.close()
    for file in (*made._bell, *made._locks.files):
        os.close(file)


def test_ready_is_told_until_it_is_heard(supervisor: Supervisor, deaf: Deaf) -> None:
    """A queue that was full at that moment: systemd ended a gateway that served."""
    for slot in supervisor._slots:
        slot.serves = True
    supervisor._tell_manager()
    deaf.hears = True
    supervisor._tell_manager()
    supervisor._tell_manager()
    assert deaf.heard.count("READY=1") == 1


def test_both_ends_of_a_reload_are_told_until_they_are_heard(supervisor: Supervisor, deaf: Deaf) -> None:
    supervisor._told_ready = True
    supervisor._reload.begun += 1  # and over, before the manager heard of it
    for hears in (False, True, False, True):
        deaf.hears = hears
        supervisor._tell_reload()
    assert deaf.heard == ["RELOADING=1", "READY=1"]


def test_a_watchdog_that_did_not_hear_is_told_in_the_next_round(supervisor: Supervisor, deaf: Deaf) -> None:
    deaf.watchdog_seconds = 60.0
    supervisor._tell_manager()
    deaf.hears = True
    supervisor._tell_manager()
    assert "WATCHDOG=1" in deaf.heard


def test_without_a_stderr_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first worker that died ended it: TypeError of select."""
    monkeypatch.setattr("sys.stderr", None)
    say("a worker died")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is not everywhere")
def test_words_without_room_leave_nothing_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in Python's buffer fails at the interpreter's end: exit 120."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stderr", full)
        say("a worker died")


def test_a_guard_whose_words_fail_still_guards() -> None:
    def broken(_text: str = "") -> None:
        raise TypeError

    assert Guard(broken).keep(broken) is False


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is not everywhere")
def test_a_stdout_without_room_does_not_keep_it_from_beginning(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(*_: object) -> NoReturn:
        raise SystemExit(7)

    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115  what waits in it must go before it is closed
    full.write("announced")
    monkeypatch.setattr("sys.stdout", full)
    monkeypatch.setattr("os.execv", begun)
    with pytest.raises(SystemExit, match="7"):
        supervisor.hand_over()
    os.dup2(sys.__stderr__.fileno() if sys.__stderr__ else 2, full.fileno())
    full.close()
