"""A file that an admin let go stays so when its message goes the line again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.audit import audit
from gateway.commands.open_message import open_message
from gateway.commands.release import release
from gateway.commands.reprocess import reprocess
from gateway.core.clock import now
from gateway.core.errors import InvalidInput
from gateway.core.reports import Finding
from gateway.store import changes
from gateway.store.late_scans import mark_infected
from gateway.store.releasing import release_file
from tests.scenarios.test_rescan import fates, mailed, message, with_files
from tests.servers.clamd import ClamdServer
from tests.servers.inprocess import Gateway, fresh_ground, running

IGNORED = "rules: [{name: i, if: {subject: {contains: Pump}}, then: [ignore]}]"
HOLDS = "attachments: {deny: [pdf], violation: hold}"
FILES = (b"%PDF-1.4 one", b"%PDF-1.4 two")


@pytest.fixture
async def gateway(seed: Path, tmp_path: Path, clamd: ClamdServer) -> AsyncIterator[Gateway]:
    ground = fresh_ground(seed, tmp_path / "data", GATEWAY_CLAMAV__ADDRESS=clamd.address)
    async with running(ground) as gateway:
        yield gateway


def publish(gateway: Gateway, *lines: str) -> None:
    changes.publish_policy(gateway.ground.store, gateway.account_id(), "\n".join(lines))
    gateway.line.directory.refresh()


async def released(gateway: Gateway) -> dict[str, Any]:
    """An ignored message with two held files, of which the first was let go."""
    publish(gateway, HOLDS, IGNORED)
    kept = await mailed(gateway, with_files(1, *FILES))
    assert (kept["disposition"], fates(kept)) == ("ignored", [("held", "pdf"), ("held", "pdf")])
    release_file(gateway.ground.store, gateway.account_id(), kept["id"], kept["attachments"][0]["n"], by="ann")
    return message(gateway, kept["id"])


async def test_a_release_survives_that_its_ignored_message_is_opened(gateway: Gateway) -> None:
    before = await released(gateway)
    await open_message(gateway.line, gateway.account_id(), before["id"])
    after = message(gateway, before["id"])
    assert (after["disposition"], fates(after)) == ("ticketed", [("kept", ""), ("held", "pdf")])
    assert after["attachments"][0]["released"] == before["attachments"][0]["released"]
    assert after["attachments"][1]["released"] is None
    assert audit(gateway.ground.store, gateway.ground.blobs).problems == []


@pytest.mark.parametrize("stricter", [HOLDS, "attachments: {deny: [pdf], violation: strip}"])
async def test_a_release_survives_a_reprocess_under_another_policy(gateway: Gateway, stricter: str) -> None:
    before = await released(gateway)
    publish(gateway, stricter)
    (change,) = await reprocess(gateway.line, gateway.account_id(), now() - timedelta(hours=1))
    after = message(gateway, before["id"])
    assert (change.done, after["disposition"], fates(after)[0]) == (True, "ticketed", ("kept", ""))
    assert after["attachments"][0]["released"]["by"] == "ann"
    assert fates(after)[1][0] != "kept"


@pytest.mark.parametrize("command", [release, open_message])
async def test_what_a_scan_finds_while_a_message_is_let_go_keeps_it(
    gateway: Gateway, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit wrote the facts of before over those of the scan: an infected message became a ticket, and told of it."""
    rule = {release: "quarantine", open_message: "ignore"}[command]
    publish(gateway, f"rules: [{{name: r, if: {{subject: {{contains: Pump}}}}, then: [{rule}]}}]")
    kept = await mailed(gateway, with_files(1, *FILES))
    store, account, n = gateway.ground.store, gateway.account_id(), kept["attachments"][0]["n"]
    again = gateway.line.intake.again

    async def found_meanwhile(*of: Any) -> Any:
        mark_infected(store, account, kept["id"], [Finding("clamav", "Late.Virus", str(n))], now(), by="test")
        return await again(*of)

    monkeypatch.setattr(gateway.line.intake, "again", found_meanwhile)
    with pytest.raises(InvalidInput, match="a scan found something in it"):
        await command(gateway.line, account, kept["id"])
    after = message(gateway, kept["id"])
    assert (after["disposition"], after["scan"]["status"]) == (kept["disposition"], "infected")
    assert after["ticket"] is None
    assert audit(store, gateway.ground.blobs).problems == []


async def test_a_scan_that_found_something_since_ends_a_release(gateway: Gateway) -> None:
    before = await released(gateway)
    store, account, n = gateway.ground.store, gateway.account_id(), before["attachments"][0]["n"]
    mark_infected(store, account, before["id"], [Finding("clamav", "Late.Virus", str(n))], now(), by="test")
    publish(gateway, HOLDS)
    with pytest.raises(InvalidInput, match="infected"):
        await open_message(gateway.line, account, before["id"])
    await reprocess(gateway.line, account, now() - timedelta(hours=1))
    assert "kept" not in [fate for fate, _ in fates(message(gateway, before["id"]))]
