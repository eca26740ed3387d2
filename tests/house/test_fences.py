"""What the whole tree must keep to."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from importlinter.cli import lint_imports
from sqlmodel import SQLModel

import gateway
import gateway.store.tables
from gateway.store import migrations
from gateway.store.engine import Store

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(gateway.__file__).parent

LOOPS = {
    "duties.py": 1,  # a watcher's round: what watches outlives what it sees
    "intake.py": 1,  # the line: whatever breaks on a message parks it
    "endings.py": 1,  # and where parking breaks too, 451
    "smtp/session.py": 1,  # a command: a bug is 451, never told
    "store/committer.py": 2,  # the thread outlives any member of a group; where it dies all the same, the process does too
    "jobs/runner.py": 1,  # a round, and each job: one bad job stops no other
    "outbox/worker.py": 2,  # the round, and one row: a bad row stops nobody's mail
    "outbox/preparing.py": 1,  # one row of a batch that is rendered together
    "outbox/record.py": 1,  # one row of a batch that is recorded together
    "supervisor/guard.py": 1,  # a step of the supervisor's round: no fault of one slot ends the group
}
"""One a loop; each records and goes on. A broad except anywhere else hides a bug."""

GUARDS = {
    "cli/main.py": 1,  # `receive`: any exit code but 75 makes the mail server bounce
    "policy/trial.py": 1,  # a candidate in the shadow: live mail goes on, whatever a draft does
    "scan/filetypes/compound.py": 1,  # olefile on made-up files
    "scan/inside/walk.py": 1,  # a reader's bug on one container; the rest of the message's is still looked at
    "scan/runner.py": 1,  # a scanner's bug is unscanned, neither clean nor parked
    "verify/checks/dkim.py": 1,  # dkimpy on one hostile signature
    "verify/spf.py": 1,  # pyspf on hostile records
}
"""Around code that raises anything on hostile input, where the guard is the point."""


def broad_excepts(path: Path) -> int:
    """Handlers that catch everything and do not raise it again."""
    tree = ast.parse(path.read_text())
    found = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            names = {k.id if isinstance(k, ast.Name) else None for k in kinds}
            ends_raised = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            found += bool(names & {"Exception", "BaseException"} or node.type is None) and not ends_raised
    return found


def test_broad_excepts_are_those_of_the_loops_and_guards() -> None:
    found = Counter({str(p.relative_to(PACKAGE)): broad_excepts(p) for p in PACKAGE.rglob("*.py")})
    assert dict(+found) == LOOPS | GUARDS


def test_no_process_of_ours_takes_modules_from_where_it_was_started() -> None:
    """An admin stood in a folder with a json.py: `serve` ran it, as the gateway's user."""
    calls = [line for p in PACKAGE.rglob("*.py") for line in p.read_text().splitlines() if "sys.executable, " in line]
    assert len(calls) >= 6
    assert [line for line in calls if '[sys.executable, "-P", "-m", ' not in line] == []


@pytest.mark.parametrize("lock", sorted(p.name for p in ROOT.glob("requirements*.txt")))
def test_locks_name_no_host_and_every_package_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    packages = [p for p in re.split(r"\n(?=[A-Za-z0-9])", text) if "==" in p]
    assert len(packages) > 10
    assert [p for p in packages if "--hash=sha256:" not in p] == []


def test_rooms_import_only_what_lies_below_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0


def test_head_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


def test_the_migrated_schema_is_the_one_the_tables_say(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'gateway.db'}", tmp_path)
    assert migrations.current(store) is None
    assert migrations.upgrade(store)
    assert not migrations.upgrade(store)
    assert migrations.current(store) == migrations.HEAD
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    store.close()
