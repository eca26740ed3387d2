"""Every process imports only what it serves with. What costs is the import: each of these was once in a place it is not in now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.ground import prepare
from tests.servers.inprocess import settings_for

DATABASE = frozenset({"sqlalchemy", "sqlmodel", "alembic", "psycopg"})
WEB = frozenset({"fastapi", "starlette", "uvicorn"})
LINE = frozenset({"aiosmtpd", "dkim", "spf", "dns", "clamd", "nh3", "ruamel", "email_validator", "structlog"})
OUTBOX = frozenset({"jinja2", "aiosmtplib"})
SHOW = frozenset({"rich", "pygments"})
ELSEWHERE = frozenset({"prometheus_client", "cryptography", "asyncio"})


def imported_by(statement: str, *arguments: str) -> set[str]:
    """The packages that a new process has imported when `statement` has run."""
    look = "import sys; print('packages:', *sorted({n.partition('.')[0] for n, m in sys.modules.items() if m}))"
    command = [sys.executable, "-c", f"{statement}\n{look}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("packages:")[2].split())


def run_of(*arguments: str) -> str:
    return f"import contextlib\nfrom gateway.cli.main import main\nwith contextlib.suppress(SystemExit): main({list(arguments)!r})"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gateway")
    prepare(settings_for(folder))
    file = folder / "gateway.toml"
    file.write_text('data_dir = "."\ndomain = "gw.test"\nhostname = "mx.gw.test"\nclamav = { address = "off" }\n')
    return file


def test_the_command_line_itself_needs_no_library_but_its_own() -> None:
    assert imported_by("import gateway.cli.app") & (DATABASE | WEB | LINE | OUTBOX | SHOW | ELSEWHERE) == set()


def test_a_command_on_the_store_needs_neither_the_line_nor_the_web(config: Path) -> None:
    found = imported_by(run_of("--config", str(config), "ticket", "list", "--account", "system"))
    assert "sqlalchemy" in found
    assert found & (WEB | LINE | OUTBOX | {"psycopg", "alembic"}) == set()


def test_serve_on_a_ready_database_opens_nothing(config: Path) -> None:
    """Up to the moment at which it becomes the supervisor."""
    become = "from gateway.supervisor import Supervisor\nSupervisor.claim = Supervisor.hand_over = lambda self: None\n"
    found = imported_by(become + run_of("--config", str(config), "serve"))
    assert found & (DATABASE | WEB | LINE | OUTBOX | SHOW | {"asyncio", "prometheus_client"}) == set()


def test_the_supervisor_needs_the_standard_library_alone() -> None:
    assert (
        imported_by("import gateway.supervisor.__main__") <= sys.stdlib_module_names | {"gateway", "__main__"} | site()
    )


def site() -> set[str]:
    """What comes with the interpreter, or with the way the package is installed."""
    return imported_by("pass")


def test_a_worker_begins_with_the_line() -> None:
    """Web and outbox come behind the first greeting, and only to a worker that has the role."""
    run = "import contextlib, runpy\nwith contextlib.suppress(KeyError): runpy.run_module('gateway.worker', run_name='__main__')"
    found = imported_by(run, "{}")  # handed nothing, it ends when all is imported
    assert "aiosmtpd" in found
    assert found & (WEB | OUTBOX | SHOW | {"psycopg", "alembic", "email_validator"}) == set()


def test_a_second_demo_serves_before_it_shows() -> None:
    assert imported_by("import gateway.demo") & (DATABASE | WEB | LINE | OUTBOX | SHOW) == set()
