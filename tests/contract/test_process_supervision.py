"""The supervisor keeps its workers: real processes, signals and sockets; only what the workers do is pretended."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.gateway import wait_until
from tests.servers.supervised import Supervised

SILENCE = 3
"""Seconds without a word after which a worker is killed here, and those that it has for its start: no fewer, or a busy
machine has healthy ones killed.
"""


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Supervised]:
    with Supervised(tmp_path) as made:
        yield made


# --- start and stop ---


def test_it_is_ready_when_every_worker_serves(group: Supervised) -> None:
    group.start(behave={"1": "die"})
    wait_until(lambda: len([s for s in group.starts if s.slot == 1]) >= 3, "the second died three times")
    wait_until(group.statuses, "it says how it stands")
    assert "READY=1" not in group.said
    assert group.statuses()[-1].startswith("1 of 2 workers") or group.statuses()[-1].startswith("0 of 2 workers")
    assert group.process
    assert group.process.poll() is None
    group.stop()
    assert group.said[-1].startswith(("STOPPING=1", "STATUS=stopping"))


def test_its_words_in_order(group: Supervised) -> None:
    group.start()
    group.wait_ready()
    wait_until(lambda: "2 workers, 0 sessions" in group.statuses(), "its status")
    assert group.stop() == 0
    words = [w for w in group.said if not w.startswith("STATUS=")]
    assert words == ["READY=1", "STOPPING=1"]


def test_workers_are_not_told_what_was_meant_for_the_supervisor(group: Supervised) -> None:
    group.start()
    group.wait_ready()
    assert all(s.rest.endswith("[]") for s in group.starts)
    assert group.stop() == 0


def test_workers_that_cannot_start_at_all_end_the_group(group: Supervised) -> None:
    group.start(behave="cannot-start")
    assert group.process
    assert group.process.wait(60) == 1
    assert len(group.starts) <= 2


def test_once_a_worker_has_served_one_that_cannot_start_ends_nothing(group: Supervised) -> None:
    """A file that only a start needs was broken since: it may be mended, and the others go on."""
    group.start(behave={"1": "cannot-start-later"})
    wait_until(lambda: any(s.startswith("1 of 2 workers") for s in group.statuses()), "the first serves")
    (group.folder / "later").touch()
    wait_until(lambda: len([s for s in group.starts if s.slot == 1]) >= 3, "it is tried again and again")
    assert [s.slot for s in group.starts].count(0) == 1
    assert group.process
    assert group.process.poll() is None
    assert "died (exit 2)" in group.log
    group.stop()


def test_a_worker_that_ignores_the_stop_is_killed_and_the_exit_code_says_so(group: Supervised) -> None:
    group.start(behave={"1": "hang"})
    group.wait_ready()
    assert group.stop() == 1
    assert "did not end within its grace" in group.log


# --- the dead ---


def test_a_crash_loop_does_not_spin_and_the_others_go_on(group: Supervised) -> None:
    group.start(behave={"1": "die"})
    wait_until(lambda: group.starts, "it starts")
    time.sleep(3)  # the subject is how often in a time
    # after 0.1, 0.2, 0.4, 0.8, 1.6 s
    assert len([s for s in group.starts if s.slot == 1]) <= 6
    wait_until(lambda: "died (exit 1) with 0 messages in hand; another in 0.4 s" in group.log, "ever longer pauses")
    assert len([s for s in group.starts if s.slot == 1]) >= 2
    assert len([s for s in group.starts if s.slot == 0]) == 1


def test_a_worker_that_is_killed_is_replaced_at_once_and_nobody_is_refused(group: Supervised) -> None:
    group.start()
    group.wait_ready()
    killed = group.newest(0).pid
    os.kill(killed, signal.SIGKILL)
    for _ in range(100):
        socket.create_connection(("127.0.0.1", group.port), 30).close()
    wait_until(lambda: group.newest(0).pid != killed, "another in its place")
    assert "died (signal 9)" in group.log
    assert group.stop() == 0


def _die_with_a_message_in_hand(group: Supervised, sha256: str) -> int:
    """The pid of the dead; another is in its place."""
    pid = group.newest(0).pid
    folder = group.folder / "var" / "begun"
    folder.mkdir(exist_ok=True)
    (folder / str(pid)).write_bytes(sha256.encode())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: group.newest(0).pid != pid, "another in its place")
    return pid


def test_a_disk_that_takes_nothing_ends_workers_at_most(tmp_path: Path) -> None:
    """A worker dies of a full disk; its death cannot be written down either. That ended the supervisor."""
    with Supervised(tmp_path, workers=1) as group:
        group.start()
        group.wait_ready()
        suspects = tmp_path / "var" / "suspects"
        suspects.touch()  # no folder: every write below it fails, for root too
        for n in (1, 2):
            killed = _die_with_a_message_in_hand(group, str(n) * 64)
            assert f"what worker {killed} had in hand" in group.log
        suspects.unlink()
        os.kill(group.newest(0).pid, signal.SIGKILL)
        wait_until(lambda: suspects.exists() and len(list(suspects.iterdir())) == 2, "both are counted with the third")
        assert group.stop() == 0


def test_a_slot_in_which_our_own_code_fails_leaves_the_others_alone(group: Supervised) -> None:
    group.start(fault_in_slot=1)
    wait_until(lambda: group.starts and "a bug" in group.log, "it is told")
    os.kill(killed := group.newest(0).pid, signal.SIGKILL)
    wait_until(lambda: group.newest(0).pid != killed, "the other is replaced")
    assert group.log.count("a bug") == 1
    group.stop()


# --- those that hang ---


@pytest.mark.parametrize("behaviour", ["hang", "never"])
def test_a_worker_that_shows_no_life_is_killed_and_its_slot_is_used_again(tmp_path: Path, behaviour: str) -> None:
    with Supervised(tmp_path, silence=SILENCE) as group:
        group.start(behave={"1": behaviour})
        wait_until(lambda: len([s for s in group.starts if s.slot == 1]) >= 2, "another in its place")
        said = re.search(r"has shown no life for (\d+) s; killing it", group.log)
        assert said
        assert int(said[1]) >= SILENCE
        assert len([s for s in group.starts if s.slot == 0]) == 1


def test_a_supervisor_that_stood_still_accuses_nobody(tmp_path: Path) -> None:
    """The group was stopped and goes on (a debugger, a paused machine): the silence was its own."""
    with Supervised(tmp_path, silence=SILENCE, watchdog=1) as group:
        group.start()
        group.wait_ready()
        assert group.process
        os.killpg(group.process.pid, signal.SIGSTOP)
        time.sleep(SILENCE + 1)  # the subject is time that passes
        group.hear()
        fed = group.said.count("WATCHDOG=1")
        os.killpg(group.process.pid, signal.SIGCONT)
        wait_until(lambda: group.said.count("WATCHDOG=1") > fed + 2, "it goes on")
        assert "no life" not in group.log
        assert len(group.starts) == 2
        assert group.stop() == 0


def test_the_watchdog_is_fed_while_it_turns(tmp_path: Path) -> None:
    with Supervised(tmp_path, watchdog=1) as group:
        group.start()
        group.wait_ready()
        wait_until(lambda: group.said.count("WATCHDOG=1") >= 3, "three words")
        assert group.process
        group.signal(signal.SIGSTOP)
        time.sleep(0.2)
        group.hear()
        fed = group.said.count("WATCHDOG=1")
        time.sleep(1.5)
        group.hear()
        assert group.said.count("WATCHDOG=1") == fed
        group.signal(signal.SIGCONT)
        assert group.stop() == 0


# --- reload ---


def test_a_reload_replaces_one_after_the_other_with_the_new_configuration(group: Supervised) -> None:
    group.start()
    group.wait_ready()
    group.offer(value="second")
    group.signal(signal.SIGHUP)
    wait_until(lambda: group.said.count("READY=1") == 2, "it says that it is done")
    assert [(s.slot, s.value) for s in group.starts[2:]] == [(0, "second"), (1, "second")]
    words = [w for w in group.said if not w.startswith("STATUS=")]
    assert words[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert len(words) == 3
    assert group.stop() == 0


def test_a_bad_configuration_replaces_nothing_and_the_reason_is_told(group: Supervised) -> None:
    group.start()
    group.wait_ready()
    group.offer(value="second")
    (group.folder / "bad").write_text("gateway: gateway.toml: smtp.listn: there is no such setting\n")
    group.signal(signal.SIGHUP)
    wait_until(lambda: group.said.count("READY=1") == 2, "it says that it is done")
    wait_until(lambda: "smtp.listn" in group.statuses()[-1], "its status says why")
    assert "smtp.listn: there is no such setting" in group.log
    assert len(group.starts) == 2

    # nor does the bad one reach a worker that is started in place of a dead one
    os.kill(group.newest(0).pid, signal.SIGKILL)
    wait_until(lambda: len(group.starts) == 3, "another worker")
    assert group.newest(0).value == "first"

    (group.folder / "bad").unlink()
    group.signal(signal.SIGHUP)
    wait_until(lambda: group.said.count("READY=1") == 3, "the mended one is taken")
    assert {group.newest(0).value, group.newest(1).value} == {"second"}
    wait_until(lambda: group.statuses()[-1] == "2 workers, 0 sessions", "the reason is forgotten")
    assert group.stop() == 0


@pytest.mark.parametrize("behaviour", ["die", "cannot-start", "never"])
def test_a_configuration_under_which_no_worker_comes_up_is_taken_back(tmp_path: Path, behaviour: str) -> None:
    with Supervised(tmp_path, silence=SILENCE) as group:
        group.start()
        group.wait_ready()
        group.offer(value="second", behave=behaviour)
        group.signal(signal.SIGHUP)
        wait_until(lambda: group.said.count("READY=1") == 2, "it says that it is done")
        wait_until(lambda: [s.value for s in group.starts] == ["first", "first", "second", "first"], "the first again")
        wait_until(lambda: group.statuses()[-1].startswith("2 workers, 0 sessions; new config"), "its status")
        assert "the last good one stays" in group.log
        assert group.stop() == 0


def test_a_reload_to_a_shorter_grace_leaves_the_old_worker_its_own(tmp_path: Path) -> None:
    """It was killed by the new one, in the middle of transactions that it would have finished."""
    with Supervised(tmp_path, workers=1) as group:
        group.start(behave="linger", shutdown_grace_seconds=20)  # two seconds are in it
        group.wait_ready()
        group.offer(value="second", shutdown_grace_seconds=0)  # killed one second behind it
        group.signal(signal.SIGHUP)
        wait_until(lambda: group.said.count("READY=1") == 2, "it says that it is done")
        assert "killing it" not in group.log
        assert group.newest(0).value == "second"
        assert group.stop() == 0


def test_what_needs_a_restart_is_named(group: Supervised) -> None:
    group.start()
    group.wait_ready()
    group.offer(value="second", smtp={"listen": ["127.0.0.1:26"], "workers": 3})
    group.signal(signal.SIGHUP)
    wait_until(lambda: group.said.count("READY=1") == 2, "it says that it is done")
    assert "smtp.listen, smtp.workers: needs a restart" in group.log
    wait_until(lambda: group.statuses()[-1].endswith("needs a restart: smtp.listen, smtp.workers"), "its status")
    assert group.newest(1).value == "second"
    assert group.stop() == 0


def test_many_signals_are_one_reload_of_the_newest_configuration(group: Supervised) -> None:
    """`systemctl reload` with Type=notify-reload sends one, and ExecReload= another."""
    group.start()
    group.wait_ready()
    for n in range(5):
        group.offer(value=f"n{n}")
        group.signal(signal.SIGHUP)
    # one that began with an older configuration is followed by another, which may be as quick as our look
    wait_until(lambda: group.said.count("READY=1") >= 2, "it says that it is done")
    wait_until(lambda: group.newest(1).value == "n4" and group.newest(0).value == "n4", "both have the newest")
    assert group.stop() == 0


def test_a_stop_in_the_middle_of_a_reload_is_a_stop(group: Supervised) -> None:
    group.start()
    group.wait_ready()
    group.signal(signal.SIGHUP)
    assert group.stop() == 0
    assert [s.pid for s in group.starts if Path(f"/proc/{s.pid}").exists()] == []


def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    """A full pipe on stderr: its lines are dropped, the dead are replaced."""
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(tmp_path / "log", os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        pass
    try:
        with Supervised(tmp_path) as group:
            group.start(behave={"1": "die"})
            wait_until(lambda: len([s for s in group.starts if s.slot == 1]) >= 4, "it goes on")
            assert group.stop() in (0, 1)
    finally:
        os.close(reader)
        os.close(writer)
