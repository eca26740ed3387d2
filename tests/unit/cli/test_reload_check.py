"""What `serve` asks at SIGHUP: whether a worker could serve with the file as it is now, on the data that stays."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import typer

from gateway.cli.desk import Invocation
from gateway.cli.serve import _check_command
from gateway.configuration import load
from tests.unit.cli.conftest import Cli, Done


@pytest.fixture
def running(cli: Cli) -> str:
    """What the supervisor hands to the check."""
    return load(cli.folder / "gateway.toml", {}).model_dump_json()


def check(cli: Cli, running: str, code: int = 0) -> Done:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(running.encode())))
        return cli("check-config", "--for-serve", "smtp", "--running", "--filled", code=code)


def test_a_good_file_is_taken(cli: Cli, running: str) -> None:
    assert check(cli, running).json["settings"] == json.loads(running)


@pytest.mark.parametrize("text", ["", "# being written\n"])
def test_a_file_emptied_by_an_editor_was_taken_for_all_defaults(cli: Cli, running: str, text: str) -> None:
    """Every mail was then refused for good: "relaying denied"."""
    cli.write("gateway.toml", text)
    assert "gateway.toml: sets nothing any more" in check(cli, running, code=1).err


def test_a_file_half_written_took_the_domain_away(cli: Cli, running: str) -> None:
    cli.write("gateway.toml", 'hostname = "mx.gw.test"\n')
    assert "domain: gw.test is not set any more" in check(cli, running, code=1).err


@pytest.mark.parametrize("content", [None, ""])
def test_a_secret_that_was_away_at_a_reload_ended_the_only_worker(cli: Cli, running: str, content: str | None) -> None:
    key = cli.folder / "var" / "secret.key"
    key.unlink() if content is None else key.write_text(content)
    assert str(key) in check(cli, running, code=1).err


def test_a_database_that_is_away_is_no_ground_for_a_new_worker_and_none_is_made(cli: Cli, running: str) -> None:
    database = cli.folder / "var" / "gateway.db"
    database.rename(cli.folder / "elsewhere.db")
    assert f"{database} is not there" in check(cli, running, code=1).err
    assert not database.exists()


def test_what_only_a_restart_changes_is_not_looked_for_where_the_new_file_says(cli: Cli, running: str) -> None:
    file = cli.folder / "gateway.toml"
    file.write_text(file.read_text().replace('data_dir = "var"', 'data_dir = "new"'))
    assert check(cli, running).json["settings"]["data_dir"] == str(cli.folder / "new")
    assert not (cli.folder / "new").exists()


def test_a_file_found_in_the_working_folder_was_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an editor had moved it away, a reload took the defaults, and every mail was refused."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    ctx = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None)), obj=Invocation())

    assert "--config" not in _check_command(ctx, ("smtp",))
    (tmp_path / "gateway.toml").write_text("")
    assert _check_command(ctx, ("smtp",))[4:6] == ["--config", "gateway.toml"]
    assert "--filled" not in _check_command(ctx, ("smtp",))
    (tmp_path / "gateway.toml").write_text('domain = "gw.test"\n')
    assert "--filled" in _check_command(ctx, ("smtp",))
