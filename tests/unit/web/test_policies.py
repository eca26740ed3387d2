"""Policies by the API: checked, tried, published now or later, run in the shadow; by admins and by team managers."""

from __future__ import annotations

import base64
from itertools import count
from typing import Any

import pytest

from gateway.commands import accounts
from gateway.commands import publish as publishing
from gateway.commands.team_rules import publish_team_rules
from gateway.store import changes, named
from gateway.store.changes import NewAccount
from gateway.web import bodies, long_work, orders
from gateway.web.api import policy_trials
from gateway.web.security import key_digest
from tests.servers.inprocess import numbered
from tests.unit.web.conftest import Api, problem

BAD = "rules:\n  - name: x\n    then: [{route: nobody}]\n"
IGNORE = "rules: [{name: all, then: [ignore]}]"
TAG = "rules: [{name: all, then: [{tag: [t]}]}]"
_numbers = count()


class Office:
    """An account of one's own: what is published in it disturbs no other test."""

    def __init__(self, api: Api) -> None:
        self.api, ground = api, api.world.ground
        self.name = f"office{next(_numbers)}"
        accounts.add_account(ground.store, ground.secret, ground.settings, NewAccount("", self.name, "O", "", b"", ""))
        self.id = named.account_id(ground.store, self.name)
        self.admin = self.key("admin")

    def key(self, scope: str, team: str | None = None) -> str:
        key = f"gw_{self.name}_{scope}_{team}"
        changes.add_key(self.api.world.ground.store, self.id, scope=scope, digest=key_digest(key), team=team)
        return key

    async def __call__(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        url = f"/api/v1/accounts/{self.name}/policies{path}"
        return await self.api(url, method=method, key=key or self.admin, json=body)


@pytest.fixture
def office(api: Api) -> Office:
    return Office(api)


# --- publishing ---


async def test_a_policy_is_published_as_the_next_version(office: Office) -> None:
    answer = await office("POST", "", {"text": TAG, "note": "tags"})
    nothing_else = {"scheduled": None, "due_at": None, "dropped_rules": [], "replay": None}
    assert (answer.status_code, answer.json()) == (201, {"version": 1, **nothing_else})
    version = (await office("GET", "/1")).json()
    assert (version["text"], version["note"], version["live"], version["probation"]) == (TAG, "tags", True, False)
    assert version["author"].startswith("API key ")


async def test_a_policy_that_takes_tickets_away_is_refused_with_the_mail_it_is_about(api: Api) -> None:
    before = (await api("policies")).json()
    key = api.world.new_key("acme", "admin")[1]
    told = problem(await api("policies", method="POST", key=key, json={"text": IGNORE}), 409)
    assert "`yes`" in told["detail"]
    assert told["replay"]["worse"] > 0
    group = told["replay"]["groups"][0]
    assert (group["worse"], group["differences"][0]["after"]) == (True, "ignored (ignored-by-rule)")
    assert group["messages"][0]["author"]
    assert (await api("policies")).json() == before


@pytest.mark.parametrize(
    ("method", "path"), [("POST", ""), ("POST", "/check"), ("POST", "/replay"), ("PUT", "/shadow")]
)
async def test_a_bad_policy_is_told_with_its_places(office: Office, method: str, path: str) -> None:
    told = problem(await office(method, path, {"text": BAD}), 422)
    (mistake,) = told["problems"]
    assert (mistake["line"], mistake["path"]) == (3, "rules[0].then[0].route")
    assert "nobody" in mistake["message"]
    assert (await office("GET", "")).json()["items"] == []


async def test_a_good_policy_is_called_good_with_its_rules_counted(office: Office) -> None:
    text = TAG + "\nteams: {support: {rules: [{name: mine, then: [{tag: [s]}]}]}}\n"
    assert (await office("POST", "/check", {"text": text})).json() == {"ok": True, "rules": 2, "remarks": []}
    twice = "rules: [{name: r, then: [ignore, quarantine]}]"
    (remark,) = (await office("POST", "/check", {"text": twice})).json()["remarks"]
    assert "`quarantine` never happens" in remark


async def test_a_version_is_published_later_and_withdrawn(office: Office) -> None:
    done = (await office("POST", "", {"text": TAG, "at": "2126-12-01T08:00:00+01:00"})).json()
    assert (done["version"], done["due_at"]) == (None, "2126-12-01T07:00:00Z")
    (waits,) = (await office("GET", "/scheduled")).json()["items"]
    assert (waits["id"], waits["ended_at"], waits["text"]) == (done["scheduled"], None, TAG)
    assert (await office("DELETE", f"/scheduled/{waits['id']}")).status_code == 200
    problem(await office("DELETE", f"/scheduled/{waits['id']}"), 404)
    (ended,) = (await office("GET", "/scheduled")).json()["items"]
    assert ended["result"].startswith("withdrawn by API key ")


@pytest.mark.parametrize("at", ["soon", "2020-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"])
async def test_a_time_that_never_comes_is_a_mistake(office: Office, at: str) -> None:
    told = problem(await office("POST", "", {"text": TAG, "at": at}), 400)
    assert told["errors"][0]["where"] == "body: at"
    assert "--" not in told["detail"]


@pytest.mark.parametrize(
    ("at", "what", "cure"),
    [
        ("", "'' is no time", "write a time of RFC 3339 "),
        ("yesterday; drop", "'yesterday; drop' is no time", "write a time of RFC 3339 "),
        ("2020-01-01", "'2020-01-01' is past", "without `at` it is published at once"),
    ],
)
async def test_a_bad_time_was_told_without_a_cure_or_cut_in_the_wrong_place(
    office: Office, at: str, what: str, cure: str
) -> None:
    (mistake,) = problem(await office("POST", "", {"text": TAG, "at": at}), 400)["errors"]
    assert mistake["what"] == what
    assert mistake["cure"].startswith(cure)


async def test_refusals_speak_of_the_fields_of_the_body_and_not_of_options(office: Office) -> None:
    past = problem(await office("POST", "", {"text": TAG, "at": "2020-01-01T00:00:00Z"}), 400)
    assert "without `at` it is published at once" in past["errors"][0]["cure"]
    raw = base64.b64encode(numbered(1)).decode()
    lone = problem(await office("POST", "/test", {"raw": raw, "helo": "mx.customer.test"}), 409)["detail"]
    assert lone.startswith("`helo` 'mx.customer.test': ")
    assert lone.endswith("`client_ip` IP")
    foreign = problem(await office("POST", "/test", {"raw": raw, "recipient": "no address"}), 409)["detail"]
    assert foreign.startswith("`recipient` 'no address': ")


async def test_an_old_version_is_published_anew(office: Office) -> None:
    for text in (TAG, ""):
        await office("POST", "", {"text": text})
    assert (await office("POST", "/rollback", {"version": 1})).json()["version"] == 3
    version = (await office("GET", "/3")).json()
    assert (version["text"], version["rolled_back_from"]) == (TAG, 1)
    problem(await office("POST", "/rollback", {"version": 9}), 404)
    assert "version 3 is live already" in problem(await office("POST", "/rollback", {"version": 3}), 409)["detail"]


async def test_what_a_version_changed_is_a_unified_diff(office: Office) -> None:
    for text in (TAG, TAG.replace("[t]", "[u]")):
        await office("POST", "", {"text": text})
    found = (await office("GET", "/2/diff")).json()
    assert (found["version"], found["against"]) == (2, 1)
    assert found["diff"].splitlines()[-2:] == ["-" + TAG, "+" + TAG.replace("[t]", "[u]")]
    assert (await office("GET", "/1/diff?against=1")).json()["diff"] == ""
    problem(await office("GET", "/2/diff?against=9"), 404)


# --- a team's manager ---


async def test_a_teams_key_publishes_that_teams_rules_and_nothing_else(office: Office) -> None:
    await office("POST", "", {"text": "# ours\naccept: {senders: contacts}\n"})
    key = office.key("write", "support")
    assert (await office("POST", "", {"text": TAG, "team": "support"}, key=key)).json()["version"] == 2
    text = (await office("GET", "/2", key=key)).json()["text"]
    assert text == f"# ours\naccept: {{senders: contacts}}\nteams:\n  support:\n    {TAG}\n"

    for body in ({"text": TAG}, {"text": TAG, "team": "finance"}, {"text": TAG, "at": "2126-12-01T08:00:00Z"}):
        problem(await office("POST", "", body, key=key), 403)
    for method, path, body in (
        ("POST", "/rollback", {"version": 1}),
        ("PUT", "/shadow", {"text": TAG}),
        ("DELETE", "/shadow", None),
        ("POST", "/shadow/publish", {}),
    ):
        problem(await office(method, path, body, key=key), 403)
    told = problem(
        await office("POST", "", {"text": "accept: {senders: anyone}\nrules: []", "team": "support"}, key=key), 422
    )
    assert told["problems"][0]["line"] == 1
    assert len((await office("GET", "")).json()["items"]) == 2


async def test_a_key_that_writes_but_is_no_teams_publishes_nothing(office: Office) -> None:
    told = problem(await office("POST", "", {"text": TAG, "team": "support"}, key=office.key("write")), 403)
    assert "scope admin" in told["detail"]


@pytest.mark.parametrize("team", ["nope", ""])
async def test_a_team_that_is_none_is_no_mistake_of_the_accounts_policy(office: Office, team: str) -> None:
    told = problem(await office("POST", "", {"text": TAG, "team": team}), 422)
    (mistake,) = told["errors"]
    assert (mistake["where"], mistake["what"]) == ("body: team", f"there is no team '{team}'")
    assert "support" in mistake["cure"]
    assert "problems" not in told


@pytest.mark.parametrize(("path", "body"), [("", {"text": ""}), ("/rollback", {"version": 1})])
async def test_neither_a_document_nor_a_rollback_drops_a_teams_rules_unasked(
    office: Office, path: str, body: dict[str, Any]
) -> None:
    await office("POST", "", {"text": "# ours\n"})
    await office("POST", "", {"text": TAG, "team": "support"})
    told = problem(await office("POST", path, body), 409)
    assert (told["dropped_rules"], "`yes`" in told["detail"]) == (["team support: all"], True)
    done = (await office("POST", path, {**body, "yes": True})).json()
    assert (done["version"], done["dropped_rules"], done["replay"]) == (3, ["team support: all"], None)


@pytest.mark.parametrize(("path", "body"), [("", {"text": "# ours\n"}), ("/rollback", {"version": 1})])
async def test_what_a_manager_published_meanwhile_was_lost(
    office: Office, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any]
) -> None:
    for text in ("# ours\n", "# theirs\n"):
        await office("POST", "", {"text": text})
    found_out, published = publishing.dropped, []

    def dropped(*arguments: Any) -> Any:
        found = found_out(*arguments)
        if not published:
            published.append(publish_team_rules(office.api.world.ground.store, office.id, "support", TAG))
        return found

    monkeypatch.setattr(publishing, "dropped", dropped)
    assert problem(await office("POST", path, body), 409)["dropped_rules"] == ["team support: all"]
    assert (await office("GET", "/3")).json()["live"]


