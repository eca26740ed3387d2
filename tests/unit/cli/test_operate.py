"""What an operator asks: doctor, where, the log that goes on, components; and kept mail judged again."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.store.engine import Store
from tests.unit.cli.conftest import Cli, compose

MILD = "rules: []\n"
IGNORING = "rules: [{name: shop, if: {subject: {contains: shop}}, then: [ignore]}]\n"


def _agrees(cli: Cli) -> None:
    assert cli("audit", "--json").json["problems"] == []


def _publish(cli: Cli, text: str) -> None:
    cli("policy", "publish", cli.write("next.yaml", text), "--yes")


def _receive(cli: Cli, subject: str, author: str = "carol@customer.test") -> dict[str, Any]:
    arguments = ("--sender", author, "--recipient", "support@acme.gw.test", "--client-ip", "127.0.0.9")
    return dict(cli.process("receive", *arguments, "--json", stdin=compose(author, subject)).json)


def _log(cli: Cli, trace: str, outcome: str, minutes_ago: float, path: str | None, *recipients: str) -> None:
    """A line of the delivery log, as a session would have written it."""
    from sqlalchemy import insert

    from gateway.store.named import account_id
    from gateway.store.tables import Transaction

    store = Store(f"sqlite:///{cli.folder / 'var' / 'gateway.db'}", cli.folder / "var")
    values = {"trace_id": trace, "account_id": account_id(store, "acme"), "outcome": outcome, "reason": "scanner-down"}
    values |= {"at": datetime.now(UTC) - timedelta(minutes=minutes_ago), "reverse_path": path}
    with store.write() as connection:
        connection.execute(insert(Transaction).values(**values, recipients=list(recipients), reply="451 4.3.0 later"))
    store.close()


# --- messages and quarantine ---


def test_an_ignored_message_is_opened_as_a_ticket_once(cli: Cli) -> None:
    _publish(cli, IGNORING)
    ignored = _receive(cli, "shop letter")
    assert ignored["ticket"] is None

    opened = cli.process("message", "open", ignored["message"], "--account", "acme", "--json").json

    assert opened["ticket"] == 2
    assert cli("ticket", "show", "2", "--json").json["messages"][0]["disposition"] == "ticketed"
    again = cli.process("message", "open", ignored["message"], "--account", "acme", code=1)
    assert "is ticketed, not ignored" in again.err
    _agrees(cli)


def test_what_waits_or_broke_is_not_opened_but_the_way_is_named(cli: Cli) -> None:
    held = cli("quarantine", "list", "--json").json[0]["id"]
    parked = cli("parked", "list", "--json").json[0]["id"]

    for message, words in ((held, "quarantine release"), (parked, "parked rerun"), ("nope", "no message nope")):
        done = cli.process("message", "open", message, "--account", "acme", "--json", code=1)
        assert words in done.err
        assert done.out == ""


def test_a_message_deleted_from_quarantine_leaves_a_tombstone(cli: Cli) -> None:
    held = cli("quarantine", "list", "--json").json[0]

    deleted = cli("quarantine", "delete", held["id"], "--json").json

    assert deleted["disposition"] == "erased"
    shown = cli("message", "show", held["id"], "--json").json
    assert (shown["disposition"], shown["subject"], shown["text"], shown["attachments"]) == ("erased", "", "", [])
    assert (shown["sha256"], shown["size_bytes"]) == (held["sha256"], held["size_bytes"])
    assert f"by {getpass.getuser()}" in cli("trace", held["trace"]).out
    assert cli("audit", "--json").json["counts"]["erased"] == 1
    assert "is erased" in cli("quarantine", "delete", held["id"], code=1).err
    assert "its content is gone" in cli.process("quarantine", "release", held["id"], "--account", "acme", code=1).err


def test_the_blob_of_a_large_message_goes_with_it(cli: Cli) -> None:
    arguments = ("--sender", "carol@customer.test", "--recipient", "support@acme.gw.test", "--json")
    large = compose("carol@customer.test", "suspicious size", text="x" * 70 + "\n", fields=0) + b"y\r\n" * 200_000
    message = cli.process("receive", *arguments, stdin=large).json["message"]
    blobs = [p for p in (cli.folder / "var" / "blobs").glob("*/*") if p.is_file()]
    assert [p.name for p in blobs] == [message]

    cli("quarantine", "delete", message)

    assert not blobs[0].exists()
    _agrees(cli)


def test_only_quarantine_is_deleted(cli: Cli) -> None:
    ticketed = cli("ticket", "list", "--json").json[0]["messages"][0]

    assert "is ticketed, not quarantined" in cli("quarantine", "delete", ticketed, code=1).err
    assert "no message nope" in cli("quarantine", "delete", "nope", code=1).err


def test_a_notification_is_cancelled_once(cli: Cli) -> None:
    owed = cli("outbox", "list", "--json").json[0]

    assert cli("outbox", "cancel", owed["id"], "--json").json["was"] == "pending"

    now = next(n for n in cli("outbox", "list", "--json").json if n["id"] == owed["id"])
    assert (now["state"], now["next_at"]) == ("cancelled", None)
    assert getpass.getuser() in now["last_reply"]
    assert "is cancelled already" in cli("outbox", "cancel", owed["id"], code=1).err
    assert "gateway outbox list" in cli("outbox", "cancel", "nope", code=1).err
    _agrees(cli)


# --- reprocess ---


def _reprocess(cli: Cli, *arguments: str, code: int = 0) -> Any:
    return cli.process("reprocess", "--account", "acme", "--since", "1d", "--json", *arguments, code=code).json


def test_a_milder_policy_makes_tickets_of_what_waited_and_tells_nobody(cli: Cli) -> None:
    _publish(cli, MILD)
    owed = len(cli("outbox", "list", "--json").json)

    planned = _reprocess(cli, "--dry-run")
    assert [(c["before"], c["after"], c["done"]) for c in planned] == [("quarantined", "ticketed", False)]
    assert len(cli("quarantine", "list", "--json").json) == 1

    done = _reprocess(cli)

    assert [(c["after"], c["ticket"], c["done"]) for c in done] == [("ticketed", 2, True)]
    assert len(cli("outbox", "list", "--json").json) == owed
    assert "reprocessed without late notices" in cli("trace", done[0]["trace"]).out
    assert _reprocess(cli) == []
    _agrees(cli)


def test_late_notices_leave_where_they_are_wanted(cli: Cli) -> None:
    _publish(cli, MILD)

    _reprocess(cli, "--notify")

    told = {(n["kind"], n["recipient"]) for n in cli("outbox", "list", "--json").json if n["ticket"] == 2}
    assert told == {("new-ticket", "ann@acme.test"), ("acknowledgement", "carol@customer.test")}
    _agrees(cli)


def test_a_ticket_stays_one_whatever_the_policy_says_now(cli: Cli) -> None:
    _publish(cli, 'block: [{sender: "carol@customer.test"}]\n')

    told = _reprocess(cli, "--disposition", "ticketed")

    assert [(c["before"], c["after"], c["done"]) for c in told] == [("ticketed", "quarantined", False)]
    assert "stays one" in told[0]["problem"]
    assert cli("ticket", "list", "--json").json[0]["messages"]
    _agrees(cli)


def test_what_is_parked_runs_again_only_when_asked_for(cli: Cli) -> None:
    assert _reprocess(cli) == []

    assert [c["after"] for c in _reprocess(cli, "--disposition", "parked", "--dry-run")] == ["runs again"]
    assert _reprocess(cli, "--disposition", "parked") == [], "it is too complex as before"
    _agrees(cli)


def test_since_and_disposition_are_checked(cli: Cli) -> None:
    assert "--since" in cli("reprocess", code=2).err
    assert "90m, 1h, 2d" in cli("reprocess", "--since", "yesterday", code=2).err
    assert "its content is gone" in cli("reprocess", "--since", "1d", "--disposition", "erased", code=2).err


# --- where ---


def test_where_says_in_a_sentence_what_became_of_each_mail(cli: Cli) -> None:
    cli("ticket", "assign", "1", "ann@acme.test")

    sentences = cli("where", "--sender", "Carol@customer.test").out.splitlines()

    assert len(sentences) == 3
    assert "urgent pump" in sentences[0]
    assert sentences[0].endswith("→ ticket 1, assigned to Ann, confirmation on its way")
    assert "quarantined: quarantined-by-rule (message " in sentences[1]
    assert "parked: too-complex (message " in sentences[2]


def test_where_as_json_is_a_list_with_the_sentences(cli: Cli) -> None:
    found = cli("where", "--sender", "x@spam.test", "--json").json

    assert [(f["outcome"], f["ticket"]) for f in found] == [("refused", None)]
    assert f"refused: blocked (trace {found[0]['trace']})" in found[0]["sentence"]
    assert cli("where", "--sender", "x@spam.test", "--since", "0s", "--json").json == []


def test_where_finds_senders_that_a_forwarder_rewrote(cli: Cli) -> None:
    _log(cli, "A" * 16, "refused", 5, "SRS0=abcd=tt=customer.test=dora@acme.test", "support@acme.gw.test")
    _log(cli, "B" * 16, "deferred", 4, "prvs=1234abcd=dora@customer.test", "support@acme.gw.test")

    sentences = cli("where", "--sender", "dora@customer.test").out.splitlines()

    assert "refused: scanner-down (trace AAAA" in sentences[0]
    assert sentences[1].endswith("it has not come back yet")


def test_where_nothing_came_the_last_mail_at_all_is_told(cli: Cli) -> None:
    assert (
        "nothing from eve@customer.test reached us; the last mail for acme came"
        in cli("where", "--sender", "eve@customer.test").out
    )
    assert cli("where", "--sender", "eve@customer.test", "--json").json == []
    cli("account", "add", "globex")
    assert "no mail for globex ever did" in cli("where", "--sender", "eve@customer.test", "--account", "globex").out
    assert "no mail address" in cli("where", "--sender", "eve", code=1).err
    assert "no account" in cli("where", "--sender", "eve@customer.test", "--account", "nope", code=1).err


# --- log ---


def test_unreturned_are_those_whose_sender_settled_nothing_later(cli: Cli) -> None:
    _log(cli, "A" * 16, "deferred", 50, "gone@customer.test", "support@acme.gw.test")
    _log(cli, "B" * 16, "deferred", 40, "prvs=1=back@customer.test", "support@acme.gw.test")
    _log(cli, "C" * 16, "accepted", 30, "prvs=2=Back@customer.test", "Support@acme.gw.test")
    _log(cli, "D" * 16, "deferred", 20, "half@customer.test", "a@acme.gw.test", "b@acme.gw.test")
    _log(cli, "E" * 16, "accepted", 10, "half@customer.test", "a@acme.gw.test")

    found = cli("log", "--unreturned", "--json").json

    assert [x["trace"][0] for x in found] == ["A", "D"]
    assert [x["trace"][0] for x in cli("log", "--unreturned", "--limit", "1", "--json").json] == ["D"]
    assert "AAAA" in cli("log", "--unreturned").out


def test_the_log_goes_on_with_one_object_a_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt
        _log(cli, str(len(waits)) * 16, "deferred", len(waits), None, "support@acme.gw.test")

    monkeypatch.setattr("gateway.cli.log.time.sleep", wait)

    done = cli("log", "--follow", "--json", code=130)

    import json

    assert [json.loads(line)["trace"][0] for line in done.out.splitlines()] == ["1", "2"]
    assert waits == [1.0] * 3


def test_the_log_goes_on_after_what_was_asked_for(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.cli.log.time.sleep", wait)

    assert len(cli("log", "--follow", "--since", "1h", "--outcome", "refused", code=130).out.splitlines()) == 1


def test_a_database_that_is_away_does_not_end_the_log(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.core.errors import StoreUnavailable
    from gateway.store import log_reading

    waits: list[float] = []
    good = log_reading.log_lines

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    def bad(*arguments: Any) -> Any:
        if len(waits) == 1:
            raise StoreUnavailable("database is gone")
        return good(*arguments)

    monkeypatch.setattr("gateway.cli.log.time.sleep", wait)
    monkeypatch.setattr(log_reading, "log_lines", bad)

    assert "database is gone; trying again" in cli("log", "--follow", code=130).err


@pytest.mark.parametrize("arguments", [("--follow", "--unreturned"), ("--unreturned", "--outcome", "refused")])
def test_filters_that_contradict_each_other_are_refused(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert "leave out" in cli("log", *arguments, code=2).err


# --- doctor ---


def _checks(cli: Cli, code: int) -> dict[str, tuple[str, str]]:
    found = cli("doctor", "--json", code=code).json
    assert all(set(f) == {"check", "status", "detail"} for f in found)
    return {f["check"]: (f["status"], f["detail"]) for f in found}


def test_doctor_names_what_fails_and_the_cure(cli: Cli) -> None:
    checks = _checks(cli, code=1)

    for name in ("configuration", "database", "secret key", "blobs", "disk", "clock"):
        assert checks[name][0] == "ok", name
    assert checks["relay"][0] == "fail"
    assert "sesame" not in str(checks)
    assert checks["clamd"][0] == "warn"
    assert "gw1._domainkey.acme.gw.test" in checks["account acme"][1]
    assert [p.name for p in (cli.folder / "var" / "blobs").rglob("*")] == ["belongs-to"], "the probe is gone"


def test_doctor_tells_a_folder_that_is_not_the_blobs(cli: Cli) -> None:
    """Its disk is not mounted, say."""
    mark = cli.folder / "var" / "blobs" / "belongs-to"
    kept = mark.read_text()
    mark.unlink()
    status, detail = _checks(cli, code=1)["blobs"]
    assert (status, f"echo {kept.strip()} > {mark}" in detail) == ("fail", True)


def test_doctor_tells_a_domain_that_the_accounts_are_not_below(cli: Cli) -> None:
    toml = cli.folder / "gateway.toml"
    toml.write_text(toml.read_text().replace('domain = "gw.test"', 'domain = "other.test"'))
    assert _checks(cli, code=1)["domain"][0] == "fail"


def test_doctor_is_content_with_warnings(cli: Cli) -> None:
    toml = (cli.folder / "gateway.toml").read_text()
    cli.write("gateway.toml", toml.replace('"smtp+starttls://gateway:sesame@127.0.0.1:587"', '"file:out"'))

    lines = cli("doctor").out.splitlines()

    assert lines[0].startswith("ok    configuration: good")
    assert all(line.startswith(("ok    ", "warn  ")) for line in lines)
    assert not (cli.folder / "out").exists()


def test_doctor_tells_a_bad_configuration_as_a_finding(bare: Cli) -> None:
    bare.write("gateway.toml", "smtp.listn = []\nhostname = 5\n")

    done = bare("doctor", "--json", code=1)

    assert {(f["check"], f["status"]) for f in done.json} == {("configuration", "fail")}
    assert len(done.json) == 2


def test_doctor_before_the_database_is_made_leaves_nothing_behind(bare: Cli) -> None:
    checks = _checks(bare, code=1)

    assert checks["database"][0] == "fail"
    assert "gateway db upgrade" in checks["database"][1]
    assert not list((bare.folder / "var").rglob("*.db"))


def test_doctor_notices_a_secret_that_is_not_this_databases(cli: Cli) -> None:
    import base64

    (cli.folder / "var" / "secret.key").write_text(base64.b64encode(b"x" * 32).decode() + "\n")

    assert _checks(cli, code=1)["secret key"][0] == "fail"


def test_doctor_notices_mail_from_the_future(cli: Cli) -> None:
    _log(cli, "F" * 16, "refused", -90, None, "support@acme.gw.test")

    status, detail = _checks(cli, code=1)["clock"]
    assert status == "warn"
    assert "NTP" in detail


# --- components and completion ---


def test_components_are_listed_by_kind(cli: Cli) -> None:
    found = {(c["kind"], c["name"]) for c in cli("components", "--json").json}

    wanted = {("check", "dkim"), ("scanner", "clamav"), ("condition", "subject"), ("action", "quarantine")}
    assert wanted | {("strategy", "least-open"), ("notification", "acknowledgement")} <= found
    assert "least-open" in cli("components").out


def test_components_need_no_configuration(cli: Cli) -> None:
    cli.write("gateway.toml", "nonsense = 1\n")

    assert cli("components", "--json").json


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("gateway tick", "ticket"),
        ("gateway ticket show ", "1"),
        ("gateway ticket assign 1 a", "ann@acme.test"),
        ("gateway log --account ac", "acme"),
        ("gateway policy starter lang", "language-teams"),
        ("gateway policy publish p.yaml --team s", "support"),
        ("gateway agent add x@acme.test --team s", "support"),
        ("gateway mailbox add x@acme.test --team s", "support"),
        ("gateway ticket assign 1 --team s", "support"),
        ("gateway key add --team s", "support"),
        ("gateway team edit s", "support"),
    ],
)
def test_shells_complete_commands_names_and_numbers(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, words: str, completed: str
) -> None:
    monkeypatch.setenv("GATEWAY_CONFIG", str(cli.folder / "gateway.toml"))
    monkeypatch.setenv("_GATEWAY_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", words)

    assert completed in cli().out


def test_a_shell_that_completes_meets_no_complaints(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_CONFIG", str(bare.folder / "nowhere.toml"))
    monkeypatch.setenv("_GATEWAY_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "gateway ticket show ")

    done = bare()

    assert "Error" not in done.out + done.err


def test_two_who_release_a_message_at_once_make_one_ticket_and_lose_no_content(cli: Cli) -> None:
    """Both had read it as quarantined; the second must neither make a ticket nor take the blob for a retry's."""
    import asyncio

    from gateway.configuration import load
    from gateway.core.outcome import Accepted, Outcome
    from gateway.ground import open_ground
    from gateway.journey import Again
    from gateway.line import Line
    from gateway.store.named import account_id
    from gateway.store.stored_message import stored_message

    arguments = ("--sender", "carol@customer.test", "--recipient", "support@acme.gw.test", "--json")
    large = compose("carol@customer.test", "suspicious size") + b"y\r\n" * 200_000
    message = cli.process("receive", *arguments, stdin=large).json["message"]
    ground = open_ground(load(cli.folder / "gateway.toml", {}))
    stored = stored_message(ground.store, ground.blobs, account_id(ground.store, "acme"), message)

    async def twice() -> list[Outcome]:
        async with Line(ground) as line:
            again = [line.intake.again(stored.envelope, message, Again(stored.facts, released=True)) for _ in range(2)]
            return list(await asyncio.gather(*again))

    outcomes = asyncio.run(twice())
    ground.close()

    assert sorted(o.duplicate for o in outcomes if isinstance(o, Accepted)) == [False, True]
    assert len(cli("ticket", "list", "--json").json) == 2
    _agrees(cli)
