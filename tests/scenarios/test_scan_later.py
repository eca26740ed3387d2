"""Mail that was taken while the scanner was away is scanned when it is back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import app
from gateway.commands import late_scan
from gateway.commands.audit import audit
from gateway.core.clock import now
from gateway.jobs.job import Turn
from gateway.jobs.tasks.scan_later import JOB
from gateway.settings import YaraSettings
from gateway.store import changes, files, message_reading, ticket_reading
from gateway.store.files import Withheld
from tests.scenarios.test_rescan import HARMLESS, fates, mailed, message, tags, told, with_files
from tests.servers.clamd import MARKER, ClamdServer
from tests.servers.fake_clamd import FakeClamd, answer
from tests.servers.inprocess import Gateway, fresh_ground, running

HOLD = "virus: {scanner_down: hold}"
QUARANTINE = "virus: {scanner_down: quarantine}"
ACCEPT = "virus: {scanner_down: accept}"


@pytest.fixture
async def gateway(seed: Path, tmp_path: Path) -> AsyncIterator[Gateway]:
    """With a scanner of its own, that is down."""
    server = ClamdServer()
    ground = fresh_ground(seed, tmp_path / "data", GATEWAY_CLAMAV__ADDRESS=server.address)
    async with running(ground) as gateway:
        gateway.clamd = server  # type: ignore[attr-defined]
        yield gateway
    server.remove()


def clamd(gateway: Gateway) -> ClamdServer:
    return gateway.clamd  # type: ignore[attr-defined,no-any-return]


def publish(gateway: Gateway, text: str) -> None:
    changes.publish_policy(gateway.ground.store, gateway.account_id(), text)
    gateway.line.directory.refresh()


class _Turn(Turn):
    """Of no job row."""

    async def keep(self, state: dict[str, Any]) -> None:
        self.state = state


async def one_run(gateway: Gateway, state: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
    bench = app.bench_of(gateway.line)
    turn = _Turn(now(), state or {}, JOB.name, "test", gateway.ground.store, gateway.line.store_pool)
    return await JOB.run(bench, turn), turn.state


def rescans(gateway: Gateway, trace: str) -> list[tuple[str, str]]:
    return [(e["outcome"], e["reason"]) for e in gateway.trace(trace)["events"] if e["stage"] == "rescan"]


async def test_what_waited_is_scanned_and_its_files_are_kept(gateway: Gateway) -> None:
    publish(gateway, HOLD)
    kept = await mailed(gateway, with_files(1, HARMLESS))
    assert fates(kept) == [("held", "not scanned yet (down)")]
    assert (await one_run(gateway))[0] == ""
    assert fates(message(gateway, kept["id"])) == [("held", "not scanned yet (down)")]

    clamd(gateway).start()
    said, _ = await one_run(gateway)

    assert said == "1 messages that had waited for the scanner are scanned, 0 of them infected"
    after = message(gateway, kept["id"])
    assert (fates(after), after["scan"]["status"]) == ([("kept", "")], "clean")
    assert rescans(gateway, kept["trace"]) == [("clean", "")]
    assert (await one_run(gateway))[0] == ""
    assert audit(gateway.ground.store, gateway.ground.blobs).problems == []


async def test_what_the_policy_holds_for_another_reason_stays_held(gateway: Gateway) -> None:
    publish(gateway, HOLD + "\nattachments: {deny: [pdf], violation: hold}")
    kept = await mailed(gateway, with_files(1, HARMLESS))
    clamd(gateway).start()
    await one_run(gateway)
    assert fates(message(gateway, kept["id"])) == [("held", "pdf")]


async def test_the_policy_that_decided_then_judges_now(gateway: Gateway) -> None:
    publish(gateway, HOLD)
    kept = await mailed(gateway, with_files(1, HARMLESS))
    publish(gateway, "attachments: {deny: [pdf]}")
    clamd(gateway).start()
    await one_run(gateway)
    assert fates(message(gateway, kept["id"])) == [("kept", "")]


async def test_a_virus_in_what_waited_holds_the_file_and_is_told(gateway: Gateway) -> None:
    publish(gateway, ACCEPT)
    kept = await mailed(gateway, with_files(1, MARKER))
    assert [f for f, _ in fates(kept)] == ["kept"]
    clamd(gateway).start()

    said, _ = await one_run(gateway)

    assert said.endswith("1 of them infected")
    after = message(gateway, kept["id"])
    assert after["scan"]["status"] == "infected"
    assert fates(after) == [("held", "a virus was found later: Gateway.Test.Marker.UNOFFICIAL")]
    assert tags(gateway, kept["ticket"]) == ["infected-file"]
    assert told(gateway) == ["ann@acme.test", "bob@acme.test"]
    assert rescans(gateway, kept["trace"]) == [("infected", "Gateway.Test.Marker.UNOFFICIAL")]


async def test_a_virus_in_the_text_of_what_waited_is_shown_no_more(gateway: Gateway) -> None:
    """It was a ticket by then, and every door went on to give the text out; the raw message was open before any scan."""
    publish(gateway, HOLD)
    kept = await mailed(gateway, with_files(1).replace(b"See the files.", MARKER))
    store, blobs, account = gateway.ground.store, gateway.ground.blobs, gateway.account_id()
    with pytest.raises(Withheld, match="not scanned yet"):
        files.raw_message(store, blobs, account, kept["id"], admin=False)
    clamd(gateway).start()

    await one_run(gateway)

    after = message(gateway, kept["id"])
    assert (after["scan"]["status"], after["text"], after["text_new"]) == ("infected", "", "")
    everything = json.dumps(
        [message_reading.messages(store, account), ticket_reading.ticket(store, account, kept["ticket"], blobs)]
    )
    assert MARKER.decode() not in everything
    with pytest.raises(Withheld, match="infected"):
        files.raw_message(store, blobs, account, kept["id"], admin=True)


async def test_the_text_beside_a_file_that_is_found_infected_is_shown_on(gateway: Gateway) -> None:
    publish(gateway, HOLD)
    kept = await mailed(gateway, with_files(1, MARKER))
    clamd(gateway).start()
    await one_run(gateway)
    assert message(gateway, kept["id"])["text"].startswith("See the files.")


async def test_quarantine_for_want_of_a_scanner_ends_with_the_scan(gateway: Gateway) -> None:
    publish(gateway, QUARANTINE)
    kept = await mailed(gateway, with_files(1, HARMLESS))
    bad = await mailed(gateway, with_files(2, MARKER))
    assert (kept["disposition"], kept["reason"]) == ("quarantined", "scanner-down")
    clamd(gateway).start()

    await one_run(gateway)

    after = message(gateway, kept["id"])
    assert (after["disposition"], after["scan"]["status"], fates(after)) == ("ticketed", "clean", [("kept", "")])
    infected = message(gateway, bad["id"])
    assert (infected["disposition"], infected["reason"]) == ("quarantined", "virus")
    assert (await one_run(gateway))[0] == ""
    assert audit(gateway.ground.store, gateway.ground.blobs).problems == []


async def test_other_quarantine_than_the_scanners_is_not_ended(gateway: Gateway) -> None:
    publish(gateway, HOLD + "\nrules: [{name: q, if: {subject: {contains: Pump}}, then: [quarantine]}]")
    kept = await mailed(gateway, with_files(1, HARMLESS))
    clamd(gateway).start()
    await one_run(gateway)
    after = message(gateway, kept["id"])
    assert (after["disposition"], after["reason"]) == ("quarantined", "quarantined-by-rule")
    assert (after["scan"]["status"], fates(after)) == ("clean", [("kept", "")])


async def test_mail_of_a_switched_off_scanner_is_left_to_the_command(seed: Path, tmp_path: Path) -> None:
    ground = fresh_ground(seed, tmp_path / "data")
    async with running(ground) as gateway:
        kept = await mailed(gateway, with_files(1, MARKER))
        assert (kept["scan"]["status"], kept["scan"]["reason"]) == ("unscanned", "scanner-off")
        with FakeClamd(answer(b"stream: OK\0")) as scanner:
            gateway.ground.settings = _scanned_by(gateway, scanner.address)
            assert (await one_run(gateway))[0] == ""
        server = ClamdServer().start()
        try:
            gateway.ground.settings = _scanned_by(gateway, server.address)
            assert (await one_run(gateway))[0] == ""
            late = await late_scan.scan_late(app.bench_of(gateway.line), gateway.account_id(), kept["id"], by="test")
        finally:
            server.remove()
        assert late is not None
        assert late.status == "infected"
        assert message(gateway, kept["id"])["scan"]["status"] == "infected"


def _scanned_by(gateway: Gateway, address: str) -> Any:
    settings = gateway.ground.settings
    return settings.model_copy(update={"clamav": settings.clamav.model_copy(update={"address": address})})


async def test_what_the_scanner_cannot_scan_is_put_off_and_keeps_nobody_waiting(gateway: Gateway) -> None:
    """It answers, but says nonsense of this message."""
    publish(gateway, HOLD)
    kept = await mailed(gateway, with_files(1, HARMLESS))

    def behave(sock: Any) -> None:
        answer(b"PONG\0" if sock.recv(6, 2) == b"zPING\0" else b"nonsense\0")(sock)

    with FakeClamd(behave) as scanner:
        gateway.ground.settings = _scanned_by(gateway, scanner.address)
        _, state = await one_run(gateway)
        assert list(state["put_off"]) == [kept["id"]]
        asked = scanner.connections
        assert (await one_run(gateway, state))[0] == ""
        assert scanner.connections == asked
    assert fates(message(gateway, kept["id"])) == [("held", "not scanned yet (down)")]


@pytest.fixture
def also_by_rules(gateway: Gateway, tmp_path: Path) -> None:
    """YARA rules that match nothing, beside a clamd that is down."""
    pytest.importorskip("yara_x")
    rules = tmp_path / "rules.yar"
    rules.write_text('rule Nothing { strings: $a = "nothing has this in it" condition: $a }')
    settings = gateway.ground.settings
    gateway.ground.settings = settings.model_copy(update={"yara": YaraSettings(rules=(rules,))})


@pytest.mark.usefixtures("also_by_rules")
async def test_rules_that_answer_do_not_stand_for_a_clamd_that_is_down(gateway: Gateway) -> None:
    """It used to count as a message that cannot be scanned, and waited for up to six hours after clamd was back."""
    publish(gateway, HOLD)
    kept = await mailed(gateway, with_files(1, MARKER))
    said, state = await one_run(gateway)
    assert said == ""
    assert state.get("put_off", {}) == {}
    assert fates(message(gateway, kept["id"])) == [("held", "not scanned yet (down)")]

    clamd(gateway).start()
    await one_run(gateway, state)
    assert message(gateway, kept["id"])["scan"]["status"] == "infected"
