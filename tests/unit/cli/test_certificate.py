"""What `check-config` and `serve` say of the certificate of STARTTLS, before anything is opened."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.servers.certificates import Authority
from tests.unit.cli.conftest import CONFIG, Cli


def configure(cli: Cli, cert: str = "tls/fullchain.pem", key: str = "tls/privkey.pem") -> None:
    tls = f'[smtp]\ntls_cert = "{cert}"\ntls_key = "{key}"'
    cli.write("gateway.toml", CONFIG.replace("[smtp]", tls))


def issue(folder: Path, **options: Any) -> None:
    Authority().issue("mx.gw.test", **options).write(folder)


def test_a_certificate_is_told_with_its_end(bare: Cli) -> None:
    issue(bare.folder / "tls")
    configure(bare)

    assert f"STARTTLS with {bare.folder}/tls/fullchain.pem, valid until 2" in bare("check-config").out.replace("\n", "")
    assert any(line.startswith("STARTTLS with ") for line in bare("check-config", "--json").json["says"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ends": timedelta(days=20)}, "19 days left; renew it"),
        ({"ends": timedelta(days=-1)}, "expired since"),
        ({"starts": timedelta(days=1)}, "not valid before"),
    ],
)
def test_dates_that_matter_are_told_loudly_and_stop_nothing(bare: Cli, options: Any, words: str) -> None:
    issue(bare.folder / "tls", **options)
    configure(bare)

    says = bare("check-config", "--json").json["says"]

    (line,) = [s for s in says if s.startswith("CERTIFICATE: ")]
    assert words in line


@pytest.mark.parametrize("arguments", [["check-config"], ["check-config", "--json"], ["serve"]])
def test_a_pair_that_cannot_serve_stops_the_start_with_the_cure(bare: Cli, arguments: list[str]) -> None:
    issue(bare.folder / "tls")
    issue(bare.folder / "other")
    configure(bare, key="other/privkey.pem")

    done = bare(*arguments, code=1)

    assert done.err.startswith(f"gateway: smtp.tls_key: {bare.folder}/other/privkey.pem is not the key of ")
    assert done.out == ""
    assert not (bare.folder / "var").exists(), "nothing is left half open"


def test_a_missing_file_stops_the_start(bare: Cli) -> None:
    issue(bare.folder / "tls")
    configure(bare, cert="nowhere.pem")

    assert f"smtp.tls_cert: there is no file {bare.folder}/nowhere.pem" in bare("serve", code=1).err


def test_a_role_without_mail_needs_no_certificate(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.cli.serve import announce
    from gateway.configuration import load

    configure(bare)
    settings = load(bare.folder / "gateway.toml", {})

    assert not [line for line in announce(settings, ("outbox", "web")) if "CERT" in line or "STARTTLS" in line]
