"""In which language a notification speaks: contact or agent, then mailbox, then account, then English; from the message
that comes in to the bytes that go out.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.commands import accounts
from gateway.commands.receive import receive
from gateway.configuration import load
from gateway.core.clock import now
from gateway.core.outcome import Accepted
from gateway.ground import Ground, open_ground, prepare
from gateway.line import Line
from gateway.notify.compose import compose
from gateway.notify.folder import templates_folder
from gateway.notify.render import Templates
from gateway.store import named, outbox
from gateway.store.changes import NewAccount, NewMailbox
from gateway.store.contacts import NewContact
from gateway.store.notice_reading import Notices
from gateway.store.team_changes import NewAgent

ZONE = """\
. 60 IN SOA ns. h. 1 1 1 1 1
customer.test. 60 IN TXT "v=spf1 ip4:127.0.0.9 -all"
"""
MAIL = (
    b"From: Carol <carol@customer.test>\r\nTo: support@acme.test\r\nSubject: Hi\r\nMessage-ID: <a@b>\r\n\r\nHello\r\n"
)


async def spoken(
    folder: Path,
    *,
    contact: str | None = None,
    agent: str | None = None,
    mailbox: str | None = None,
    account: str | None = None,
) -> dict[str, str]:
    """{recipient: the template used}, where the contact, the agent, the mailbox and the account have these languages."""
    (folder / "zone").write_text(ZONE)
    environment = {"DATA_DIR": folder, "DOMAIN": "gw.test", "HOSTNAME": "mx.gw.test", "DNS__ZONE_FILE": folder / "zone"}
    environment |= {"CLAMAV__ADDRESS": "off", "LOG__FORMAT": "json"}
    settings = load(None, {f"GATEWAY_{k}": str(v) for k, v in environment.items()})
    prepare(settings)
    ground = open_ground(settings)
    try:
        new = NewAccount("", "acme", "Acme", "", b"", "", **({"language": account} if account else {}))
        accounts.add_account(ground.store, ground.secret, settings, new)
        account_id = named.account_id(ground.store, "acme")
        box = NewMailbox("support@acme.test", "Acme Support", None, mailbox, default=True)
        accounts.add_mailbox(ground.store, settings, account_id, "acme", box)
        accounts.add_agent(
            ground.store, ground.settings, account_id, NewAgent("ann@acme.test", "Ann", ("support",), agent)
        )
        if contact:
            accounts.add_contact(ground.store, account_id, NewContact("carol@customer.test", "Carol", contact))
        async with Line(ground) as line:
            outcome = await receive(
                line, MAIL, sender="carol@customer.test", recipients=["support@acme.gw.test"], client_ip="127.0.0.9",
                helo="client.test",
            )  # fmt: skip
            assert isinstance(outcome, Accepted), outcome
        return written(ground)
    finally:
        ground.close()


def written(ground: Ground) -> dict[str, str]:
    templates = Templates(templates_folder())
    found = {}
    claims = outbox.claim(ground.store, now() + timedelta(seconds=1), 10)
    notices = Notices(ground.store, claims, "gw.test")
    for claim in claims:
        rendered = compose(notices.of(claim), tokens=ground.tokens, templates=templates)
        found[claim.recipient] = rendered.template.partition("#")[0]
    return found


CUSTOMER, AGENT = "carol@customer.test", "ann@acme.test"


async def test_nobody_asked_for_anything_and_gets_english(tmp_path: Path) -> None:
    assert await spoken(tmp_path) == {CUSTOMER: "acknowledgement/en", AGENT: "new-ticket/en"}


async def test_the_account_speaks_for_those_who_did_not_ask(tmp_path: Path) -> None:
    assert await spoken(tmp_path, account="de") == {CUSTOMER: "acknowledgement/de", AGENT: "new-ticket/de"}


async def test_the_mailbox_comes_before_the_account(tmp_path: Path) -> None:
    found = await spoken(tmp_path, mailbox="en", account="de")
    assert found == {CUSTOMER: "acknowledgement/en", AGENT: "new-ticket/en"}


async def test_contact_and_agent_come_before_the_mailbox_each_for_their_own_mail(tmp_path: Path) -> None:
    found = await spoken(tmp_path, contact="de", agent="en", mailbox="fr", account="fr")
    assert found == {CUSTOMER: "acknowledgement/de", AGENT: "new-ticket/en"}


@pytest.mark.parametrize(("tag", "given"), [("de-AT", "de"), ("de", "de"), ("en-GB", "en"), ("ja", "en")])
async def test_a_tag_is_met_by_its_base_language_and_an_unknown_one_by_english(
    tmp_path: Path, tag: str, given: str
) -> None:
    found = await spoken(tmp_path, contact=tag, agent=tag, mailbox="de", account="de")
    assert found == {CUSTOMER: f"acknowledgement/{given}", AGENT: f"new-ticket/{given}"}
