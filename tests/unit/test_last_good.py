"""What a worker read last is there for the next one, whatever became of the files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.last_good import LastGood

CERT, KEY = Path("/etc/tls/cert.pem"), Path("/etc/tls/key.pem")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files without a name are Linux's")


@pytest.fixture
def shared() -> Iterator[int]:
    file = os.memfd_create("shared")
    yield file
    os.close(file)


def contents(paths: tuple[Path, ...] | None) -> list[bytes] | None:
    return None if paths is None else [path.read_bytes() for path in paths]


def test_what_one_keeps_another_reads_as_often_as_it_likes(shared: int) -> None:
    LastGood(shared).keep({CERT: b"certificate\xff", KEY: b"key" * 5000})
    LastGood(shared).keep({CERT: b"newer", KEY: b"key"})
    spares = LastGood(shared).spares((KEY, CERT))
    assert contents(spares) == contents(spares) == [b"key", b"newer"]


def test_what_was_kept_of_other_files_is_nobodys(shared: int) -> None:
    """A reload names a new file, which breaks at once: that is a bad configuration, and taken back as a whole."""
    LastGood(shared).keep({CERT: b"certificate", KEY: b"key"})
    assert LastGood(shared).spares((CERT, Path("/etc/tls/other.pem"))) is None
    assert LastGood(shared).spares((CERT,)) is None


@pytest.mark.parametrize("cut", [0, 1, 39, 60])
def test_what_a_killed_worker_left_half_written_is_nothing(shared: int, cut: int) -> None:
    LastGood(shared).keep({CERT: b"certificate", KEY: b"key"})
    os.ftruncate(shared, cut)
    assert LastGood(shared).spares((CERT, KEY)) is None


def test_without_a_file_nothing_is_kept() -> None:
    LastGood().keep({CERT: b"certificate"})
    assert LastGood().spares((CERT,)) is None
