"""Walking through lists: nothing twice, nothing left out, whatever arrives meanwhile."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gateway.store import pages
from tests.unit.web.conftest import Api, problem

LISTS = {"tickets": "number", "messages": "id", "events": "id", "outbox": "id", "policies": "version"}


async def walk(api: Api, path: str, limit: int) -> list[list[dict[str, Any]]]:
    found, cursor = [], ""
    while True:
        separator = "&" if "?" in path else "?"
        page = (await api(f"{path}{separator}limit={limit}{cursor}")).json()
        found.append(page["items"])
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("limit", [1, 2, 3, 200])
async def test_pages_together_are_the_whole_list_in_its_order(api: Api, name: str, limit: int) -> None:
    whole = await api.items(f"{name}?limit=200")
    walked = await walk(api, name, limit)
    assert [i for page in walked for i in page] == whole
    assert all(len(page) == limit for page in walked[:-1])
    positions = [i[LISTS[name]] for i in whole]
    assert positions == sorted(positions, reverse=True)
    assert len(whole) > 1


async def test_a_full_last_page_is_known_to_be_the_last(api: Api) -> None:
    assert len(await walk(api, "tickets", 4)) == 1


async def test_a_filter_holds_on_every_page(api: Api) -> None:
    walked = await walk(api, "messages?disposition=ticketed", 2)
    assert [len(page) for page in walked] == [2, 2]
    assert {m["disposition"] for page in walked for m in page} == {"ticketed"}
    assert len(await walk(api, f"events?trace={api.world.traces['plain']}", 1)) > 2


async def test_the_default_is_fifty(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pages.Wanted().limit == 50
    parameters = api.app.openapi()["paths"]["/api/v1/accounts/{account}/events"]["get"]["parameters"]
    assert next(p["schema"] for p in parameters if p["name"] == "limit")["default"] == 50


async def test_a_page_of_large_messages_ends_early_and_goes_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await api.items("messages")
    monkeypatch.setattr(pages, "_MOST_CHARACTERS", 1)
    walked = await walk(api, "messages", 200)
    assert [m["id"] for page in walked for m in page] == [m["id"] for m in whole]
    assert len(walked) > 2


async def test_a_cursor_of_another_list_is_refused(api: Api) -> None:
    cursor = (await api("events?limit=1")).json()["next_cursor"]
    problem(await api(f"outbox?cursor={cursor}"), 400)


@pytest.mark.parametrize(
    "text",
    [
        "ticket:",
        "ticket:x",
        "ticket:-1",
        "ticket:1 ",
        "ticket:1\0",
        "ticket:99999999999999999999",
        "message:1",
        "ticket:" + "0" * 32,
        "",
    ],
)
async def test_a_cursor_made_up_is_refused(api: Api, text: str) -> None:
    cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    problem(await api(f"tickets?cursor={cursor}"), 400)


async def test_a_cursor_of_another_account_moves_within_ones_own_rows(api: Api) -> None:
    """It names a place in time and opens nothing."""
    cursor = (await api("messages?limit=1")).json()["next_cursor"]
    api.account = "globex"
    found = await api.items(f"messages?cursor={cursor}")
    assert {m["id"] for m in found} <= {api.world.messages["foreign"]}
