"""`mailbox check` against a company's server that forwards well, badly, or not at all: over real sockets, from the challenge
that leaves by the relay to the words that explain what came back.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway import app
from gateway.cli.main import main
from gateway.notify.sign import public_record
from gateway.store import listing, named
from tests.servers import company
from tests.servers.company import Company, Manner, Sent, hand_over
from tests.servers.inprocess import Gateway, fresh_ground, numbered, running, until
from tests.unit.verify.shapes import key_record, rsa_key, sign


def _quoted(record: str) -> str:
    """As a master file writes it: strings of at most 255 octets."""
    return " ".join(f'"{record[i : i + 250]}"' for i in range(0, len(record), 250))


ZONE = {
    ("gw.test", "TXT"): ['"v=spf1 -all"'],
    ("_dmarc.gw.test", "TXT"): ['"v=DMARC1; p=reject"'],
    ("acme.gw.test", "TXT"): ['"v=spf1 -all"'],
    ("acme.test", "MX"): ["10 mail.acme.test."],
    ("acme.test", "TXT"): [f'"v=spf1 ip4:{company.FORWARDER} ip4:{company.GMAIL} -all"'],
    ("mail.acme.test", "A"): [company.FORWARDER],
    ("1.5.0.127.in-addr.arpa", "PTR"): ["mail.acme.test."],
    ("1.8.0.127.in-addr.arpa", "PTR"): ["mail-sor-f41.google.com."],
    ("mail-sor-f41.google.com", "A"): [company.GMAIL],
    ("_dmarc.google.com", "TXT"): ['"v=DMARC1; p=reject"'],
    ("s1._domainkey.google.com", "TXT"): [_quoted(key_record(rsa_key()))],
}
CONFIRMATION = (
    b"From: Gmail Team <forwarding-noreply@google.com>\r\nTo: support@acme.gw.test\r\n"
    b"Subject: (#99427480) Gmail Forwarding Confirmation - Receive Mail from support@acme.test\r\n"
    b"Date: Mon, 02 Feb 2026 10:00:00 +0000\r\nMessage-ID: <x@mail.gmail.com>\r\n\r\n"
    b"To confirm:\r\nhttps://mail-settings.google.com/mail/vf-%5BANGjdJ_x%5D-abc\r\n\r\n"
    b"To cancel:\r\nhttps://mail-settings.google.com/mail/uf-%5BANGjdJ_y%5D-abc\r\n"
)


@dataclass
class World:
    """A gateway whose relay is the company's own server."""

    gateway: Gateway
    company: Company
    config: Path

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """A command, in a thread: exit code, standard output, standard error."""

        def command() -> tuple[int, str, str]:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
                main(["--config", str(self.config), *arguments])
            return int(ended.value.code or 0), out.getvalue(), err.getvalue()

        return await asyncio.to_thread(command)

    async def check(self, *arguments: str, wait: int = 60) -> tuple[int, dict[str, Any]]:
        options = ("--account", "acme", "--wait", str(wait), "--json", *arguments)
        code, out, err = await self.run("mailbox", "check", company.MAILBOX, *options)
        assert out, err
        return code, json.loads(out)

    async def shown(self) -> dict[str, Any]:
        _, out, _ = await self.run("mailbox", "show", company.MAILBOX, "--account", "acme", "--json")
        found: dict[str, Any] = json.loads(out)
        return found

    def is_quiet(self) -> bool:
        """No ticket was made, and nobody was written to but the mailbox."""
        sent = [content for content, _ in self.company.taken]
        return all(m["ticket"] is None for m in self.gateway.messages()) and len(sent) <= 1


@contextlib.asynccontextmanager
async def world_of(manner: Manner, seed: Path, folder: Path) -> AsyncIterator[World]:
    async with Company(manner).running() as there:
        ground = fresh_ground(seed, folder / "data", GATEWAY_RELAY__URL=f"smtp://127.0.0.1:{there.port}")
        async with running(ground, zone=zone(ground)) as gateway:
            there.gateway_port = gateway.port
            config = folder / "gateway.toml"
            config.write_text(_config(ground.settings.dns.port, there.port))
            outbox = app.outbox_worker(gateway.line)
            sending = asyncio.create_task(outbox.run())
            try:
                yield World(gateway, there, config)
            finally:
                await outbox.stop()
                await sending


