"""What each resource tells of mail that really came."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from gateway.store import listing, message_reading, pages, ticket_reading
from gateway.store.pages import Wanted
from gateway.web import policy_shapes, shapes
from tests.unit.web.conftest import MAIL, Api, World


def moments(value: Any) -> list[str]:
    """Every value of a key that names a time, at any depth."""
    if isinstance(value, list):
        return [m for v in value for m in moments(v)]
    if not isinstance(value, dict):
        return []
    here = [v for k, v in value.items() if (k == "at" or k.endswith("_at")) and v is not None]
    return here + [m for v in value.values() for m in moments(v)]


async def test_a_key_sees_its_own_account_and_no_other(api: Api) -> None:
    (account,) = await api.items("/api/v1/accounts")
    assert account["name"] == "acme"
    assert account == (await api("")).json()
    assert account["policy_version"] == 2


async def test_a_ticket_has_its_messages_in_full(api: Api) -> None:
    newest = await api.items("tickets")
    assert [t["number"] for t in newest] == [4, 3, 2, 1]
    ticket = (await api("tickets/2")).json()
    assert ticket["subject"] == "Files files"
    assert [p["address"] for p in ticket["participants"]] == ["carol@customer.test"]
    assert [n["recipient"] for n in ticket["notifications"] if n["kind"] == "new-ticket"] == ["ann@acme.test"]
    (message,) = ticket["messages"]
    assert message == (await api(f"messages/{message['id']}")).json()
    assert [m["id"] for m in ticket["messages"]] == newest[2]["messages"]


async def test_html_comes_sanitised(api: Api) -> None:
    html = (await api(f"messages/{api.world.messages['files']}")).json()["html"]
    assert "<b>files</b>" in html
    assert "script" not in html
    assert "onclick" not in html


async def test_tickets_are_found_by_state(api: Api) -> None:
    assert len(await api.items("tickets?state=open")) == 4
    assert await api.items("tickets?state=closed") == []


@pytest.mark.parametrize(
    ("disposition", "names"),
    [
        ("ticketed", ["large", "infected", "files", "plain"]),
        ("quarantined", ["quarantined"]),
        ("parked", ["parked"]),
        ("erased", []),
    ],
)
async def test_messages_are_found_by_disposition(api: Api, disposition: str, names: list[str]) -> None:
    found = await api.items(f"messages?disposition={disposition}")
    assert [m["id"] for m in found] == [api.world.messages[n] for n in names]


async def test_a_parked_message_was_judged_by_nobody(api: Api) -> None:
    message = (await api(f"messages/{api.world.messages['parked']}")).json()
    assert (message["auth"], message["scan"], message["attachments"], message["html"]) == (None, None, [], None)


@pytest.mark.parametrize("name", ["plain", "parked", "large"])
async def test_raw_is_the_message_byte_for_byte(api: Api, name: str) -> None:
    """Whether its octets lie in the row or, being large, in a blob."""
    key = api.world.new_key("acme", "admin")[1] if name == "parked" else None
    answer = await api(f"messages/{api.world.messages[name]}/raw", key=key)
    assert answer.content == MAIL[name][0]
    assert answer.headers["content-type"] == "message/rfc822"
    assert answer.headers["content-disposition"] == f'attachment; filename="{api.world.messages[name]}.eml"'
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_a_message_whose_blob_is_damaged_is_not_given_out(api: Api) -> None:
    world = api.world
    blob = world.ground.settings.blob_dir / world.account_id("acme") / world.messages["large"]
    content = blob.read_bytes()
    blob.write_bytes(content[:-1] + b"?")
    try:
        answer = await api(f"messages/{world.messages['large']}/raw")
    finally:
        blob.write_bytes(content)
    assert answer.status_code == 503
    assert str(blob.parent.name) not in answer.text


async def test_a_refused_message_has_a_trace(api: Api) -> None:
    trace = (await api(f"traces/{api.world.traces['refused'].lower()}")).json()
    assert (trace["outcome"], trace["reason"], trace["message"]) == ("refused", "blocked", None)
    assert trace["client"]["ip"] == "127.0.0.1"
    assert [e["stage"] for e in trace["events"]][-1] == "decide"


async def test_events_are_those_of_the_traces_newest_first(api: Api) -> None:
    trace = api.world.traces["files"]
    events = await api.items(f"events?trace={trace}")
    assert [e["id"] for e in events] == sorted((e["id"] for e in events), reverse=True)
    assert {e["trace"] for e in events} == {trace}
    plain = [{k: v for k, v in e.items() if k not in ("id", "trace")} for e in reversed(events)]
    assert plain == (await api(f"traces/{trace}")).json()["events"]


async def test_the_outbox_tells_what_is_owed(api: Api) -> None:
    owed = await api.items("outbox")
    assert {n["ticket"] for n in owed} == {1, 2, 3, 4}
    assert {n["state"] for n in owed} == {"pending"}
    assert {n["trace"] for n in owed} <= set(api.world.traces.values())


async def test_policies_are_versions_and_one_is_live(api: Api) -> None:
    versions = await api.items("policies")
    assert [(v["version"], v["live"], v["note"]) for v in versions] == [
        (2, True, "the second"),
        (1, False, "the first"),
    ]
    assert (await api("policies/1")).json() == versions[1] | {"text": "block: []\n"}


async def test_version_0_is_the_policy_an_account_begins_with(api: Api) -> None:
    api.account = "globex"
    assert await api.items("policies") == []
    begun = (await api("policies/0")).json()
    assert (begun["live"], begun["text"]) == (True, "")


async def test_every_time_is_rfc_3339_in_utc(api: Api) -> None:
    found = []
    for path in ("tickets/2", "messages", "events", "outbox", "policies", "", f"traces/{api.world.traces['plain']}"):
        found += moments((await api(path)).json())
    assert len(found) > 30
    for text in found:
        assert text.endswith(("Z", "+00:00")), text
        assert datetime.fromisoformat(text).tzinfo == UTC


def test_nothing_that_the_store_tells_is_missing_from_the_shapes(world: World) -> None:
    """A field that is not documented is not sent: whoever adds one to the objects adds it to the shapes."""
    store, acme, wanted = world.ground.store, world.account_id("acme"), Wanted()
    files = world.messages["files"]
    for shape, told in (
        (shapes.Account, listing.account(store, acme)),
        (shapes.Ticket, ticket_reading.ticket(store, acme, 2, world.ground.blobs)),
        (shapes.TicketSummary, pages.tickets(store, acme, wanted).items[0]),
        (shapes.Message, message_reading.message(store, acme, files, world.ground.blobs)),
        (shapes.MessageSummary, pages.messages(store, acme, wanted).items[0]),
        (shapes.Trace, pages.trace(store, acme, world.traces["plain"])),
        (shapes.LoggedEvent, pages.events(store, acme, wanted).items[0]),
        (shapes.Notification, pages.outbox(store, acme, wanted).items[0]),
        (policy_shapes.PolicySummary, pages.policies(store, acme, wanted).items[0]),
        (policy_shapes.Policy, pages.policy(store, acme, 1)),
    ):
        assert set(told) == set(shape.model_fields), shape
    message = message_reading.message(store, acme, files)
    for name in ("auth", "scan"):
        shape = next(t for t in get_args(shapes.MessageSummary.model_fields[name].annotation) if t is not type(None))
        assert set(message[name]) == set(shape.model_fields)
    assert set(message["attachments"][0]) == set(shapes.Attachment.model_fields)


async def test_what_is_said_of_a_file_is_true(api: Api) -> None:
    message = (await api(f"messages/{api.world.messages['files']}")).json()
    pdf = message["attachments"][0]
    file = await api(f"messages/{message['id']}/attachments/{pdf['n']}")
    assert (len(file.content), hashlib.sha256(file.content).hexdigest()) == (pdf["size_bytes"], pdf["sha256"])
