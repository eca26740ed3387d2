"""What rules do to mail, seen from outside: over SMTP in, and by the relay's folder out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.commands.publish import publish
from gateway.commands.release import release
from gateway.commands.replay import replay
from gateway.core.clock import now
from gateway.core.reports import Finding
from gateway.notify.courier import parse_relay
from gateway.notify.folder import templates_folder
from gateway.notify.render import Templates
from gateway.outbox.worker import OutboxWorker
from gateway.parse.language import is_installed
from gateway.policy.problems import PolicyError
from gateway.store import message_reading, stored_message, ticket_reading
from gateway.store.late_scans import mark_infected
from gateway.store.tables import Outbox
from gateway.store.tables.columns import columns
from tests.conftest import missing
from tests.servers.inprocess import Client, Gateway, numbered

_o = columns(Outbox)

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\10\6\0\0\0\x1f\x15\xc4\x89\0\0\0\nIDATx\x9cc\0\1\0\0\5\0\1\r\n-\xb4\0\0\0\0IEND\xaeB`\x82"
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"


async def go_live(gateway: Gateway, text: str) -> None:
    publish(gateway.ground.store, gateway.account_id(), text, agreed=True)
    await gateway.line.store_pool(gateway.line.directory.refresh)


@dataclass(frozen=True)
class Sent:
    """A file of the relay's folder."""

    reverse_path: str
    recipient: str
    message: EmailMessage

    @property
    def text(self) -> str:
        body = self.message.get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    @property
    def html(self) -> str:
        body = self.message.get_body(("html",))
        assert body is not None
        return str(body.get_content())


async def sent(gateway: Gateway, folder: Path) -> dict[str, Sent]:
    """Everything that is owed goes out; by recipient."""
    ground = gateway.ground
    worker = OutboxWorker(
        store=ground.store, secret=ground.secret, tokens=ground.tokens, templates=Templates(templates_folder()),
        blobs=ground.blobs, relays=[parse_relay(f"file:{folder}")], gateway_domain="gw.test",
        store_pool=gateway.line.store_pool,
    )  # fmt: skip
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(60):
        while any(r.state == "pending" for r in owed(gateway)):
            worker.wake()
            await asyncio.sleep(0.01)
    await worker.stop()
    await running
    found = await asyncio.to_thread(lambda: [_sent(file) for file in sorted(folder.glob("*.eml"))])
    return {one.recipient: one for one in found}


def _sent(file: Path) -> Sent:
    envelope = json.loads(file.with_suffix(".json").read_text())
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return Sent(envelope["reverse_path"], envelope["recipients"][0], message)


def owed(gateway: Gateway) -> list[Any]:
    with gateway.ground.store.read() as connection:
        return list(connection.execute(select(*_o).order_by(_o.id)))


def of_kind(gateway: Gateway, kind: str = "forward") -> list[str]:
    return sorted(r.recipient for r in owed(gateway) if r.kind == kind)