# --- trying ---


async def test_one_kept_message_is_tested_with_every_condition(api: Api) -> None:
    text = "rules: [{name: p, if: {subject: {contains: plain}}, then: [{tag: [seen]}]}, {name: q, if: {kind: answer}, then: [ignore]}]"
    judged = (
        await api("policies/test", method="POST", json={"text": text, "message": api.world.messages["plain"]})
    ).json()
    assert (judged["disposition"], judged["subject"]) == ("accept", "Pump plain")
    rules = {r["rule"]: (r["result"], r["conditions"][0]["holds"]) for r in judged["rules"]}
    assert rules == {"p": ("matched", True), "q": ("not matched", False)}
    assert {"effect": "tag", "tag": "seen"} in judged["effects"]


async def test_a_published_version_and_the_live_one_are_tested(api: Api) -> None:
    message = api.world.messages["quarantined"]
    for body, disposition in (({}, "quarantine"), ({"version": 2}, "quarantine"), ({"version": 1}, "accept")):
        judged = await api("policies/test", method="POST", json={"message": message, **body})
        assert judged.json()["disposition"] == disposition, body


async def test_a_message_that_never_came_is_tested_and_not_kept(api: Api) -> None:
    before = await api.items("messages")
    raw = base64.b64encode(numbered("suspicious")).decode()
    judged = (await api("policies/test", method="POST", json={"raw": raw, "client_ip": "127.0.0.9"})).json()
    assert (judged["disposition"], judged["mailbox"]) == ("quarantine", "support@acme.test")
    assert await api.items("messages") == before


