"""The settings of scanners beside clamd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.configuration import BadConfiguration, load


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    return file


def test_without_them_there_are_none() -> None:
    settings = load(None, {})
    assert (settings.rspamd.url, settings.rspamd.timeout_seconds, settings.yara.rules) == ("", 5.0, ())


def test_rules_count_from_the_configuration_file_and_may_be_a_list_of_the_environment(tmp_path: Path) -> None:
    file = written(tmp_path, '[yara]\nrules = ["rules", "/etc/a.yar"]\n')
    assert load(file, {}).yara.rules == (tmp_path / "rules", Path("/etc/a.yar"))
    environment = {"GATEWAY_YARA__RULES": "one.yar, two.yar", "GATEWAY_YARA__TIMEOUT_SECONDS": "3"}
    settings = load(file, environment)
    assert settings.yara.rules == (tmp_path / "one.yar", tmp_path / "two.yar")
    assert settings.yara.timeout_seconds == 3


@pytest.mark.parametrize("url", ["http://127.0.0.1:11333", "https://filter.example", "http://[::1]:11333/"])
def test_an_rspamd_is_named_by_its_origin(url: str) -> None:
    assert load(None, {"GATEWAY_RSPAMD__URL": url}).rspamd.url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:11333",
        "ftp://filter.example",
        "http://",
        "http://a:99999",
        "http://a/checkv2",
        "http://u:p@a",
        "http://a?b",
    ],
)
def test_other_urls_say_what_to_write(url: str) -> None:
    with pytest.raises(BadConfiguration, match="write http://host:port"):
        load(None, {"GATEWAY_RSPAMD__URL": url})


def test_check_config_shows_no_password_of_rspamd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'clamav = {address = "off"}\n[rspamd]\nurl = "http://127.0.0.1:11333"\npassword = "sesame"\n'
    with pytest.raises(SystemExit) as ended:
        main(["--config", str(written(tmp_path, text)), "check-config", "--json"])
    said = capsys.readouterr().out
    assert not ended.value.code
    assert "sesame" not in said
    shown = json.loads(said)
    assert shown["settings"]["rspamd"]["password"] == "***"
    assert "Spam filter: rspamd at http://127.0.0.1:11333." in shown["says"]


@pytest.mark.parametrize("command", ["check-config", "serve"])
def test_a_bad_rule_stops_the_start_with_file_and_line(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yar").write_text("rule A {\n condition: nothing\n}")
    file = written(tmp_path, 'data_dir = "data"\n[yara]\nrules = ["bad.yar"]\n')
    with pytest.raises(SystemExit) as ended:
        main(["--config", str(file), command])
    assert ended.value.code == 1
    assert "bad.yar, line 2, column 13: unknown identifier `nothing`" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