def letter(n: object, **fields: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "Carol <carol@customer.test>", "support@acme.test"
    message["Subject"] = f"Pump {n}"
    message["Message-ID"] = f"<{n}@customer.test>"
    for name, value in fields.items():
        del message[name.replace("_", "-")]
        message[name.replace("_", "-")] = value
    message.set_content(f"It leaks. ({n})\n")
    return message


def wire(message: EmailMessage) -> bytes:
    return message.as_bytes(policy=policy.SMTP)


FORWARD = "rules: [{name: on, then: [{forward: [boss@partner.example, Second@partner.example]}]}]"


# --- forward ---


async def test_forwarded_mail_is_a_new_message_in_the_mailboxs_name(
    gateway: Gateway, client: Client, tmp_path: Path
) -> None:
    await go_live(gateway, FORWARD)
    message = letter(1, Subject="Größe der Pumpe " + "x" * 300)
    message.add_alternative(
        '<p>It <b>leaks</b>.</p><script>alert(1)</script><img src="cid:plan@x"><img src="https://t.example/p.gif">',
        "html",
    )
    html = message.get_payload()[1]  # type: ignore[index]
    html.add_related(PNG, "image", "png", cid="<plan@x>", filename="plan.png")  # type: ignore[union-attr]
    message.add_attachment(PDF, maintype="application", subtype="pdf", filename="Rechnung März.pdf")
    message.add_attachment(b"MZ" + b"\0" * 400, maintype="application", subtype="octet-stream", filename="setup.exe")
    assert (await client.mail(wire(message))).code == 250
    out = await sent(gateway, tmp_path / "out")
    one = out["boss@partner.example"]
    assert one.message["From"] == "Acme support <support@acme.gw.test>"
    assert one.message["Reply-To"] == "Carol <carol@customer.test>"
    assert one.message["Subject"] == "Größe der Pumpe " + "x" * 300
    assert one.message["To"] == "boss@partner.example"
    assert one.message["Auto-Submitted"] == "auto-generated"
    assert one.message["References"] == "<1@customer.test>"
    assert one.message["Message-ID"] != "<1@customer.test>"
    assert one.message["DKIM-Signature"]
    assert one.reverse_path.endswith("@acme.gw.test")
    assert "carol@customer.test> wrote this on" in one.text
    assert "It leaks. (1)" in one.text
    assert "setup.exe: not allowed" in one.text
    assert "<b>leaks</b>" in one.html
    assert "script" not in one.html
    assert "t.example" not in one.html
    files = {part.get_filename(): part.get_content() for part in one.message.walk() if part.get_filename()}
    assert files == {"plan.png": PNG, "Rechnung März.pdf": PDF}
    assert [p["Content-ID"] for p in one.message.walk() if p["Content-ID"]] == ["<plan@x>"]
    other = out["Second@partner.example"]
    assert other.message["Message-ID"] != one.message["Message-ID"]


@pytest.mark.parametrize("sender", ["mallory@nowhere.test", "ceo@strict.test"])
async def test_mail_that_is_not_verified_is_not_forwarded_and_the_hit_says_why(
    gateway: Gateway, client: Client, sender: str
) -> None:
    await go_live(gateway, "accept: {forged: accept}\n" + FORWARD)
    reply = await client.mail(wire(letter(1, From=sender)), sender=f"<{sender}>")
    assert reply.code == 250
    assert of_kind(gateway) == []
    hit = gateway.messages()[0]["rules"][0]
    verdict = gateway.messages()[0]["auth"]["sender"]
    assert hit["effects"] == []
    assert hit["withheld"][0] == [
        "forward: boss@partner.example", f"the author is {verdict}: only verified mail is forwarded",
    ]  # fmt: skip


async def test_quarantined_mail_is_forwarded_when_it_is_released(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, FORWARD[:-1] + ", {name: wait, then: [quarantine]}]")
    await client.mail(numbered(1))
    message = gateway.messages()[0]
    assert of_kind(gateway) == []
    assert message["rules"][0]["withheld"][0] == ["forward: boss@partner.example", "the message is quarantined"]
    await release(gateway.line, gateway.account_id(), message["id"])
    assert of_kind(gateway) == ["Second@partner.example", "boss@partner.example"]
    await release_again_is_no_second_copy(gateway, message["id"])


async def release_again_is_no_second_copy(gateway: Gateway, message_id: str) -> None:
    stored = stored_message.stored_message(gateway.ground.store, gateway.ground.blobs, gateway.account_id(), message_id)
    await gateway.line.intake.again(stored.envelope, message_id)
    assert len(of_kind(gateway)) == 2


async def test_what_would_come_back_is_not_forwarded(gateway: Gateway, client: Client) -> None:
    text = """
    rules:
      - name: back
        then: [{forward: [carol+x@customer.test, billing@acme.gw.test, x@other.gw.test, boss@partner.example]}]
    """
    await go_live(gateway, text)
    await client.mail(numbered(1))
    assert of_kind(gateway) == ["boss@partner.example"]
    assert [why for _, why in gateway.messages()[0]["rules"][0]["withheld"]] == [
        "it is the author's own address",
        "it is an address of this account",
        "its mail comes to this gateway",
    ]


async def test_a_copy_through_another_mailbox_is_forwarded_once(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, FORWARD)
    both = numbered(1, to=("billing@acme.test", "support@acme.test"))
    await client.mail(both, "support@acme.gw.test")
    await client.mail(both, "billing@acme.gw.test")
    assert of_kind(gateway) == ["Second@partner.example", "boss@partner.example"]


async def test_a_machines_mail_is_forwarded_within_the_budget_of_notices(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "rules: [{name: on, if: {kind: automatic}, then: [{forward: boss@partner.example}]}]")
    for n in range(22):
        assert (await client.mail(numbered(n, "Auto-Submitted: auto-generated"))).code == 250
    assert len(of_kind(gateway)) == 20


async def test_a_file_found_infected_before_the_first_attempt_stays_here(
    gateway: Gateway, client: Client, tmp_path: Path
) -> None:
    await go_live(gateway, FORWARD)
    message = letter(1)
    message.add_attachment(PDF, maintype="application", subtype="pdf", filename="plan.pdf")
    await client.mail(wire(message))
    kept = gateway.messages()[0]
    found = [Finding("clamav", "Eicar", "2")]
    mark_infected(gateway.ground.store, gateway.account_id(), kept["id"], found, now(), by="rescan")
    out = await sent(gateway, tmp_path / "out")
    assert [p.get_filename() for p in out["boss@partner.example"].message.iter_attachments()] == []
    assert "plan.pdf: infected" in out["boss@partner.example"].text


async def test_what_a_scan_meant_as_a_whole_does_not_leave(gateway: Gateway, client: Client, tmp_path: Path) -> None:
    await go_live(gateway, FORWARD)
    await client.mail(numbered(1))
    kept = gateway.messages()[0]
    found = [Finding("clamav", "Phishing", "message")]
    mark_infected(gateway.ground.store, gateway.account_id(), kept["id"], found, now(), by="rescan")
    out = await sent(gateway, tmp_path / "out")
    assert "boss@partner.example" not in out
    row = next(r for r in owed(gateway) if r.kind == "forward")
    assert (row.state, row.last_reply) == ("failed", "not sent: the message is infected: Phishing")


async def test_forwarded_mail_that_comes_back_is_known(gateway: Gateway, client: Client, tmp_path: Path) -> None:
    await go_live(gateway, FORWARD)
    await client.mail(numbered(1))
    out = await sent(gateway, tmp_path / "out")
    await client.mail(wire(out["boss@partner.example"].message))
    assert [m["reason"] for m in gateway.messages()] == ["own-mail", "accepted"]


async def test_large_mail_goes_out_without_being_held_all_at_once(
    gateway: Gateway, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.outbox.preparing.ROOM_BYTES", 100_000)
    monkeypatch.setattr("gateway.outbox.worker.ROOM_BYTES", 100_000)
    addresses = [f"n{n}@partner.example" for n in range(10)]
    await go_live(gateway, f"rules: [{{name: on, then: [{{forward: {json.dumps(addresses)}}}]}}]")
    message = letter(1)
    message.add_attachment(PDF + b"%" + b"x" * 90_000, maintype="application", subtype="pdf", filename="plan.pdf")
    assert (await client.mail(wire(message))).code == 250
    out = await sent(gateway, tmp_path / "out")
    assert set(addresses) <= set(out)
    assert {r.content for r in owed(gateway) if r.kind == "forward"} == {None}
    assert {r.attempts for r in owed(gateway)} == {1}


# --- notify and acknowledge ---


async def test_every_form_of_notify_reaches_whom_it_names_once(gateway: Gateway, client: Client) -> None:
    text = """
    rules:
      - name: all
        then:
          - assign: bob@acme.test
          - notify: [boss@partner.example, assignee]
          - notify: {to: {team: finance}}
          - notify: assignee
    """
    await go_live(gateway, text)
    await client.mail(numbered(1))
    told = {r.recipient: r.kind for r in owed(gateway)}
    assert told == {
        "carol@customer.test": "acknowledgement", "bob@acme.test": "assigned", "boss@partner.example": "new-ticket",
        "fay@acme.test": "new-ticket",
    }  # fmt: skip


async def test_notify_only_replaces_the_usual_notices(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "rules: [{name: all, then: [{notify_only: {to: [fay@acme.test]}}]}]")
    await client.mail(numbered(1))
    assert {r.recipient for r in owed(gateway)} == {"carol@customer.test", "fay@acme.test"}


async def test_a_rule_names_the_template_and_who_is_told_anyway_is_told_by_it(
    gateway: Gateway, client: Client, tmp_path: Path
) -> None:
    text = "rules: [{name: all, then: [{notify: {to: [ann@acme.test, boss@partner.example], template: customer-answered}}]}]"
    await go_live(gateway, text)
    await client.mail(numbered(1))
    out = await sent(gateway, tmp_path / "out")
    for one in ("ann@acme.test", "boss@partner.example"):
        assert out[one].message["Subject"] == "Re: [Acme support #1] Pump 1"
    assert out["bob@acme.test"].message["Subject"] == "[Acme support #1] Pump 1"
    assert {r.template.partition("#")[0] for r in owed(gateway)} == {
        "acknowledgement/en", "customer-answered/en", "new-ticket/en",
    }  # fmt: skip


async def test_a_rule_names_the_words_of_the_confirmation_or_keeps_it_back(gateway: Gateway, client: Client) -> None:
    text = """
    rules:
      - {name: quiet, if: {subject: {contains: quiet}}, then: [{acknowledge: false}]}
      - {name: usual, then: [{acknowledge: acknowledgement}]}
    """
    await go_live(gateway, text)
    await client.mail(numbered("quiet"))
    assert of_kind(gateway, "acknowledgement") == []
    await client.mail(numbered(2))
    assert [r.template for r in owed(gateway) if r.kind == "acknowledgement"] == ["acknowledgement"]


async def test_a_template_that_is_not_there_is_refused_before_it_is_live(gateway: Gateway) -> None:
    for then, said in (
        ("{acknowledge: welcome}", 'there is no template "welcome" for mail to customers: known are acknowledgement'),
        ("{notify: {to: assignee, template: asigned}}", "did you mean `assigned`"),
        ("{notify: {to: assignee, template: digest}}", 'there is no template "digest" for mail to agents'),
        ("{push: crm}", 'there is no connector "crm" in this account, nor any other in this release'),
    ):
        with pytest.raises(PolicyError) as caught:
            await go_live(gateway, f"rules: [{{name: a, then: [{then}]}}]")
        assert said in str(caught.value)


# --- body (S25) ---


TWO_BODIES = "Your mail program cannot show HTML."


def both_bodies() -> bytes:
    message = letter(1)
    message.set_content(TWO_BODIES + "\n")
    message.add_alternative("<p>The <b>pump</b> in our cellar leaks.</p>", "html")
    return wire(message)


def shown(gateway: Gateway) -> dict[str, Any]:
    ground = gateway.ground
    message = gateway.messages()[0]
    return message_reading.message(ground.store, gateway.account_id(), message["id"], ground.blobs)


async def test_html_is_taken_unless_text_is_preferred(gateway: Gateway, client: Client, tmp_path: Path) -> None:
    await client.mail(both_bodies())
    found = shown(gateway)
    assert found["html"] == "<p>The <b>pump</b> in our cellar leaks.</p>\n"
    assert found["text"] == found["text_new"] == "The pump in our cellar leaks."
    out = await sent(gateway, tmp_path / "out")
    assert "> The pump in our cellar leaks." in out["ann@acme.test"].text


async def test_text_is_taken_where_it_is_preferred(gateway: Gateway, client: Client, tmp_path: Path) -> None:
    await go_live(gateway, "body: text\nrules: [{name: on, then: [{forward: boss@partner.example}]}]")
    await client.mail(both_bodies())
    found = shown(gateway)
    assert (found["html"], found["text"].strip()) == (None, TWO_BODIES)
    out = await sent(gateway, tmp_path / "out")
    assert f"> {TWO_BODIES}" in out["ann@acme.test"].text
    assert "pump" not in out["boss@partner.example"].html


async def test_without_the_preferred_body_the_other_one_is_taken(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "body: text")
    message = letter(1)
    message.set_content("<p>Only <i>HTML</i>.</p>", "html")
    await client.mail(wire(message))
    found = shown(gateway)
    assert (found["html"], found["text"]) == ("<p>Only <i>HTML</i>.</p>\n", "Only HTML.")


async def test_each_mailbox_may_prefer_another_body(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, "mailboxes: {billing@acme.test: {body: text}}")
    await client.mail(both_bodies(), "billing@acme.gw.test")
    assert shown(gateway)["html"] is None


async def test_rules_read_the_body_that_was_taken(gateway: Gateway, client: Client) -> None:
    rule = "rules: [{name: pump, if: {body: {contains: cellar}}, then: [{tag: pump}]}]"
    await go_live(gateway, rule)
    await client.mail(both_bodies())
    assert len(gateway.messages()[0]["rules"]) == 1


# --- language and time ---

GERMAN = (
    "Seit gestern Abend verliert die Pumpe in unserem Keller Wasser, das inzwischen eine Handbreit hoch steht. Bitte "
    "schicken Sie so bald wie möglich jemanden, denn wir können die Heizung nicht benutzen und zwei Wohnungen sind kalt."
)
IN_GERMAN = "rules: [{name: german, if: {language: de}, then: [{set: {language: de}}, {tag: german}]}]"


async def test_mail_is_sorted_by_the_language_of_its_words(gateway: Gateway, client: Client) -> None:
    if not is_installed():
        missing("py3langid")
    await go_live(gateway, IN_GERMAN)
    message = letter(1)
    message.set_content(GERMAN + "\n")
    await client.mail(wire(message))
    hit = gateway.messages()[0]["rules"][0]
    assert hit["conditions"] == [{"condition": "language", "expected": "de", "saw": "de (detected)", "holds": True}]
    assert hit["effects"] == ["set: language = de", "tag: german"]


async def test_a_replay_sees_the_language_as_it_was_found(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_installed():
        missing("py3langid")
    await go_live(gateway, IN_GERMAN)
    message = letter(1)
    message.set_content(GERMAN + "\n")
    await client.mail(wire(message))
    monkeypatch.setattr("gateway.parse.language._identifier", lambda: 1 / 0)
    found = replay(gateway.ground.store, gateway.account_id(), IN_GERMAN, now() - timedelta(days=1))
    assert (found.compared, found.changed) == (1, ())


async def test_a_replay_looks_at_the_words_of_mail_that_nobody_had_looked_at(gateway: Gateway, client: Client) -> None:
    if not is_installed():
        missing("py3langid")
    message = letter(1)
    message.set_content(GERMAN + "\n")
    await client.mail(wire(message))
    found = replay(gateway.ground.store, gateway.account_id(), IN_GERMAN, now() - timedelta(days=1))
    assert [(d.what, d.after) for d in found.changed[0].differences] == [("language", "de"), ("tag", "german")]


async def test_the_header_says_the_language_of_a_short_message(gateway: Gateway, client: Client) -> None:
    await go_live(gateway, IN_GERMAN)
    await client.mail(numbered(1, "Content-Language: de-CH"))
    assert gateway.messages()[0]["rules"][0]["conditions"][0]["saw"] == "de-CH (Content-Language)"


@pytest.mark.parametrize(("moment", "tags"), [("2026-05-04T09:30", ["office"]), ("2026-05-09T09:30", ["night"])])
async def test_mail_is_sorted_by_when_it_came(
    gateway: Gateway, client: Client, moment: str, tags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
    rules:
      - {name: office, if: {time: {days: mon-fri, hours: "09:00-17:00"}}, then: [{tag: office}], stop: true}
      - {name: night, then: [{tag: night}]}
    """
    await go_live(gateway, text)
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    monkeypatch.setattr("gateway.intake._facts_of", _received(at))
    await client.mail(numbered(1))
    assert ticket_reading.tickets(gateway.ground.store, gateway.account_id())[0]["tags"] == tags


def _received(at: datetime) -> Any:
    from gateway import intake

    original = intake._facts_of
    return lambda envelope: replace(original(envelope), received_at=at)
