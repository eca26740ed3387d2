"""What a reload takes from a new configuration, and what it cannot."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from gateway.configuration import load
from gateway.settings import Settings
from gateway.supervisor.reload import FIXED, taken


def checked(**environment: str) -> bytes:
    settings = load(None, {f"GATEWAY_{k.upper()}": v for k, v in environment.items()})
    return json.dumps({"settings": settings.model_dump(mode="json")}).encode()


CURRENT = load(None, {}).model_dump_json().encode()


def test_what_can_change_changes() -> None:
    verdict = taken(checked(hostname="new.example", smtp__max_connections="7"), CURRENT)

    assert verdict.kept == ()
    assert verdict.configuration
    new = Settings.model_validate_json(verdict.configuration)
    assert (new.hostname, new.smtp.max_connections) == ("new.example", 7)


def test_a_configuration_that_is_the_same_is_the_same_octets() -> None:
    """A worker that could not start for its surroundings was taken for a proof that the unchanged file was bad."""
    assert taken(checked(), CURRENT).configuration == CURRENT


def test_what_needs_a_restart_is_named_and_stays() -> None:
    verdict = taken(checked(smtp__listen="127.0.0.1:26", data_dir="elsewhere", hostname="new.example"), CURRENT)

    assert verdict.kept == ("data_dir", "database_url", "blob_url", "smtp.listen")
    assert verdict.configuration
    new, old = Settings.model_validate_json(verdict.configuration), Settings.model_validate_json(CURRENT)
    assert (new.smtp.listen, new.data_dir, new.database_url) == (old.smtp.listen, old.data_dir, old.database_url)
    assert new.hostname == "new.example"


def test_every_key_that_stays_is_a_setting() -> None:
    for key in FIXED:
        section, _, name = key.rpartition(".")
        model = Settings.model_fields[section].annotation if section else Settings
        assert model
        assert name in model.model_fields


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"settings": {"smtp": 1}}', b'{"settings": null}'])
def test_a_check_that_says_nonsense_changes_nothing(said: bytes) -> None:
    verdict = taken(said, CURRENT)
    assert verdict.configuration is None
    assert "cannot be read" in verdict.reason


def test_settings_survive_the_way_to_the_worker() -> None:
    settings = load(
        None,
        {
            "GATEWAY_SMTP__LISTEN": "[::1]:2525,lmtp:unix:run/mail.sock",
            "GATEWAY_SMTP__TLS_CERT": "cert.pem",
            "GATEWAY_SMTP__TLS_KEY": "key.pem",
            "GATEWAY_RELAY__URL": "smtp://u:p%40ss@relay.example",
            "GATEWAY_DNS__NAMESERVERS": "::1,127.0.0.1",
        },
    )
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_the_supervisor_needs_the_standard_library_only() -> None:
    script = "import sys, gateway.supervisor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    heavy = {"aiosmtpd", "asyncio", "pydantic", "sqlalchemy", "structlog", "prometheus_client", "cryptography"}
    assert heavy.isdisjoint(name.partition(".")[0] for name in loaded)
