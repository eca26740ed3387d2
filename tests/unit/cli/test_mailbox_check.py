"""`mailbox check`, `show` and `forget` where no challenge comes back; how it is when one does: tests/scenarios."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Cli

SUPPORT = "support@acme.test"
CHECK = ("mailbox", "check", SUPPORT, "--account", "acme", "--wait", "0")


def test_a_challenge_that_nobody_sends_yet_is_told_with_its_cure(cli: Cli) -> None:
    found = cli(*CHECK, "--json", code=1).json
    assert [r["code"] for r in found["check"]["remarks"]] == ["waits-for-serve"]
    assert found["check"]["delivery"]["state"] == "pending"
    assert {d["check"] for d in found["dns"]} == {"MX of acme.test", "DKIM of acme.gw.test"}

    page = cli(*CHECK, code=1).out
    assert "The challenge to support@acme.test has not come back." in page
    assert "-> look again in some seconds: `gateway serve` sends it" in page
    assert "publish: gw1._domainkey.acme.gw.test." in page


def test_without_a_relay_nothing_is_promised(cli: Cli) -> None:
    config = (cli.folder / "gateway.toml").read_text()
    cli.write("gateway.toml", "\n".join(line for line in config.splitlines() if not line.startswith("url =")))
    done = cli(*CHECK, code=1)
    assert done.out == ""
    assert "no relay is configured, so no challenge can leave; set relay.url" in done.err


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nobody@acme.test", "there is no mailbox nobody@acme.test in this account"),
        ("support@acme.gw.test", "support@acme.gw.test is an address of the gateway itself"),
    ],
)
def test_what_cannot_be_checked_is_said(cli: Cli, address: str, said: str) -> None:
    assert said in cli("mailbox", "check", address, "--account", "acme", "--wait", "0", code=1).err


@pytest.mark.parametrize("wait", ["-1", "3601", "soon"])
def test_a_wrong_waiting_time_is_wrong_usage(cli: Cli, wait: str) -> None:
    cli("mailbox", "check", SUPPORT, "--account", "acme", "--wait", wait, code=2)


def test_a_mailbox_shows_its_forwarding_before_anything_is_known(cli: Cli) -> None:
    shown = cli("mailbox", "show", SUPPORT, "--account", "acme", "--json").json
    assert (shown["forwarders"], shown["check"], shown["confirmations"]) == ([], None, [])
    assert shown["address"] == SUPPORT
    assert "none learnt yet; run gateway mailbox check support@acme.test" in cli(
        "mailbox", "show", SUPPORT, "--account", "acme"
    ).out  # fmt: skip


def test_a_forwarder_that_is_not_there_cannot_be_forgotten(cli: Cli) -> None:
    err = cli("mailbox", "forget", SUPPORT, "0" * 32, "--account", "acme", code=1).err
    assert "this mailbox has no forwarder 0000" in err


def test_the_local_part_of_challenges_is_no_mailboxs(cli: Cli) -> None:
    taken = ("mailbox", "add", "x@acme.test", "--name", "X", "--inbound", "challenge", "--account", "acme")
    assert "used by the gateway itself" in cli(*taken, code=1).err
