"""Content that ended workers is known again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store.begun import BegunMarks, forget_all

ONE, TWO = "1" * 64, "2" * 64


def marks(folder: Path, pid: int) -> BegunMarks:
    made = BegunMarks(folder, pid)
    made.start()
    return made


def test_content_in_hand_at_two_deaths_is_parked_the_third_time(tmp_path: Path) -> None:
    for pid in (1, 2):
        worker = marks(tmp_path, pid)
        assert not worker.ended_processes(ONE)
        worker.mark(ONE)
        worker.mark(TWO)
        worker.clear(TWO)
        assert BegunMarks(tmp_path, pid).count_death() == 1
        assert BegunMarks(tmp_path, pid).count_death() == 0
    assert marks(tmp_path, 3).ended_processes(ONE)
    assert not marks(tmp_path, 3).ended_processes(TWO)


def test_after_a_re_run_that_went_well_it_is_acquitted(tmp_path: Path) -> None:
    for pid in (1, 2):
        worker = marks(tmp_path, pid)
        worker.mark(ONE)
        worker.count_death()
    worker = marks(tmp_path, 3)
    worker.acquit(ONE)
    worker.acquit(ONE)
    assert not worker.ended_processes(ONE)


KILLED = """
import os, pathlib, signal, sys
from gateway.store.begun import BegunMarks
worker = BegunMarks(pathlib.Path(sys.argv[1]), 1)
worker.start()
worker.mark("1" * 64)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_group_that_was_killed_as_a_whole_accuses_nobody(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert (tmp_path / "begun" / "1").exists()
    forget_all(tmp_path)
    assert BegunMarks(tmp_path, 1).count_death() == 0
    forget_all(tmp_path)


def test_the_start_of_another_group_forgets_nothing_of_a_worker_that_lives(tmp_path: Path) -> None:
    """`serve --role web` beside `serve --role smtp,outbox,jobs`."""
    worker = marks(tmp_path, 1)
    worker.mark(ONE)
    forget_all(tmp_path)
    assert BegunMarks(tmp_path, 1).count_death() == 1


def test_without_a_start_nothing_is_marked(tmp_path: Path) -> None:
    worker = BegunMarks(tmp_path, 1)  # not started: its folder is missing
    worker.mark(ONE)
    worker.clear(ONE)
    assert not worker.ended_processes(ONE)


def test_the_same_content_in_hand_twice_has_two_marks(tmp_path: Path) -> None:
    worker = marks(tmp_path, 1)
    worker.mark(ONE)
    worker.mark(ONE)
    worker.clear(ONE)
    assert BegunMarks(tmp_path, 1).count_death() == 1


def test_every_mark_is_found_and_none_is_made_of_two_halves(tmp_path: Path) -> None:
    worker = marks(tmp_path, 1)
    every = [f"{n:064x}" for n in range(5000)]  # more than there are slots
    for sha256 in every:
        worker.mark(sha256)
    for sha256 in every[::2]:
        worker.clear(sha256)
    worker.mark(TWO)
    assert BegunMarks(tmp_path, 1).count_death() == 2049
    assert {p.name for p in (tmp_path / "suspects").iterdir()} == {TWO, *every[1:4096:2]}


def test_a_worker_that_ended_well_leaves_nothing(tmp_path: Path) -> None:
    worker = marks(tmp_path, 1)
    worker.mark(ONE)
    worker.end()
    worker.mark(TWO)
    assert BegunMarks(tmp_path, 1).count_death() == 0


def test_a_death_that_the_disk_does_not_take_is_counted_later_and_once(tmp_path: Path) -> None:
    """ENOSPC and EROFS, here in the way of one of two files."""
    worker = marks(tmp_path, 1)
    for sha256 in (ONE, TWO):
        worker.mark(sha256)
    in_the_way = tmp_path / "suspects" / ONE
    in_the_way.mkdir()
    with pytest.raises(IsADirectoryError):
        BegunMarks(tmp_path, 1).count_death()
    in_the_way.rmdir()
    assert BegunMarks(tmp_path, 1).count_death() == 1
    assert {p.name: p.stat().st_size for p in (tmp_path / "suspects").iterdir()} == {ONE: 1, TWO: 1}


def test_without_the_folder_of_suspects_a_death_is_counted_all_the_same(tmp_path: Path) -> None:
    worker = marks(tmp_path, 1)
    worker.mark(ONE)
    (tmp_path / "suspects").rmdir()
    assert BegunMarks(tmp_path, 1).count_death() == 1


def test_who_has_the_same_number_in_another_container_leaves_the_marks_of_the_first_alone(tmp_path: Path) -> None:
    first = marks(tmp_path, 7)
    first.mark(ONE)
    second = marks(tmp_path, 7)
    second.mark(TWO)
    second.end()
    assert BegunMarks(tmp_path, 7).count_death() == 1
