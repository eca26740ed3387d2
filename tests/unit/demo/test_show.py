"""The demo's folder: begun anew whatever an earlier demo left, and left alone where a demo cannot begin."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.core.errors import InvalidInput
from gateway.demo import show
from gateway.settings import HttpSettings, Settings, SmtpSettings
from gateway.supervisor import RoleLocks

ANYWHERE = Settings(
    hostname="mx.gw.test",
    domain="gw.test",
    smtp=SmtpSettings(listen=("127.0.0.1:0",)),
    http=HttpSettings(listen="127.0.0.1:0"),
)


def test_a_fresh_demo_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "demo", tmp_path / "figures"
    assert show._claim_folder(ANYWHERE, folder, fresh=False)
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (folder / "metrics").symlink_to(elsewhere)
    (folder / "outgoing").mkdir()
    (folder / "outgoing" / "a.eml").touch()
    (folder / show.SET_UP).touch()
    assert not show._claim_folder(ANYWHERE, folder, fresh=False)
    assert show._claim_folder(ANYWHERE, folder, fresh=True)
    assert not (folder / show.SET_UP).exists()
    assert not (folder / "outgoing").exists()
    assert not (folder / "metrics").is_symlink()
    assert (elsewhere / "kept").exists()
    assert (folder / "zone.txt").exists()


def test_a_demo_that_runs_is_named_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    show._claim_folder(ANYWHERE, folder, fresh=True)
    (folder / show.SET_UP).touch()
    running = RoleLocks(folder)
    running.take(show.ROLES)
    with pytest.raises(InvalidInput, match="runs already"):
        show._claim_folder(ANYWHERE, folder, fresh=True)
    running.release()
    assert (folder / show.SET_UP).exists()


@pytest.mark.parametrize("option", ["--smtp", "--http"])
def test_a_fresh_demo_kept_from_its_port_names_the_option_and_had_deleted_everything(
    tmp_path: Path, option: str
) -> None:
    folder = tmp_path / "demo"
    show._claim_folder(ANYWHERE, folder, fresh=True)
    (folder / show.SET_UP).touch()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = {option.removeprefix("--"): other.getsockname()[1]}
        settings = show._at_ports(ANYWHERE, taken.get("smtp"), taken.get("http"))
        with pytest.raises(InvalidInput, match=f"or choose another port with {option} PORT"):
            show._claim_folder(settings, folder, fresh=True)
    assert (folder / show.SET_UP).exists()
    assert show._claim_folder(settings, folder, fresh=True)  # the locks were given back, and the port is free


def test_the_demo_could_not_be_told_other_ports() -> None:
    moved = show._at_ports(ANYWHERE, 2526, 8081)
    assert (moved.smtp.listen, moved.http.listen) == (("127.0.0.1:2526",), "127.0.0.1:8081")
    assert show._at_ports(ANYWHERE, None, None) == ANYWHERE


def test_one_port_for_smtp_and_http_was_taken_for_another_program(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="SMTP and HTTP cannot both be at port 24591"):
        show.run(ANYWHERE.model_copy(update={"data_dir": tmp_path}), smtp=24591, http=24591)

    assert not (tmp_path / "demo").exists()
