"""docs/operate/gateway.service and gateway.socket: what they name exists, and agrees with the install page and the defaults."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.configuration import load
from gateway.settings import Settings
from gateway.supervisor.slots import KILL_AFTER_GRACE_SECONDS, SILENCE_SECONDS
from tests.conftest import ROOT, missing
from tests.house.test_docs import blocks, problem_of

OPERATE = ROOT / "docs" / "operate"
SERVICE, SOCKET = OPERATE / "gateway.service", OPERATE / "gateway.socket"
PAGE = OPERATE / "install.md"


def values(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)


def commands() -> str:
    """The shell lines of the install page."""
    return "\n".join(block for language, block in blocks(PAGE) if language == "sh")


def settings(tmp_path: Path) -> Settings:
    """The configuration that the install page shows first."""
    text = next(block for language, block in blocks(PAGE) if language == "toml")
    (tmp_path / "gateway.toml").write_text(text)
    return load(tmp_path / "gateway.toml", {})


def test_what_is_started_is_a_command_where_the_page_installs_it() -> None:
    (start,) = values(SERVICE, "ExecStart")
    program, *words = start.split()
    assert f"python3 -m venv {program.removesuffix('/bin/gateway')}\n" in commands()
    assert problem_of([*words]) == ""
    assert words == ["serve"]


def test_a_reload_is_the_signal_that_serve_takes_for_one() -> None:
    (reload,) = values(SERVICE, "ExecReload")
    assert reload == "/bin/kill -HUP $MAINPID"
    assert values(SERVICE, "Type") == ["notify", "notify-reload"]


def test_paths_and_users_are_those_of_the_page(tmp_path: Path) -> None:
    (config,) = values(SERVICE, "Environment")
    assert f"`{config.removeprefix('GATEWAY_CONFIG=')}`" in PAGE.read_text()
    (user,) = values(SERVICE, "User")
    assert re.search(rf"adduser --system --group --home (\S+) {user}\n", commands())
    (state,) = values(SERVICE, "StateDirectory")
    assert settings(tmp_path).data_dir == Path("/var/lib") / state
    assert "docs/operate/gateway.service docs/operate/gateway.socket /etc/systemd/system/" in commands()


def test_the_ports_are_those_of_the_page(tmp_path: Path) -> None:
    shown = settings(tmp_path)
    assert values(SOCKET, "ListenStream") == [*shown.smtp.listen, shown.http.listen]
    assert values(SOCKET, "BindIPv6Only") == ["ipv6-only"]
    assert values(SERVICE, "Requires") == ["gateway.socket"]


def test_no_capability_is_left_where_systemd_opens_the_ports() -> None:
    assert values(SERVICE, "CapabilityBoundingSet") == [""]
    assert values(SERVICE, "AmbientCapabilities") == []
    assert values(SERVICE, "NoNewPrivileges") == ["yes"]
    assert values(SERVICE, "User") != ["root"]


def test_systemd_waits_longer_than_the_gateway_needs() -> None:
    (stop,) = values(SERVICE, "TimeoutStopSec")
    assert int(stop) >= Settings().shutdown_grace_seconds + KILL_AFTER_GRACE_SECONDS + 10
    (watchdog,) = values(SERVICE, "WatchdogSec")
    assert int(watchdog) > SILENCE_SECONDS, "a worker that hangs is the supervisor's business"


def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        missing("systemd-analyze, of Debian's package systemd")
    for unit in (SERVICE, SOCKET):
        text = unit.read_text().replace("/opt/gateway/bin/gateway", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "gateway.service", tmp_path / "gateway.socket"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    remarks = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "gateway." in line]
    if any("Failed to connect" in line for line in done.stderr.splitlines()):
        pytest.skip(done.stderr)
    assert [line for line in remarks if "notify-reload" not in line] == []
    assert done.returncode == 0, done.stderr
