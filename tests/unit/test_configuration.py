"""What is said of a configuration that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.configuration import BadConfiguration, load


@pytest.mark.parametrize(
    "listeners",
    [
        '[smtp]\nlisten = ["127.0.0.1:2525"]\n[http]\nlisten = "127.0.0.1:2525"\n',
        '[smtp]\nlisten = ["127.0.0.1:2525", "127.0.0.1:2525"]\n',
    ],
)
def test_one_address_for_two_listeners_was_called_another_programs(tmp_path: Path, listeners: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(listeners)
    with pytest.raises(BadConfiguration, match=r"127\.0\.0\.1:2525 is named twice; each listener has its own port"):
        load(file, {})


def test_ports_of_the_systems_choice_are_never_one(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[smtp]\nlisten = ["127.0.0.1:0", "127.0.0.1:0"]\n[http]\nlisten = "127.0.0.1:0"\n')
    assert len(load(file, {}).smtp.listen) == 2
