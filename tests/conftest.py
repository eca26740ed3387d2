"""What all tests share: where the corpora lie, and what the interpreter need not look at for garbage."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from tests.servers.clamd import clamd  # noqa: F401 - a fixture
from tests.servers.postgres import postgres  # noqa: F401 - a fixture

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_finish() -> None:
    """Ten thousand collected tests stay to the end: each full look at them for garbage took longer than most tests do."""
    gc.collect()
    gc.freeze()


def missing(what: str) -> None:
    """Skip by name on a person's machine; with CI=true a missing server or corpus is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing in CI: {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real messages and test suites that nobody in the project wrote."""
    path = Path(os.environ.get("GATEWAY_CORPORA") or ROOT.parent / "shared" / "corpora")
    if not path.is_dir():
        missing("the corpora: set GATEWAY_CORPORA to their folder")
    return path