def zone(ground: Any) -> dict[tuple[str, str], list[str]]:
    """With the key of the account, so that its signature can be verified."""
    account = next(a for a in listing.accounts(ground.store) if a["name"] == "acme")
    account_id = named.account_id(ground.store, "acme")
    pem = ground.secret.decrypt(listing.sealed_dkim_key(ground.store, account_id), f"dkim:{account_id}")
    record = public_record(pem)
    return ZONE | {(f"{account['dkim_selector']}._domainkey.acme.gw.test", "TXT"): [_quoted(record)]}


def _config(dns_port: int, relay_port: int) -> str:
    return f"""
hostname = "mx.gw.test"
domain = "gw.test"
data_dir = "data"
[clamav]
address = "off"
[dns]
nameservers = ["127.0.0.1"]
port = {dns_port}
timeout_seconds = 5
[relay]
url = ["smtp://127.0.0.1:{relay_port}"]
"""


def codes(found: dict[str, Any]) -> list[str]:
    return [r["code"] for r in found["check"]["remarks"]]


# --- it comes back as it should ---


@pytest.mark.parametrize(
    ("manner", "form", "provider"),
    [(company.unchanged, "unchanged", ""), (company.srs, "srs0", ""), (company.gmail, "gmail-caf", "google")],
)
async def test_a_good_forwarder_is_learnt_and_named(
    seed: Path, tmp_path: Path, manner: Manner, form: str, provider: str
) -> None:
    async with world_of(manner, seed, tmp_path) as world:
        code, found = await world.check()
        assert (code, found["check"]["state"], codes(found)[:1]) == (0, "returned", ["all-good"])
        (known,) = (await world.shown())["forwarders"]
        assert (known["form"], known["provider"]) == (form, provider)
        assert all(known[k] for k in ("keeps_author", "keeps_subject", "keeps_message_id", "keeps_body"))
        assert {d["check"]: d["status"] for d in found["dns"]} == {
            "MX of acme.test": "ok",
            "DKIM of acme.gw.test": "ok",
        }
        assert world.is_quiet()


async def test_what_was_learnt_counts_for_the_next_mail_within_two_seconds(seed: Path, tmp_path: Path) -> None:
    async with world_of(company.srs, seed, tmp_path) as world:
        assert (await world.check())[0] == 0
        await world.gateway.line.store_pool(world.gateway.line.directory.refresh)
        srs = "SRS0=x1=7Q=customer.test=carol@acme.test"
        await hand_over(world.gateway.port, Sent(company.RECEIVED + numbered(1), srs))
        (mail,) = [m for m in world.gateway.messages() if m["ticket"]]
        assert (mail["auth"]["path"], mail["auth"]["forwarder"]) == ("forwarder", "mail.acme.test")


async def test_a_forwarder_that_begins_to_behave_otherwise_is_told_of_once(seed: Path, tmp_path: Path) -> None:
    async with world_of(company.unchanged, seed, tmp_path) as world:
        assert (await world.check())[0] == 0
        await world.gateway.line.store_pool(world.gateway.line.directory.refresh)
        traces = []
        for n in (1, 2):
            mail = Sent(company.RECEIVED + numbered(n), "SRS0=x1=7Q=customer.test=carol@acme.test")
            traces.append((await hand_over(world.gateway.port, mail)).trace)
        told = [[e for e in world.gateway.trace(t)["events"] if e["stage"] == "forwarder"] for t in traces]
        assert [len(events) for events in told] == [1, 0]
        (known,) = (await world.shown())["forwarders"]
        (drift,) = known["drifts"]
        assert (drift["what"], drift["before"], drift["trace"]) == ("reverse-path", "unchanged", traces[0])
        _, page, _ = await world.run("mailbox", "show", company.MAILBOX, "--account", "acme")
        assert "changed since: " in page


