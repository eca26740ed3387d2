"""Each supervisor's folder of figures: nobody takes that of a living one away, and none is left for ever."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.supervisor import figures
from gateway.supervisor.figures import FiguresFolder

MAIL, WEB = ("smtp", "outbox", "jobs"), ("web",)


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(figures, "_MEMORY", memory)
    return memory


@pytest.fixture
def living(tmp_path: Path) -> Iterator[FiguresFolder]:
    """Of the group that serves mail."""
    folder = FiguresFolder(tmp_path, MAIL)
    lock = folder.claim()
    assert folder.is_there()
    (folder.path / "counter_0.db").touch()
    yield folder
    os.close(lock)


def test_a_second_group_with_other_roles_leaves_the_first_ones_alone(tmp_path: Path, living: FiguresFolder) -> None:
    """It removed them, and no worker of the first could start again."""
    second = FiguresFolder(tmp_path, WEB)
    os.close(second.claim())
    assert second.is_there()
    assert second.path != living.path
    assert (living.path / "counter_0.db").exists()


@pytest.mark.parametrize("roles", [MAIL, WEB, ("smtp",)])
def test_what_a_killed_group_left_is_removed_by_the_next_of_any_roles(
    tmp_path: Path, memory: Path, roles: tuple[str, ...]
) -> None:
    killed = FiguresFolder(tmp_path, MAIL)
    lock = killed.claim()
    assert killed.is_there()
    os.close(lock)  # as the kernel does
    os.close(FiguresFolder(tmp_path, roles).claim())
    assert not killed.path.is_symlink()
    assert list(memory.iterdir()) == []


def test_a_folder_that_others_removed_is_made_again(living: FiguresFolder, memory: Path) -> None:
    """logind does it, to whom logs out (RemoveIPC=)."""
    shutil.rmtree(living.path.resolve())
    assert not living.path.exists()
    assert living.is_there()
    assert living.path.resolve().parent == memory


def test_without_memory_it_lies_on_the_disk_and_goes_too(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "_MEMORY", memory / "none")
    folder = FiguresFolder(tmp_path, MAIL)
    os.close(folder.claim())
    assert folder.is_there()
    assert not folder.path.is_symlink()
    folder.remove()
    assert not folder.path.exists()


def test_where_it_cannot_be_made_workers_are_told_so(tmp_path: Path) -> None:
    folder = FiguresFolder(tmp_path, MAIL)
    os.close(folder.claim())
    shutil.rmtree(tmp_path / "metrics")
    (tmp_path / "metrics").touch()  # in the way, for root too
    assert not folder.is_there()


def test_the_layout_of_an_earlier_release_is_left_behind(tmp_path: Path, memory: Path) -> None:
    (memory / "gateway-metrics-abc").mkdir()
    (tmp_path / "metrics").symlink_to(memory / "gateway-metrics-abc")
    folder = FiguresFolder(tmp_path, MAIL)
    os.close(folder.claim())
    assert folder.is_there()
    assert not (memory / "gateway-metrics-abc").exists()
    shutil.rmtree(tmp_path / "metrics")

    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "counter_17.db").touch()
    os.close(folder.claim())
    assert [p.name for p in (tmp_path / "metrics").iterdir()] == ["jobs-outbox-smtp.lock"]


def test_the_gauges_of_a_slot_end_with_its_worker(living: FiguresFolder) -> None:
    for name in ("counter_1.db", "gauge_livesum_1.db", "gauge_livemax_1.db", "gauge_livesum_11.db"):
        (living.path / name).touch()
    living.forget_gauges(1)
    assert sorted(p.name for p in living.path.iterdir()) == ["counter_0.db", "counter_1.db", "gauge_livesum_11.db"]
