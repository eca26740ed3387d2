"""The demo's folder: begun anew whatever an earlier demo left."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import InvalidInput
from gateway.demo import show
from gateway.supervisor import RoleLocks


def test_a_fresh_demo_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "demo", tmp_path / "figures"
    show._make_folder(folder)
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (folder / "metrics").symlink_to(elsewhere)
    (folder / "outgoing").mkdir()
    (folder / "outgoing" / "a.eml").touch()
    (folder / show.SET_UP).touch()
    show._make_folder(folder)
    assert not (folder / show.SET_UP).exists()
    assert not (folder / "outgoing").exists()
    assert not (folder / "metrics").is_symlink()
    assert (elsewhere / "kept").exists()
    assert (folder / "zone.txt").exists()


def test_a_demo_that_runs_is_named_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    show._make_folder(folder)
    (folder / show.SET_UP).touch()
    running = RoleLocks(folder)
    running.take(show.ROLES)
    with pytest.raises(InvalidInput, match="runs already"):
        show._make_folder(folder)
    running.release()
    assert (folder / show.SET_UP).exists()