async def test_people_read_what_was_learnt_in_plain_words(seed: Path, tmp_path: Path) -> None:
    async with world_of(company.srs, seed, tmp_path) as world:
        _, out, _ = await world.run("mailbox", "check", company.MAILBOX, "--account", "acme", "--wait", "60")
        assert "Mail to support@acme.test comes here, through mail.acme.test." in out
        _, page, _ = await world.run("mailbox", "show", company.MAILBOX, "--account", "acme")
        assert "mail.acme.test at 127.0.5.0/24" in page
        assert "rewrites the reverse-path (SRS); changes nothing else" in page


# --- it comes back, but not as it was sent ---


@pytest.mark.parametrize(
    ("manner", "remark", "cure"),
    [
        (company.exchange_forward, "exchange-forward", "redirect"),
        (company.rewritten_author, "author-rewritten", "No mitigations"),
        (company.broken_signature, "dkim-broken", "untouched"),
        (company.changed_subject, "subject-changed", "tag"),
        (company.without_file, "attachment-removed", "attachments"),
        (company.loop, "loop", "inbound address"),
    ],
)
async def test_what_a_forwarder_does_to_mail_is_said_with_its_cure(
    seed: Path, tmp_path: Path, manner: Manner, remark: str, cure: str
) -> None:
    async with world_of(manner, seed, tmp_path) as world:
        code, found = await world.check()
        said = {r["code"]: r for r in found["check"]["remarks"]}
        assert remark in said, said
        assert cure in said[remark]["cure"] or cure in said[remark]["text"]
        assert (code, found["check"]["learnt"], len((await world.shown())["forwarders"])) == (0, True, 1)
        assert world.is_quiet()


# --- it does not come back ---


@pytest.mark.parametrize(
    ("manner", "remark", "cure"),
    [
        (
            company.bounce(
                "5.7.520", "550 5.7.520 Access denied, Your organization does not allow external forwarding. AS(7555)"
            ),
            "external-forwarding-forbidden",
            "outbound spam filter policy",
        ),
        (
            company.bounce("5.4.14", "554 5.4.14 Hop count exceeded - possible mail loop ATTR34"),
            "loop",
            "inbound address",
        ),
        (company.bounce("5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound"), "no-such-mailbox", "letter by letter"),
    ],
)
async def test_a_bounce_is_explained(seed: Path, tmp_path: Path, manner: Manner, remark: str, cure: str) -> None:
    async with world_of(manner, seed, tmp_path) as world:
        code, found = await world.check()
        assert (code, found["check"]["state"], codes(found)) == (1, "bounced", [remark])
        assert cure in found["check"]["remarks"][0]["cure"]
        (kept,) = world.gateway.messages()
        assert (kept["disposition"], kept["reason"]) == ("ignored", "challenge-report")
        assert world.is_quiet()


async def test_one_that_never_returns_is_said_after_the_time(seed: Path, tmp_path: Path) -> None:
    async with world_of(company.stays, seed, tmp_path) as world:
        code, found = await world.check(wait=6)
        assert (code, found["check"]["state"], codes(found)) == (1, "open", ["not-returned"])
        code, again = await world.check(wait=0)
        assert (code, again["check"]["id"], len(world.company.taken)) == (1, found["check"]["id"], 1)
        # the forwarding is set up, and somebody has the server send on what lay there
        content, reverse_path = world.company.taken[0]
        await hand_over(world.gateway.port, company.srs(content, reverse_path))
        shown = await world.shown()
        assert (shown["check"]["state"], codes(shown)) == ("returned", ["all-good"])


async def test_a_new_challenge_is_sent_when_asked_for(seed: Path, tmp_path: Path) -> None:
    async with world_of(company.stays, seed, tmp_path) as world:
        _, first = await world.check(wait=1)
        _, second = await world.check("--anew", wait=1)
        assert first["check"]["id"] != second["check"]["id"]
        await until(lambda: len(world.company.taken) == 2)


