"""`serve`, `check-config`, `db`, and what holds for every command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.main import main
from tests.unit.cli.conftest import Cli, command, environment


def test_help_tells_all_commands(bare: Cli) -> None:
    shown = bare("--help").out

    for name in ("serve", "demo", "check-config", "db", "account", "ticket", "quarantine", "log", "trace", "audit"):
        assert name in shown
    assert shown.index("Set up") < shown.index("Operate")


def test_a_look_at_nothing_leaves_nothing_behind(bare: Cli) -> None:
    done = bare("ticket", "list", "--account", "acme", code=1)

    assert "gateway db upgrade" in done.err
    assert not (bare.folder / "var").exists()


def test_the_demo_could_not_be_told_other_ports(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway import demo

    told: dict[str, object] = {}
    monkeypatch.setattr(demo, "run", lambda _settings, **how: told.update(how) or 0)

    bare("demo", "--fresh", "--smtp", "2526", "--http", "8081")

    assert told == {"fresh": True, "smtp": 2526, "http": 8081}


def test_the_database_is_upgraded_twice_without_harm(bare: Cli) -> None:
    assert bare("db", "current", "--json").json["revision"] is None

    for _ in range(2):
        assert bare.process("db", "upgrade", "--json").json["current"] is True

    assert bare("db", "current", "--json").json["current"] is True
    assert [a["name"] for a in bare("account", "list", "--json").json] == ["system"]
    assert (bare.folder / "var" / "secret.key").stat().st_mode & 0o777 == 0o600


def test_the_configuration_is_shown_without_passwords(bare: Cli) -> None:
    plain, document = bare("check-config"), bare("check-config", "--json")

    assert document.json["settings"]["hostname"] == "mx.gw.test"
    assert "NO VIRUS SCANNER" in plain.out
    assert "smtp+starttls://***@127.0.0.1:587" in plain.out
    assert "sesame" not in plain.out + document.out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("smtp.listn = []", "did you mean smtp.listen?"),
        ("hostname = ", "not valid TOML"),
        ('relay.url = ["mx:"]', "relay.url"),
        ('relay.url = ["gopher://x"]', "relay.url"),
        ('clamav.address = "nowhere"', "clamav.address"),
        ('dns.zone_file = "gateway.toml"', "dns.zone_file"),
    ],
)
def test_a_bad_configuration_is_told_on_standard_error(bare: Cli, text: str, words: str) -> None:
    bare.write("gateway.toml", text)

    done = bare("check-config", "--json", code=1)

    assert words in done.err
    assert all(line.startswith("gateway: ") for line in done.err.splitlines())
    assert done.out == ""


def test_a_configuration_that_is_not_there_is_named(bare: Cli) -> None:
    (bare.folder / "gateway.toml").unlink()

    assert "there is no such configuration file" in bare("check-config", code=1).err


@pytest.mark.parametrize(("role", "words"), [("smpt", "no role smpt"), ("pull", "not available"), (",", "smtp")])
def test_roles_that_are_none_are_wrong_usage(bare: Cli, role: str, words: str) -> None:
    assert words in bare("serve", "--role", role, code=2).err


def test_a_bug_is_not_dressed_up(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.configuration.settings_of", lambda _ctx: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        main(["check-config"])


def test_an_interrupt_ends_with_130(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_ctx: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.cli.configuration.settings_of", interrupted)

    assert bare("check-config", code=130).err == ""


def test_a_reader_that_goes_away_is_no_reason_for_words(cli: Cli) -> None:
    process = subprocess.Popen(
        [*command(cli.folder), "log"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()

    assert process.wait(120) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


def test_looking_imports_nothing_that_only_serving_needs(cli: Cli) -> None:
    heavy = {
        "fastapi",
        "uvicorn",
        "aiosmtpd",
        "aiosmtplib",
        "alembic",
        "dkim",
        "spf",
        "clamd",
        "jinja2",
        "structlog",
        "rich",
    }
    script = (
        "import sys\nfrom gateway.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print(*{m.split('.')[0] for m in sys.modules}, file=sys.stderr)\n"
    )
    arguments = ["--config", str(cli.folder / "gateway.toml"), "ticket", "list", "--account", "acme"]

    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=environment(), check=True
    )

    assert not heavy & set(done.stderr.split())


@pytest.fixture
def serving(cli: Cli) -> Iterator[subprocess.Popen[str]]:
    """`serve` on ports of its own; ready when the worker says so."""
    with (cli.folder / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [*command(cli.folder), "serve"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(),
            start_new_session=True,
        )
    _wait_for_ready(cli.folder / "serve.log", process)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    if process.stdout:
        process.stdout.close()


def _wait_for_ready(log: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while '"ready"' not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end
        time.sleep(0.05)


def test_serve_says_what_is_missing_refuses_a_second_and_ends_in_good_order(
    cli: Cli, serving: subprocess.Popen[str]
) -> None:
    second = cli.process("serve", code=1)
    assert f"process {serving.pid}" in second.err
    assert second.out == ""

    serving.send_signal(signal.SIGTERM)

    assert serving.wait(120) == 0
    assert serving.stdout
    said = serving.stdout.read()
    for words in ("SMTP on 127.0.0.1:", "HTTP on 127.0.0.1:", "NO VIRUS SCANNER", "Relay: smtp+starttls://***@"):
        assert words in said
