"""How requests may look, and what is true of every answer."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.store import pages
from tests.unit.web.conftest import Api, problem


@pytest.mark.parametrize(
    ("path", "where", "told"),
    [
        ("tickets?stat=open", "query: stat", "did you mean state?"),
        ("tickets?x=1", "query: x", "it takes cursor, limit, state"),
        ("tickets/1?limit=5", "query: limit", "it takes none"),
        ("/api/v1/accounts?limit=5", "query: limit", "it takes none"),
        ("tickets?limit=0", "query: limit", "it should be greater than or equal to 1"),
        ("tickets?limit=201", "query: limit", "it should be less than or equal to 200"),
        ("tickets?limit=ten", "query: limit", "it should be a valid integer"),
        ("tickets?limit=5&limit=6", "query: limit", "give it once"),
        ("tickets?state=OPEN", "query: state", "it should be 'open', 'pending' or 'closed'"),
        ("messages?disposition=none", "query: disposition", "it should be 'ticketed'"),
        ("messages?disposition=%00", "query: disposition", "it should be 'ticketed'"),
        ("events?trace=short", "query: trace", "should match pattern"),
        ("tickets?cursor=", "query: cursor", "give the next_cursor"),
        ("tickets?cursor=dGlja2V0OjE%3D%0A", "query: cursor", "give the next_cursor"),
    ],
)
async def test_a_mistake_is_told_with_its_place_and_its_cure(api: Api, path: str, where: str, told: str) -> None:
    document = problem(await api(path), 400)
    (error,) = document["errors"]
    assert error["where"] == where
    assert told in error["cure"]
    assert where in document["detail"]


async def test_every_mistake_is_told_at_once(api: Api) -> None:
    document = problem(await api("tickets?one=1&two=2"), 400)
    assert [e["where"] for e in document["errors"]] == ["query: one", "query: two"]


async def test_names_are_told_before_values_as_the_page_says(api: Api) -> None:
    for query, told in (("limit=0&foo=1", ["query: foo"]), ("limit=0&state=x", ["query: state", "query: limit"])):
        document = problem(await api(f"tickets?{query}"), 400)
        assert sorted(e["where"] for e in document["errors"]) == sorted(told)


async def test_a_long_value_is_not_told_back_whole(api: Api) -> None:
    assert len(problem(await api(f"tickets?limit={'9' * 5000}"), 400)["detail"]) < 300


@pytest.mark.parametrize(
    "path",
    [
        "tickets/x", "tickets/0", "tickets/-1", "tickets/99999999999999999999", "messages/x", "messages/%00",
        "messages/..%2f..%2fetc", f"messages/{'A' * 32}", "messages/1/attachments/1", "traces/x", "traces/%00",
        "policies/-1", "policies/99999999999", "tickets/", "nonsense", "/api/v1/nonsense", "/", "/docs", "/openapi.json",
    ],
)  # fmt: skip
async def test_a_path_that_names_nothing_is_not_found(api: Api, path: str) -> None:
    assert problem(await api(path), 404)["detail"] == "there is nothing here"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_what_cannot_be_done_says_what_can(api: Api, method: str) -> None:
    answer = await api("tickets", method=method)
    problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"


async def test_head_is_get_without_its_body(api: Api) -> None:
    for path in ("tickets", f"messages/{api.world.messages['plain']}/raw", "/healthz", "tickets/999"):
        get, head = await api(path), await api(path, method="HEAD")
        assert head.content == b""
        assert (head.status_code, head.headers) == (get.status_code, get.headers)


async def test_a_range_is_passed_over(api: Api) -> None:
    """RFC 9110 section 14.2 allows it; serving ranges has cost others dearly (CVE-2025-62727)."""
    raw = f"messages/{api.world.messages['plain']}/raw"
    answer = await api(raw, headers={"Range": "bytes=0-1,2-3,4-5"})
    assert answer.status_code == 200
    assert answer.content == (await api(raw)).content
    assert "accept-ranges" not in answer.headers


async def test_no_answer_is_kept_or_shown_or_read_by_other_origins(api: Api) -> None:
    for path in ("tickets", "tickets/999", "/healthz", "/metrics", "/nonsense", "/api/v1/openapi.json"):
        answer = await api(path, headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"})
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert not [h for h in answer.headers if h.startswith("access-control")]


async def test_a_bug_of_ours_tells_nothing_of_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any, **_more: Any) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(pages, "tickets", broken)
    answer = await api("tickets")
    assert "secret" not in problem(answer, 500)["detail"]
    assert answer.headers["cache-control"] == "no-store"


async def test_no_answer_redirects(api: Api) -> None:
    """A redirect would name the host that the client claims to have asked."""
    answer = await api("/api/v1/accounts/acme/tickets/", headers={"Host": "evil.example"})
    problem(answer, 404)
