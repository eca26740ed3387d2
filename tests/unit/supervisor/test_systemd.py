"""sd_notify(3), sd_listen_fds(3) and sd_watchdog_enabled(3), as the manual pages say."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.supervisor.systemd import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The manager's socket, and its name as NOTIFY_SOCKET writes it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@gateway-test-{os.getpid()}"
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0", 1))
        manager.settimeout(5)
        yield name, manager


def test_each_word_is_a_datagram(heard: tuple[str, socket.socket]) -> None:
    name, manager = heard
    with closing(ServiceManager({"NOTIFY_SOCKET": name})) as told:
        told.ready()
        told.alive()
        told.stopping()
        told.status("two\nlines\n")
    assert [manager.recv(4096) for _ in range(4)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1", b"STATUS=two lines"]


def test_a_reload_begins_with_the_monotonic_time_of_systemd_253(heard: tuple[str, socket.socket]) -> None:
    name, manager = heard
    before = time.monotonic_ns() // 1000

    with closing(ServiceManager({"NOTIFY_SOCKET": name})) as told:
        told.reloading()

    first, second = manager.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_a_manager_that_does_not_listen_stops_nobody(tmp_path: Path) -> None:
    for name in ("", str(tmp_path / "nobody"), "@nobody-at-all", "vsock:2:1234"):
        with closing(ServiceManager({"NOTIFY_SOCKET": name})) as told:
            told.ready()


def test_a_manager_that_reads_nothing_makes_nobody_wait(heard: tuple[str, socket.socket]) -> None:
    with closing(ServiceManager({"NOTIFY_SOCKET": heard[0]})) as told:
        for _ in range(2000):
            told.alive()


def test_a_word_that_finds_the_queue_full_is_known_not_to_be_told(heard: tuple[str, socket.socket]) -> None:
    """READY=1 was lost for good."""
    name, manager = heard
    with closing(ServiceManager({"NOTIFY_SOCKET": name})) as told:
        waiting = 0
        while told.alive():
            waiting += 1
        assert not told.ready()
        for _ in range(waiting):
            manager.recv(4096)
        assert told.ready()
    assert manager.recv(4096) == b"READY=1"


@pytest.mark.parametrize("count", ["\u00b2", "\u0663", "9" * 5000, "-1", ""])
def test_a_count_that_is_none_hands_nothing(count: str) -> None:
    """LISTEN_FDS=\u00b2 was a traceback: isdigit() knows more than int()."""
    environment = {"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid()), "WATCHDOG_USEC": count}
    manager = ServiceManager(environment)
    assert (manager.handed, manager.watchdog_seconds) == ((), None)


OUT_OF_DESCRIPTORS = """
import resource, sys
from gateway.supervisor.systemd import ServiceManager
told = ServiceManager({"NOTIFY_SOCKET": sys.argv[1]})
if sys.argv[2] == "told before":
    told.ready()
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
told.alive()
"""


@pytest.mark.parametrize(("before", "words"), [("told before", [b"READY=1", b"WATCHDOG=1"]), ("not told", [])])
def test_descriptors_that_run_out_end_nobody(heard: tuple[str, socket.socket], before: str, words: list[bytes]) -> None:
    """EMFILE and ENFILE ended the supervisor at the next word of its watchdog."""
    name, manager = heard
    subprocess.run([sys.executable, "-c", OUT_OF_DESCRIPTORS, name, before], check=True)
    assert [manager.recv(4096) for _ in words] == words


def test_the_variables_are_taken_out() -> None:
    environment = {"NOTIFY_SOCKET": "/x", "LISTEN_FDS": "0", "LISTEN_PID": "1", "WATCHDOG_USEC": "1", "PATH": "/bin"}
    ServiceManager(environment)
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_ours_only_when_it_means_this_process(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert ServiceManager(environment).watchdog_seconds == seconds


HANDED = """
import os, socket, sys
from gateway.supervisor.systemd import ServiceManager
listening = socket.create_server(("127.0.0.1", 0))
os.dup2(listening.fileno(), 3)
os.dup2(os.open("/dev/null", os.O_RDONLY), 4)
environment = {"LISTEN_FDS": "2", "LISTEN_PID": eval(sys.argv[1]), "LISTEN_FDNAMES": sys.argv[2]}
for handed in ServiceManager(environment).handed:
    s = handed.socket
    print(handed.name, s and (s.fileno(), s.proto, os.get_inheritable(s.fileno())))
"""


def handed(pid: str, names: str) -> str:
    """In a process of its own: the descriptors are those from 3 on."""
    return subprocess.run([sys.executable, "-c", HANDED, pid, names], check=True, capture_output=True, text=True).stdout


def test_handed_descriptors_come_with_their_names_and_are_not_inherited_further() -> None:
    """Protocol 6 is TCP, also of a socket made with 0: asyncio would leave TCP_NODELAY off."""
    assert handed("str(os.getpid())", "smtp") == "smtp (3, 6, False)\nunknown None\n"


def test_descriptors_meant_for_another_process_are_not_ours() -> None:
    assert handed("'1'", "smtp:http") == ""
