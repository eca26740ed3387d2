from __future__ import annotations

from pathlib import Path

import pytest

import gateway
from gateway.core.errors import InvalidInput
from gateway.notify.folder import templates_folder


def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "gateway"
    folder.mkdir()
    monkeypatch.setattr(gateway, "__file__", str(folder / "__init__.py"))
    return folder


def test_an_installed_wheel_uses_the_templates_inside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = package(tmp_path, monkeypatch) / "templates"
    (inside / "notifications").mkdir(parents=True)
    (tmp_path / "templates" / "notifications").mkdir(parents=True)

    assert templates_folder() == inside


def test_the_repository_has_them_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, monkeypatch)
    (tmp_path / "templates" / "notifications").mkdir(parents=True)

    assert templates_folder() == tmp_path / "templates"


def test_without_templates_the_installation_is_called_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, monkeypatch)

    with pytest.raises(InvalidInput, match="install the gateway again"):
        templates_folder()