@pytest.mark.parametrize("name", ["parked", "foreign"])
async def test_what_cannot_be_judged_is_told(api: Api, name: str) -> None:
    answer = await api("policies/test", method="POST", json={"message": api.world.messages[name]})
    problem(answer, 409 if name == "parked" else 404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": "0" * 32, "raw": "eA=="},
        {"message": "x"},
        {"raw": "*"},
        {"raw": "eA==", "text": "", "version": 1},
        {"message": "0" * 32, "sender": "a@b.test"},
        {"raw": "eA==", "sender": "a\nb"},
        {"raw": "eA==", "unknown": 1},
        {"raw": base64.b64encode(b"x" * (orders.MOST_RAW_BYTES + 1)).decode()},
        [],
        "text",
    ],
)
async def test_a_test_of_nothing_or_of_two_things_is_a_mistake(api: Api, body: Any) -> None:
    told = problem(await api("policies/test", method="POST", json=body), 400)
    assert all(e["where"].startswith("body") and e["cure"] for e in told["errors"])


async def test_past_mail_is_replayed(api: Api) -> None:
    found = (await api("policies/replay", method="POST", json={"text": TAG, "since": "1d"})).json()
    assert found["compared"] > 3
    assert found["unread"] == 1
    assert any(d["what"] == "tag" for g in found["groups"] for d in g["differences"])
    nothing = (await api("policies/replay", method="POST", json={"text": TAG, "since": "2126-01-01T00:00:00Z"})).json()
    assert (nothing["compared"], nothing["groups"]) == (0, [])


