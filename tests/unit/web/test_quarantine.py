"""`/quarantine`: looked at safely. What lets a message go or deletes it is tested with the line, in `scenarios`."""

from __future__ import annotations

import pytest

from tests.unit.web.conftest import Api, problem


def waiting(api: Api) -> str:
    return f"quarantine/{api.world.messages['quarantined']}"


async def test_the_list_tells_since_when_until_when_who_and_why(api: Api) -> None:
    (found,) = await api.items("quarantine")
    assert found["id"] == api.world.messages["quarantined"]
    assert (found["subject"], found["author"]["address"]) == ("Pump suspicious", "carol@customer.test")
    assert (found["reason"], found["infected"]) == ("quarantined-by-rule", "")
    assert found["since"] < found["expires_at"]


async def test_the_preview_says_why_and_shows_header_fields_and_text(api: Api) -> None:
    found = (await api(waiting(api))).json()
    assert found["why"][0] == "a rule holds it back"
    assert "rule wait matched" in found["why"]
    assert any(w.startswith("the author is ") for w in found["why"])
    assert {"name": "Subject", "value": "Pump suspicious"} in found["headers"]
    assert found["text"].strip() == "It leaks. (suspicious)"
    assert not found["text_is_cut"]
    assert found["auth"]["spf"] == "pass"
    assert "html" not in found


@pytest.mark.parametrize("name", ["plain", "files", "parked", "foreign"])
async def test_what_does_not_wait_is_not_there(api: Api, name: str) -> None:
    problem(await api(f"quarantine/{api.world.messages[name]}"), 404)


async def test_nothing_in_the_preview_turns_the_direction_or_rings_a_bell(api: Api) -> None:
    message = api.world.messages["quarantined"]
    hostile = "a\u202egpj.exe\u2066\u0007\x1b[31m"
    before: list[str] = []

    def change(facts: dict[str, object]) -> None:
        inner = facts["message"]
        assert isinstance(inner, dict)
        before.append(inner["text"])
        inner["text"] = hostile * 2000
        inner["headers"].append(["X-Evil", hostile])

    def back(facts: dict[str, object]) -> None:
        inner = facts["message"]
        assert isinstance(inner, dict)
        inner["text"] = before[0]
        inner["headers"].pop()

    api.world.change_facts(message, change)
    try:
        found = (await api(waiting(api))).json()
    finally:
        api.world.change_facts(message, back)
    for text in (found["text"], found["headers"][-1]["value"]):
        assert not set(text) & set("\u202e\u2066\u0007\x1b")
    assert found["text_is_cut"]