async def test_without_a_relay_it_is_said_at_once(seed: Path, tmp_path: Path) -> None:
    async with world_of(company.stays, seed, tmp_path) as world:
        world.config.write_text(world.config.read_text().partition("[relay]")[0])
        code, out, err = await world.run("mailbox", "check", company.MAILBOX, "--account", "acme")
        assert (code, out) == (1, "")
        assert "no relay is configured" in err
        assert "relay.url" in err
        assert world.company.taken == []


# --- strangers ---


async def test_a_copy_of_its_text_from_anywhere_teaches_nothing(seed: Path, tmp_path: Path) -> None:
    """Whoever reads the mailbox can copy what he sees."""

    def copied(content: bytes, _reverse_path: str) -> Sent:
        forged = company.exchange_forward(content, "")
        return Sent(
            forged.content.replace(b"support@acme.test", b"eve@evil.test"),
            "eve@evil.test",
            company.STRANGER,
            "evil.test",
        )

    async with world_of(copied, seed, tmp_path) as world:
        code, found = await world.check()
        assert (code, found["check"]["learnt"], found["forwarders"]) == (1, False, [])
        assert "not-learnt" in codes(found)
        assert world.is_quiet()
        content, reverse_path = world.company.taken[0]
        await hand_over(world.gateway.port, company.srs(content, reverse_path))
        assert [f["name"] for f in (await world.shown())["forwarders"]] == ["mail.acme.test"]


async def test_a_whole_copy_after_the_true_return_makes_both_untrusted(seed: Path, tmp_path: Path) -> None:
    async with world_of(company.unchanged, seed, tmp_path) as world:
        assert (await world.check())[0] == 0
        content, reverse_path = world.company.taken[0]
        replayed = Sent(b"Received: by evil.test; x\r\n" + content, reverse_path, company.STRANGER, "evil.test")
        assert (await hand_over(world.gateway.port, replayed)).code == 250
        found = await world.shown()
        assert (found["forwarders"], codes(found)) == ([], ["came-twice", "not-learnt"])
        assert world.is_quiet()


async def test_an_absence_notice_from_the_mailbox_ends_nothing(seed: Path, tmp_path: Path) -> None:
    """It goes to the reverse-path, as RFC 3834 asks; the challenge itself comes a moment later."""

    def away(_content: bytes, reverse_path: str) -> Sent:
        notice = numbered("away", "Auto-Submitted: auto-replied", text="I am away.")
        return Sent(notice, None, recipient=reverse_path)

    async with world_of(away, seed, tmp_path) as world:
        checking = asyncio.create_task(world.check())
        await until(lambda: bool(world.company.replies))
        content, reverse_path = world.company.taken[0]
        await hand_over(world.gateway.port, company.srs(content, reverse_path))
        code, found = await checking
        assert (code, found["check"]["state"]) == (0, "returned")
        assert world.is_quiet()


# --- Google ---


async def test_googles_question_is_shown_to_the_admins_and_the_link_is_left_alone(seed: Path, tmp_path: Path) -> None:
    async with world_of(company.stays, seed, tmp_path) as world:
        signed = sign(CONFIRMATION, "google.com", key=rsa_key())
        assert (
            await hand_over(world.gateway.port, Sent(signed, "forwarding-noreply@google.com", company.GMAIL))
        ).code == 250
        (asked,) = (await world.shown())["confirmations"]
        assert (asked["asked_by"], asked["code"]) == (company.MAILBOX, "99427480")
        _, page, _ = await world.run("mailbox", "show", company.MAILBOX, "--account", "acme")
        assert "99427480" in page
        assert "/mail/vf-%5BANGjdJ_x%5D-abc" in page
        assert "uf-" not in page
        assert world.is_quiet()


async def test_what_only_looks_like_googles_question_is_shown_to_nobody(seed: Path, tmp_path: Path) -> None:
    async with world_of(company.stays, seed, tmp_path) as world:
        forged = Sent(CONFIRMATION, "eve@evil.test", company.STRANGER, "evil.test")
        assert (await hand_over(world.gateway.port, forged)).enhanced == "5.7.26"
        assert (await world.shown())["confirmations"] == []
