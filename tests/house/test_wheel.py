"""An installed wheel works the same: the templates travel inside it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.conftest import ROOT


def test_a_wheel_carries_templates_and_migrations_and_runs_from_anywhere(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT]
    subprocess.run([str(x) for x in build], check=True, capture_output=True)
    wheel = next(tmp_path.glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "gateway/templates/notifications/acknowledgement/en.j2" in names
    assert any(n.startswith("gateway/store/migrations/versions/0001") for n in names)
    unpacked = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(unpacked)
    script = (
        "import gateway, sys; from gateway.notify.folder import templates_folder;"
        "print(gateway.__file__); print(templates_folder())"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=unpacked,
        env={"PYTHONPATH": str(unpacked)},
    ).stdout.split()  # fmt: skip
    assert all(Path(f).is_relative_to(unpacked) for f in found)
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "db", "upgrade"], check=False, capture_output=True, text=True, cwd=unpacked,
        env={"PYTHONPATH": str(unpacked), "GATEWAY_DATA_DIR": str(tmp_path / "var")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
