"""What is kept of forwarders, on every database: learnt once, by the challenge alone, in the message's own transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update

from gateway.commands.check_mailbox import MailboxChecks
from gateway.core.clock import new_id, now
from gateway.core.errors import InvalidInput
from gateway.core.forwarder import Drift, Form, Forwarder, Remark
from gateway.core.outcome import Accepted, Reason
from gateway.core.reports import AuthReport, AuthResult, Level, Sender
from gateway.core.reports import Path as MailPath
from gateway.notify.folder import templates_folder
from gateway.notify.render import Templates
from gateway.policy.engine import compile_policy, decide
from gateway.policy.loader import load
from gateway.store import challenges, log_reading, named, outbox, removal
from gateway.store.challenges import LIFE, MOST_AN_HOUR
from gateway.store.filing import Answered, Filing
from gateway.store.forwarders import challenge_of
from gateway.store.tables import Account, ChallengeRow, Change, Confirmation, ForwarderRow, MessageRow, Outbox, Ticket
from gateway.store.tables.columns import columns
from tests.contract.test_store import Desk
from tests.servers.inprocess import fresh_ground, make_seed, numbered

SUPPORT, SALES = "support@acme.test", "sales@acme.test"
REMARK = Remark("all-good", is_good=True, text="all is well")
BOUNCED = Remark("external-forwarding-forbidden", is_good=False, text="forbidden", cure="allow it")


def forwarder(network: str = "192.0.2.0/24", **more: Any) -> Forwarder:
    known = Forwarder(
        id=new_id(), name="mail.acme.test", networks=(network,), provider="", spf_domain="acme.test", form=Form.SRS0,
        reverse_path="@acme.test", border="mail.acme.test", arc_sealer="", dkim_domain="", adds=(), keeps_author=True,
        keeps_subject=True, keeps_message_id=True, keeps_body=True, learnt_at=now(),
    )  # fmt: skip
    return replace(known, **more)


@dataclass
class Checks(Desk):
    """A desk that sends challenges and files what comes of them; the time is the real one, as recognition reads it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.now = now()
        self.checks = MailboxChecks(self.store, self.ground.tokens, Templates(templates_folder()), self.ground.settings)

    def begin(self, address: str = SUPPORT) -> bytes:
        """The challenge as it leaves, unsigned."""
        begun = self.checks.begin(self.acme, address, anew=True)
        (sent,) = [r for r in self.rows(Outbox) if r.id == begun["check"]["id"]]
        return bytes(sent.content)

    def state(self, address: str = SUPPORT) -> dict[str, Any]:
        return self.checks.state(self.acme, address)

    def answer(
        self, content: bytes, answered: Answered | None = None, *, to: str = "support@acme.gw.test", **more: Any
    ) -> tuple[Accepted, Filing]:
        """File what comes back, as the line would."""
        filing = replace(self.filing(content, to, **more), answered=answered)
        (outcome,) = self.write(filing)
        assert isinstance(outcome, Accepted)
        return outcome, filing

    def returned(self, content: bytes, known: Forwarder | None = None, why_not: str = "", n: int = 1) -> Accepted:
        """`n` makes it another transaction."""
        stamped = f"Received: from x by y; {n}\r\n".encode() + content
        return self.answer(stamped, Answered(known or forwarder(), (REMARK,), why_not))[0]

    def known(self, address: str = SUPPORT) -> list[Forwarder]:
        self.directory.refresh()
        entry = self.directory.account("acme")
        assert entry
        return list(next(m for m in entry.mailboxes if m.address == address).forwarders)

    def steps(self, outcome: Accepted, stage: str) -> list[dict[str, Any]]:
        return [e for e in log_reading.trace(self.store, outcome.trace_id)["events"] if e["stage"] == stage]

    def age(self, by: timedelta) -> None:
        """All challenges were sent so much earlier."""
        c = columns(ChallengeRow)
        with self.store.write() as connection:
            for row in connection.execute(c.id.table.select()).all():
                values = {"sent_at": row.sent_at - by, "expires_at": row.expires_at - by}
                connection.execute(update(ChallengeRow).where(c.id == row.id).values(**values))


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def seed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One contract, every database."""
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return make_seed(tmp_path_factory.mktemp(f"seed-{request.param}"), server)


@pytest.fixture
def desk(seed: Path, tmp_path: Path) -> Iterator[Checks]:
    ground = fresh_ground(seed, tmp_path / "data", GATEWAY_RELAY__URL=f"file:{tmp_path / 'out'}")
    yield Checks(ground)
    ground.close()


# --- the challenge leaves ---


def test_a_challenge_is_owed_at_once_even_by_an_account_that_only_listens(desk: Checks) -> None:
    desk.listen_only(True)
    desk.begin()
    (claim,) = outbox.claim(desk.store, now(), 10)
    assert (claim.recipient, claim.rendered is not None) == (SUPPORT, True)


def test_its_author_and_reverse_path_are_the_gateways_and_never_the_mailboxs(desk: Checks) -> None:
    content = desk.begin()
    (row,) = desk.rows(ChallengeRow)
    assert row.author == "postmaster@gw.test"
    assert f"<{row.author}>".encode() in content
    assert row.reverse_path == f"challenge+{row.token}@acme.gw.test"
    assert row.message_id == f"challenge.{row.token}@acme.gw.test"


def test_a_check_under_way_is_gone_on_with_until_it_is_ten_minutes_old(desk: Checks) -> None:
    first = desk.checks.begin(desk.acme, SUPPORT)["check"]["id"]
    assert desk.checks.begin(desk.acme, SUPPORT)["check"]["id"] == first
    desk.age(timedelta(minutes=11))
    assert desk.checks.begin(desk.acme, SUPPORT)["check"]["id"] != first


def test_nobody_is_flooded_with_challenges(desk: Checks) -> None:
    for _ in range(MOST_AN_HOUR):
        desk.begin()
    with pytest.raises(InvalidInput, match="within the hour"):
        desk.begin()
    desk.age(timedelta(hours=1))
    desk.begin()
    desk.consistent()


# --- it comes back ---


def test_a_challenge_that_comes_back_teaches_its_mailboxs_forwarder_and_opens_no_ticket(desk: Checks) -> None:
    content = desk.begin()
    before = desk.rows(Change)[0].number
    outcome = desk.returned(content, taught := forwarder())
    assert (outcome.reason, outcome.ticket) == (Reason.CHALLENGE_RETURNED, None)
    assert desk.known() == [taught]
    assert desk.known(SALES) == []
    assert desk.rows(Change)[0].number > before
    assert (desk.state()["check"]["state"], desk.state()["check"]["learnt"]) == ("returned", True)
    assert [s["outcome"] for s in desk.steps(outcome, "challenge")] == ["learnt"]
    assert (desk.rows(Ticket), desk.told("acknowledgement"), desk.told("new-ticket")) == ([], [], [])
    desk.consistent()


def test_messages_do_not_carry_the_forwarders_along(desk: Checks) -> None:
    desk.returned(desk.begin())
    assert desk.known()
    desk.file(numbered(1))
    assert all("mail.acme.test" not in (row.facts or "") for row in desk.rows(MessageRow) if row.ticket_id)


def test_a_copy_by_the_same_server_changes_nothing(desk: Checks) -> None:
    content = desk.begin()
    desk.returned(content)
    known = desk.known()
    again = desk.returned(content, forwarder("192.0.2.128/25"), n=2)
    assert (desk.known(), again.reason) == (known, Reason.CHALLENGE_RETURNED)
    assert [s["outcome"] for s in desk.steps(again, "challenge")] == ["again"]


def test_a_second_return_by_another_server_unteaches_the_first(desk: Checks) -> None:
    """One of the two is somebody who reads the mailbox: which, nobody can tell."""
    content = desk.begin()
    desk.returned(content)
    again = desk.returned(content, forwarder("198.51.100.0/24"), n=2)
    assert desk.known() == []
    check = desk.state()["check"]
    assert (check["learnt"], [r["code"] for r in check["remarks"]]) == (False, ["came-twice", "not-learnt"])
    assert [s["outcome"] for s in desk.steps(again, "challenge")] == ["forgotten"]
    desk.returned(content, n=3)
    assert desk.known() == []


def test_of_a_provider_the_reverse_path_tells_servers_apart_and_not_the_network(desk: Checks) -> None:
    mine = forwarder(provider="google", reverse_path="support+caf_=support=acme.gw.test@acme.test")
    content = desk.begin()
    desk.returned(content, mine)
    desk.returned(content, replace(mine, networks=("203.0.113.0/24",)), n=2)
    assert desk.known() == [mine]
    desk.returned(content, replace(mine, reverse_path="eve+caf_=support=acme.gw.test@gmail.com"), n=3)
    assert desk.known() == []


def test_what_proves_nothing_teaches_nothing_and_the_true_return_still_does(desk: Checks) -> None:
    content = desk.begin()
    desk.returned(content, forwarder("198.51.100.0/24"), why_not="it is a copy")
    check = desk.state()["check"]
    assert (desk.known(), check["state"], check["learnt"], check["why_not"]) == ([], "open", False, "it is a copy")
    desk.returned(content, taught := forwarder(), n=2)
    assert desk.known() == [taught]
    assert desk.state()["check"]["why_not"] == ""


def test_a_copy_that_proves_nothing_does_not_unteach_either(desk: Checks) -> None:
    content = desk.begin()
    desk.returned(content)
    desk.returned(content, forwarder("198.51.100.0/24"), why_not="it is a copy", n=2)
    assert len(desk.known()) == 1


def test_after_its_time_a_challenge_teaches_nothing_and_is_still_nobodys_mail(desk: Checks) -> None:
    content = desk.begin()
    desk.age(LIFE + timedelta(seconds=1))
    outcome = desk.returned(content)
    assert (desk.known(), outcome.reason, desk.state()["check"]["state"]) == ([], Reason.CHALLENGE_RETURNED, "expired")


def test_the_same_server_learnt_anew_takes_its_own_place_and_keeps_its_id(desk: Checks) -> None:
    desk.returned(desk.begin(), first := forwarder())
    desk.returned(desk.begin(), changed := forwarder(form=Form.UNCHANGED), n=2)
    assert desk.known() == [replace(changed, id=first.id)]


def test_a_company_that_moves_has_two_forwarders_and_never_more_than_eight(desk: Checks) -> None:
    for n in range(10):
        desk.returned(desk.begin(), forwarder(f"198.51.{n}.0/24"), n=n)
    assert [f.networks[0] for f in desk.known()] == [f"198.51.{n}.0/24" for n in range(2, 10)]


def test_a_retry_of_a_return_teaches_no_second_time(desk: Checks) -> None:
    content = desk.begin()
    desk.returned(content)
    challenges.forget_forwarder(desk.store, desk.acme, *_of(desk))
    assert desk.returned(content).duplicate
    assert desk.known() == []


def _of(desk: Checks) -> tuple[str, str]:
    (row,) = desk.rows(ForwarderRow)
    return row.mailbox_id, row.id


# --- who is recognised ---


def test_a_text_that_quotes_an_awaited_challenge_is_the_challenge_and_later_somebodys_mail(desk: Checks) -> None:
    """Exchange forwards as a new message; a person who asks about it afterwards must be heard."""
    desk.begin()
    (row,) = desk.rows(ChallengeRow)
    quoting = numbered("q", text=f"> challenge.{row.token}\r\nWhat is this?")
    first, filing = desk.answer(quoting, Answered(forwarder(), (REMARK,)))
    assert (first.reason, filing.facts and filing.facts.context.challenge is not None) == (
        Reason.CHALLENGE_RETURNED,
        True,
    )
    assert desk.file(numbered("r", text=f"> challenge.{row.token}\r\nWhat was this?")).ticket == 1


def test_a_challenge_is_known_by_any_of_its_marks(desk: Checks) -> None:
    desk.begin()
    (row,) = desk.rows(ChallengeRow)
    attached = (
        f"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <{row.message_id}>\r\nSubject: x\r\n\r\nx\r\n--b--"
    )
    mixed = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"'
    for n, content in enumerate(
        [
            numbered("a", f"X-Forwarding-Check: challenge.{row.token}"),
            numbered("b", f"References: <{row.message_id}>"),
            numbered("c", text=f"challenge.{row.token}"),
            numbered("d").replace(b"Subject: Pump", f"Subject: FW: Forwarding check {row.word}".encode()),
            numbered("e", mixed, text=attached),
            numbered("f").replace(b"<f@customer.test>", f"<{row.message_id.upper()}>".encode()),
        ]
    ):
        filing = desk.filing(content)
        assert filing.facts
        assert filing.facts.context.challenge == challenges_of(desk)[0], n


def challenges_of(desk: Checks) -> list[Any]:
    return [challenge_of(row) for row in desk.rows(ChallengeRow)]


def test_another_accounts_mail_and_made_up_tokens_are_ordinary(desk: Checks) -> None:
    content = desk.begin()
    (row,) = desk.rows(ChallengeRow)
    assert desk.file(content, account="globex").ticket == 1
    forged = ("a" if row.token[0] != "a" else "b") + row.token[1:]
    assert desk.file(content.replace(row.token.encode(), forged.encode()).replace(row.word.encode(), b"")).ticket == 1


def test_ordinary_mail_asks_nothing_of_challenges(desk: Checks) -> None:
    """The way to 250 is short: a word in memory decides whether the database is asked."""
    said: list[str] = []
    with desk.store.read() as connection:
        reader = connection.engine
    engines = {reader, desk.store._writer}
    desk.file(numbered(1))
    for engine in engines:
        event.listen(engine, "before_cursor_execute", lambda *a: said.append(a[2]))
    desk.file(numbered(2, text="a challenge. Or more: challenge.x, challenge+y"))
    assert said
    assert not [s for s in said if "challenge" in s.lower().split("insert into")[0] or "FROM forwarder" in s]


# --- reports ---


def report(desk: Checks, remark: Remark, n: int = 1) -> Accepted:
    (row,) = desk.rows(ChallengeRow)
    content = numbered(f"report-{n}")
    return desk.answer(content, Answered(None, (remark,)), to=row.reverse_path, reverse_path=None)[0]


def test_a_bounce_is_what_came_of_the_check_and_no_ticket(desk: Checks) -> None:
    desk.begin()
    outcome = report(desk, BOUNCED)
    check = desk.state()["check"]
    assert (outcome.reason, outcome.ticket) == (Reason.CHALLENGE_REPORT, None)
    assert (check["state"], check["remarks"][0]["code"], check["trace"]) == ("bounced", BOUNCED.code, outcome.trace_id)


def test_a_forged_bounce_does_not_keep_the_challenge_from_teaching(desk: Checks) -> None:
    content = desk.begin()
    report(desk, BOUNCED)
    desk.returned(content, taught := forwarder())
    assert desk.known() == [taught]
    report(desk, BOUNCED, 2)
    assert desk.state()["check"]["state"] == "returned"


def test_a_report_of_delay_ends_nothing(desk: Checks) -> None:
    desk.begin()
    report(desk, Remark("not-yet", is_good=False, text="later"))
    check = desk.state()["check"]
    assert (check["state"], check["remarks"][0]["code"]) == ("open", "not-yet")


# --- forgetting ---


def test_a_mailbox_that_is_removed_takes_its_forwarders_along_and_is_taught_nothing_more(desk: Checks) -> None:
    first, second = desk.begin(SALES), desk.begin(SALES)
    desk.returned(first)
    assert desk.known(SALES)
    removal.remove_mailbox(desk.store, desk.acme, SALES)
    desk.returned(second, n=2)
    assert desk.rows(ForwarderRow) == []


def test_an_account_that_only_sent_challenges_leaves_nothing_behind(desk: Checks) -> None:
    globex = named.account_id(desk.store, "globex")
    desk.checks.begin(globex, "help@globex.test")
    removal.remove_account(desk.store, globex, "globex")
    assert (desk.rows(ChallengeRow), desk.rows(Outbox)) == ([], [])
    assert "globex" not in {a.name for a in desk.rows(Account)}


# --- drift ---


def drifting(desk: Checks, n: int, *drifts: Drift) -> Accepted:
    filing = desk.filing(numbered(n))
    assert filing.facts
    if "drifts" not in {f.name for f in dataclasses.fields(AuthReport)}:
        pytest.skip("the verifier does not tell of drift yet")
    auth = replace(filing.facts.auth, drifts=drifts)  # type: ignore[call-arg]
    (outcome,) = desk.write(replace(filing, facts=replace(filing.facts, auth=auth)))
    assert isinstance(outcome, Accepted)
    return outcome


def test_drift_is_told_once_for_each_thing_until_the_forwarder_is_learnt_anew(desk: Checks) -> None:
    desk.returned(desk.begin(), known := forwarder())
    form, network = (
        Drift(known.id, "form", "srs0", "unchanged"),
        Drift(known.id, "network", "192.0.2.0/24", "198.51.100.9"),
    )

    first, second, third = drifting(desk, 1, form), drifting(desk, 2, form), drifting(desk, 3, form, network)

    told = [[(s["outcome"], s["reason"]) for s in desk.steps(o, "forwarder")] for o in (first, second, third)]
    assert told == [[("drift", "form")], [], [("drift", "network")]]
    (step,) = desk.steps(first, "forwarder")
    assert step["detail"] == {
        "forwarder": known.id, "name": "mail.acme.test", "before": "srs0", "after": "unchanged",
    }  # fmt: skip
    assert [d["what"] for d in desk.state()["forwarders"][0]["drifts"]] == ["form", "network"]
    desk.returned(desk.begin(), forwarder(), n=2)
    assert desk.state()["forwarders"][0]["drifts"] == []
    assert desk.steps(drifting(desk, 4, form), "forwarder")


# --- Google ---


def asked(desk: Checks, content: bytes, *, signer: str = "google.com", sender: Sender = Sender.VERIFIED) -> Filing:
    results = (AuthResult("dkim", "pass", (("header.d", signer),)),)
    auth = AuthReport(results, sender, Level.VERIFIED, f"dkim:{signer}", MailPath.DIRECT, None, "reject", "proven")
    filing = desk.filing(content)
    assert filing.facts
    facts = replace(filing.facts, auth=auth)
    return replace(filing, facts=facts, decision=decide(facts, compile_policy(load(""), 0)))


GOOGLE = (
    b"From: Gmail Team <forwarding-noreply@google.com>\r\nTo: support@acme.gw.test\r\n"
    b"Subject: (#99427480) Gmail Forwarding Confirmation - Receive Mail from support@acme.test\r\n"
    b"Message-ID: <g@mail.gmail.com>\r\n\r\n"
    b"To confirm: https://mail-settings.google.com/mail/vf-%5BANGjdJ_x%5D-abc\r\n"
    b"To cancel: https://mail-settings.google.com/mail/uf-%5BANGjdJ_y%5D-abc\r\n"
)


def test_googles_question_waits_for_the_admins_and_is_no_ticket(desk: Checks) -> None:
    (outcome,) = desk.write(asked(desk, GOOGLE))
    assert isinstance(outcome, Accepted)
    assert (outcome.reason, outcome.ticket) == (Reason.FORWARDING_CONFIRMATION, None)
    (shown,) = desk.state()["confirmations"]
    assert (shown["asked_by"], shown["code"]) == (SUPPORT, "99427480")
    assert shown["link"] == "https://mail-settings.google.com/mail/vf-%5BANGjdJ_x%5D-abc"
    assert len(desk.rows(Confirmation)) == 1


@pytest.mark.parametrize(
    ("signer", "sender", "content"),
    [
        ("evil.test", Sender.VERIFIED, GOOGLE),
        ("google.com", Sender.UNVERIFIED, GOOGLE),
        ("google.com", Sender.VERIFIED, GOOGLE.replace(b"forwarding-noreply@google", b"someone@google")),
    ],
)
def test_what_only_looks_like_googles_is_ordinary_mail(
    desk: Checks, signer: str, sender: Sender, content: bytes
) -> None:
    (outcome,) = desk.write(asked(desk, content, signer=signer, sender=sender))
    assert isinstance(outcome, Accepted)
    assert (outcome.ticket, desk.rows(Confirmation)) == (1, [])