async def test_too_much_past_mail_names_what_to_ask_instead(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_trials, "MOST_MESSAGES", 2)
    for since in ({}, {"since": "30d"}):
        told = problem(await api("policies/replay", method="POST", json={"text": TAG, **since}), 400)
        assert told["errors"][0]["where"] == "body: since"
    for since in ("", "soon", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        told = problem(await api("policies/replay", method="POST", json={"text": TAG, "since": since}), 400)
        assert "30d" in told["errors"][0]["cure"], since


async def test_who_comes_behind_many_is_asked_to_come_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_work, "MOST_WAITING", -1)
    problem(await api("policies/replay", method="POST", json={"text": TAG}), 503)


# --- the shadow ---


async def test_a_candidate_runs_in_the_shadow_until_it_is_stopped_or_published(office: Office) -> None:
    assert (await office("GET", "/shadow")).json()["running"] is False
    state = (await office("PUT", "/shadow", {"text": TAG, "note": "a try"})).json()
    assert (state["running"], state["note"], state["text"], state["replay"]["compared"]) == (True, "a try", TAG, 0)
    assert (await office("DELETE", "/shadow")).json()["running"] is False
    problem(await office("DELETE", "/shadow"), 404)
    problem(await office("POST", "/shadow/publish", {}), 404)

    await office("PUT", "/shadow", {"text": TAG})
    answer = await office("POST", "/shadow/publish", {"note": "well tried"})
    assert (answer.status_code, answer.json()["version"]) == (201, 1)
    assert (await office("GET", "/shadow")).json()["running"] is False


async def test_a_second_candidate_does_not_end_the_one_that_runs(office: Office) -> None:
    first = (await office("PUT", "/shadow", {"text": TAG, "note": "pumps"})).json()
    told = problem(await office("PUT", "/shadow", {"text": ""}), 409)["detail"]
    assert told.startswith(f"a candidate runs already, since {first['since']}, started by API key ")
    assert told.endswith("(pumps); one runs at a time: DELETE it first")
    assert (await office("GET", "/shadow")).json()["id"] == first["id"]


# --- bodies ---


async def test_a_body_that_is_too_large_is_not_read_to_its_end(office: Office) -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 65536
            yield b" " * 65536

    url = f"/api/v1/accounts/{office.name}/policies"
    told = problem(await office.api(url, method="POST", key=office.admin, content=endless()), 413)
    assert str(bodies.POLICY_BYTES) in told["detail"]
    assert read <= bodies.POLICY_BYTES + 2 * 65536
    problem(await office.api(url, method="POST", key="wrong", content=endless()), 401)
    problem(await office.api(url, method="POST", key=office.key("read"), content=endless()), 403)


async def test_a_policy_over_256_kib_is_told_as_such(office: Office) -> None:
    told = problem(await office("POST", "/check", {"text": "#" * (256 * 1024 + 1)}), 422)
    assert "262144" in told["detail"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b'{"text": 7}',
        b'{"text": "", "notes": ""}',
        b'{"text": "\\ud800"}',
        b'{"text": "", "note": "a\\u0000"}',
    ],
)
async def test_a_body_that_is_no_order_is_a_mistake(office: Office, content: bytes) -> None:
    url = f"/api/v1/accounts/{office.name}/policies"
    told = problem(await office.api(url, method="POST", key=office.admin, content=content), 400)
    assert told["errors"][0]["where"].startswith("body")
