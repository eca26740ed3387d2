"""Who may ask, for what, and what everybody is told who may not."""

from __future__ import annotations

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.store import changes
from gateway.web import access
from tests.unit.web.conftest import Api, problem

FILLED = {"address": "support@acme.test", "number": "1", "n": "3", "version": "1", "content_id": "logo/1@customer.test"}
FILLED["candidate_id"] = "0" * 32


def concrete(path: str, api: Api, account: str) -> str:
    """A documented path with something real of acme's in it."""
    message = "quarantined" if "/quarantine/" in path else "files"
    things = FILLED | {"message_id": api.world.messages[message], "trace_id": api.world.traces["files"]}
    return path.format(account=account, **things)


def documented(api: Api) -> list[str]:
    """Paths that can be read."""
    return [p for p, methods in api.app.openapi()["paths"].items() if "{account}" in p and "get" in methods]


CHANGES_NOTHING = ("/policies/check", "/policies/test", "/policies/replay")
"""Asked with a body, and therefore by POST."""


def orders(api: Api, *, of_account: bool = True) -> list[tuple[str, str]]:
    """What changes something: method and path. Without `of_account` only what names a thing in the account by its path."""
    paths = api.app.openapi()["paths"].items()
    found = [(method.upper(), p) for p, methods in paths for method in methods if method != "get"]
    return [(method, p) for method, p in found if not p.endswith(CHANGES_NOTHING) and (of_account or p.count("{") > 1)]


async def test_every_route_answers_a_key_of_its_account(api: Api) -> None:
    key = api.world.new_key("acme", "admin")[1]  # what a key of another scope may not read is tested with each resource
    for path in documented(api):
        assert (await api(concrete(path, api, "acme"), key=key)).status_code == 200, path


async def test_every_route_of_another_account_looks_like_one_that_never_was(api: Api) -> None:
    """All things named are real; the same key gets the same words for an account that does not exist."""
    api.account = "globex"
    for path in documented(api):
        foreign, absent = [await api(concrete(path, api, a)) for a in ("acme", "nobody")]
        problem(foreign, 404)
        assert foreign.content == absent.content, path
        assert foreign.headers == absent.headers, path


async def test_only_a_key_of_scope_admin_may_change_anything(api: Api) -> None:
    for scope in ("read", "write"):
        key = api.world.new_key("acme", scope)[1]
        for method, path in orders(api):
            told = problem(await api(concrete(path, api, "acme"), method=method, key=key), 403)
            assert "scope admin" in told["detail"], path


async def test_nothing_of_another_account_can_be_changed(api: Api) -> None:
    key = api.world.new_key("globex", "admin")[1]
    for account in ("acme", "globex"):
        for method, path in orders(api, of_account=account == "acme"):
            problem(await api(concrete(path, api, account), method=method, key=key), 404)


async def test_things_of_another_account_are_as_absent_as_what_never_was(api: Api) -> None:
    """The right account in the path, the things of the other one behind it."""
    api.account = "globex"
    message, trace = api.world.messages["files"], api.world.traces["files"]
    for foreign, never in (
        (f"messages/{message}", f"messages/{'0' * 32}"),
        (f"messages/{message}/raw", f"messages/{'0' * 32}/raw"),
        (f"messages/{message}/attachments/3", f"messages/{'0' * 32}/attachments/3"),
        (f"traces/{trace}", f"traces/{'A' * 16}"),
        ("tickets/2", "tickets/999"),
        ("policies/2", "policies/999"),
    ):
        answers = [await api(path) for path in (foreign, never)]
        problem(answers[0], 404)
        assert answers[0].content == answers[1].content
    assert await api.items(f"events?trace={trace}") == []


async def test_every_route_of_the_api_is_documented_and_below_an_account(api: Api) -> None:
    """Whatever is served below the API without being documented would escape the tests above."""
    paths = set(api.app.openapi()["paths"])
    served = {
        route.path_format for router in api.app.routes for route in getattr(router, "_effective_candidates", [router])
    }
    below = {p for p in served if p.startswith(access.API)} - {
        f"{access.API}/openapi.json",
        f"{access.API}/policy.schema.json",
    }
    assert below == paths
    assert {p for p in paths if not p.startswith(access.ACCOUNT)} == {f"{access.API}/accounts"}


async def test_without_a_key_every_route_asks_for_one(api: Api) -> None:
    for method, path in [("GET", p) for p in documented(api)] + orders(api):
        answer = await api.http.request(method, concrete(path, api, "acme"))
        problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "given", ["Bearer wrong", "Bearer ", "Bearer", "Basic {key}", "{key}", "Bearer {key}x", "Bearer \xff"]
)
async def test_whatever_is_no_valid_key_is_told_the_same(api: Api, given: str) -> None:
    answer = await api("tickets", headers={"Authorization": given.format(key=api.key).encode("latin-1")})
    assert answer.content == (await api.http.get("/api/v1/accounts/acme/tickets")).content
    problem(answer, 401)


async def test_a_key_in_the_query_opens_nothing(api: Api) -> None:
    problem(await api.http.get(f"/api/v1/accounts/acme/tickets?key={api.key}"), 401)


async def test_a_revoked_key_opens_nothing_from_that_moment(api: Api) -> None:
    key_id, key = api.world.new_key("acme")
    assert (await api("tickets", key=key)).status_code == 200
    changes.revoke_key(api.world.ground.store, api.world.account_id("acme"), key_id)
    problem(await api("tickets", key=key), 401)


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
async def test_every_scope_may_read(api: Api, scope: str) -> None:
    assert (await api("tickets", key=api.world.new_key("acme", scope)[1])).status_code == 200


async def test_who_has_no_key_is_not_told_what_is_wrong_with_the_request(api: Api) -> None:
    for path in ("tickets?nonsense=1", "tickets?limit=0", "tickets/x", "messages/x"):
        problem(await api(path, key="wrong"), 401)


async def test_a_key_of_another_account_is_not_told_what_is_wrong_with_the_request(api: Api) -> None:
    api.account = "globex"
    for path in ("tickets?nonsense=1", "tickets?limit=0", "tickets/x"):
        problem(await api(f"/api/v1/accounts/acme/{path}"), 404)


async def test_the_database_being_away_is_no_verdict_on_the_key(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_arguments: object) -> None:
        raise StoreUnavailable("connection to 10.0.0.5 refused")

    monkeypatch.setattr(access, "caller_of", away)
    answer = await api("tickets")
    assert "10.0.0.5" not in problem(answer, 503)["detail"]
    assert answer.headers["retry-after"] == "5"
