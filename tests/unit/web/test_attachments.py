"""Files of strangers are given out as octets under a harmless name, and only those that the policy kept."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from gateway.core.clock import now
from gateway.core.trace import Step
from gateway.store.events import event_row
from gateway.store.tables import Event, MessageRow
from gateway.store.tables.columns import columns
from gateway.web import downloads
from gateway.web.downloads import content_disposition
from tests.unit.web.conftest import EXE, MAIL, PDF, PNG, Api, World, problem

_m = columns(MessageRow)


def path(api: Api, name: str, n: int) -> str:
    return f"messages/{api.world.messages[name]}/attachments/{n}"


@contextmanager
def changed(world: World, name: str, **columns_: Any) -> Iterator[None]:
    """A column of a message's row holds something else for a while."""
    mine = _m.id == world.messages[name]

    def write(values: dict[str, Any]) -> None:
        with world.ground.store.write() as connection:
            connection.execute(update(MessageRow).where(mine).values(**values))

    with world.ground.store.read() as connection:
        before = dict(connection.execute(select(*(_m[c] for c in columns_)).where(mine)).one()._mapping)
    write(columns_)
    try:
        yield
    finally:
        write(before)


def stored(world: World, name: str, column: str) -> Any:
    with world.ground.store.read() as connection:
        return json.loads(connection.execute(select(_m[column]).where(_m.id == world.messages[name])).scalar_one())


async def test_a_kept_file_is_given_out_decoded_as_a_file_and_nothing_else(api: Api) -> None:
    answer = await api(path(api, "files", 3))
    assert answer.content == PDF
    # whatever it says it is: a browser that is shown octets of a stranger might run them
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["content-disposition"] == (
        'attachment; filename="Jahresubersicht 2026.pdf"; '
        "filename*=UTF-8''Jahres%C3%BCbersicht%20%E2%80%9C2026%E2%80%9D.pdf"
    )


async def test_a_held_file_is_not_given_out_and_the_reason_is_told(api: Api) -> None:
    assert problem(await api(path(api, "files", 4)), 403)["detail"] == "this file is not given out: it is held: exe"


async def test_no_file_of_an_infected_message_is_given_out(api: Api) -> None:
    """Not even one that is kept: which file the scanner meant, it does not always say."""
    for n in (3, 4):
        detail = problem(await api(path(api, "infected", n)), 403)["detail"]
        assert detail == "this file is not given out: the message is infected: Eicar-Test"


async def test_a_large_file_is_given_out_whole_in_pieces(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PIECE_OCTETS", 7)
    pieces = [p async for p in downloads._pieces(PDF)]
    assert (b"".join(pieces), max(map(len, pieces))) == (PDF, 7)
    answer = await api(path(api, "files", 3))
    assert answer.content == PDF
    assert answer.headers["content-length"] == str(len(PDF))


INLINE = "logo/1@customer.test"


def inline(api: Api, name: str, content_id: str) -> str:
    return f"messages/{api.world.messages[name]}/inline/{quote(content_id, safe='')}"


async def test_a_picture_that_the_text_shows_is_given_out_as_what_it_is(api: Api) -> None:
    answer = await api(inline(api, "files", INLINE))
    assert answer.content == PNG
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == 'inline; filename="image"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    "content_id", ["unseen@customer.test", "nothing@customer.test", "x" * 1001, "logo", "/", "%00"]
)
async def test_a_picture_that_the_shown_text_does_not_name_is_not_there(api: Api, content_id: str) -> None:
    problem(await api(inline(api, "files", content_id)), 404)


@pytest.mark.parametrize("kind", ["svg", "html", "pdf", "tiff", "exe", ""])
async def test_what_is_no_harmless_image_by_its_content_is_never_shown(api: Api, kind: str) -> None:
    """Whatever its declared type: an SVG runs scripts."""
    facts = stored(api.world, "files", "facts")
    next(p for p in facts["facts"]["scan"]["parts"] if p["n"] == 5)["detected_type"] = kind
    with changed(api.world, "files", facts=json.dumps(facts)):
        problem(await api(inline(api, "files", INLINE)), 404)


async def test_a_picture_that_is_held_or_infected_is_not_shown(api: Api) -> None:
    decision = stored(api.world, "files", "decision")
    next(p for p in decision["decision"]["parts"] if p["n"] == 5)["disposition"] = "held"
    with changed(api.world, "files", decision=json.dumps(decision)):
        problem(await api(inline(api, "files", INLINE)), 403)
    problem(await api(inline(api, "infected", INLINE)), 403)


@pytest.mark.parametrize("n", [1, 2, 7, 2**31 - 1])
async def test_texts_and_what_is_not_there_are_no_files(api: Api, n: int) -> None:
    problem(await api(path(api, "files", n)), 404)


@pytest.mark.parametrize("name", ["plain", "parked"])
async def test_a_message_without_judged_files_has_none(api: Api, name: str) -> None:
    problem(await api(path(api, name, 1)), 404)


@pytest.mark.parametrize("fate", ["stripped", "held", "something-later"])
async def test_whatever_is_not_kept_is_withheld(api: Api, fate: str) -> None:
    decision = stored(api.world, "files", "decision")
    for part in decision["decision"]["parts"]:
        part["disposition"] = fate
    with changed(api.world, "files", decision=json.dumps(decision)):
        problem(await api(path(api, "files", 3)), 403)


async def test_a_file_that_nobody_judged_is_withheld(api: Api) -> None:
    decision = stored(api.world, "files", "decision")
    decision["decision"]["parts"] = []
    with changed(api.world, "files", decision=json.dumps(decision)):
        problem(await api(path(api, "files", 3)), 403)


async def test_octets_that_are_not_those_that_were_scanned_are_withheld(api: Api) -> None:
    """As after a change in how we decode: the old judgement was about other octets."""
    facts = copy.deepcopy(stored(api.world, "files", "facts"))
    part = next(p for p in facts["facts"]["message"]["parts"] if p["n"] == 3)
    part["encoding"] = "7bit"
    with changed(api.world, "files", facts=json.dumps(facts)):
        assert "judged anew" in problem(await api(path(api, "files", 3)), 403)["detail"]


# --- the message as it came ---


def raw(api: Api, name: str) -> str:
    return f"messages/{api.world.messages[name]}/raw"


@pytest.mark.parametrize("scope", ["read", "write"])
@pytest.mark.parametrize(
    ("name", "why"), [("files", "file 4 is held"), ("quarantined", "in quarantine"), ("parked", "nobody has judged")]
)
async def test_what_is_held_back_leaves_in_the_raw_message_with_an_admins_key_only(
    api: Api, name: str, why: str, scope: str
) -> None:
    told = problem(await api(raw(api, name), key=api.world.new_key("acme", scope)[1]), 403)["detail"]
    assert why in told
    assert "gateway key add --scope admin" in told
    answer = await api(raw(api, name), key=api.world.new_key("acme", "admin")[1])
    assert answer.content == MAIL[name][0]


@pytest.mark.parametrize("scope", ["read", "admin"])
async def test_an_infected_message_leaves_by_no_key(api: Api, scope: str) -> None:
    told = problem(await api(raw(api, "infected"), key=api.world.new_key("acme", scope)[1]), 403)["detail"]
    assert "it is infected (Eicar-Test)" in told
    assert "gateway message show" in told


async def test_a_message_that_a_later_scan_called_infected_leaves_by_no_key(api: Api) -> None:
    """Though the facts of the first scan, or of a third one, say clean."""
    found = {"findings": [{"scanner": "clamav", "name": "Late-Found", "where": "message"}]}
    step = Step(now(), "rescan", "infected", "", found)
    store, trace = api.world.ground.store, api.world.traces["files"]
    row = event_row(trace, api.world.account_id("acme"), step)
    with store.write() as connection:
        connection.execute(insert(Event).values(row))
    try:
        key = api.world.new_key("acme", "admin")[1]
        for one in (raw(api, "files"), path(api, "files", 3), inline(api, "files", INLINE)):
            assert "Late-Found" in problem(await api(one, key=key), 403)["detail"]
        release = await api(f"{path(api, 'files', 4)}/release", method="POST", key=key)
        assert "never released" in problem(release, 409)["detail"]
    finally:
        with store.write() as connection:
            connection.execute(delete(Event).where(columns(Event).id == row["id"]))


async def test_no_file_leaves_while_its_message_waits_in_quarantine(api: Api) -> None:
    with changed(api.world, "files", disposition="quarantined"):
        assert "quarantine" in problem(await api(path(api, "files", 3)), 403)["detail"]


# --- held files, let go ---


def released(api: Api, name: str, n: int) -> str:
    return f"{path(api, name, n)}/release"


async def test_a_released_file_is_given_out_and_its_message_tells_by_whom(api: Api) -> None:
    key_id, key = api.world.new_key("acme", "admin")
    with changed(api.world, "files", decision=json.dumps(stored(api.world, "files", "decision"))):
        answer = await api(released(api, "files", 4), method="POST", key=key)
        assert answer.status_code == 200, answer.text
        file = next(a for a in answer.json()["attachments"] if a["n"] == 4)
        assert (file["disposition"], file["reason"]) == ("kept", "")
        assert file["released"]["by"] == f"API key {key_id}"
        assert file["released"]["reason"] == "exe"
        (message,) = (await api("tickets/2")).json()["messages"]
        assert file in message["attachments"]
        assert (await api(path(api, "files", 4))).content == EXE
        assert (await api(raw(api, "files"))).content == MAIL["files"][0]
        trace = (await api(f"traces/{api.world.traces['files']}")).json()["events"][-1]
        assert (trace["stage"], trace["outcome"], trace["detail"]["by"]) == ("file", "released", f"API key {key_id}")
        assert (trace["detail"]["file"], trace["detail"]["name"]) == (4, "setup.pdf")
        again = await api(released(api, "files", 4), method="POST", key=key)
        assert "kept already" in problem(again, 409)["detail"]


@pytest.mark.parametrize(
    ("fate", "words"), [("stripped", "never released"), ("kept", "kept already"), ("something-later", "never released")]
)
async def test_only_a_held_file_is_released(api: Api, fate: str, words: str) -> None:
    key = api.world.new_key("acme", "admin")[1]
    decision = stored(api.world, "files", "decision")
    next(p for p in decision["decision"]["parts"] if p["n"] == 4)["disposition"] = fate
    with changed(api.world, "files", decision=json.dumps(decision)):
        assert words in problem(await api(released(api, "files", 4), method="POST", key=key), 409)["detail"]
        assert stored(api.world, "files", "decision") == decision


async def test_a_file_of_an_infected_message_is_never_released(api: Api) -> None:
    key = api.world.new_key("acme", "admin")[1]
    told = problem(await api(released(api, "infected", 4), method="POST", key=key), 409)["detail"]
    assert "is infected (Eicar-Test)" in told


async def test_a_file_that_no_scanner_has_seen_yet_is_not_released(api: Api) -> None:
    """Never released unscanned; with the scanner switched off nobody will ever look, and the operator said so."""
    key = api.world.new_key("acme", "admin")[1]
    facts = stored(api.world, "files", "facts")
    facts["facts"]["scan"] |= {"status": "unscanned", "reason": "down"}
    with changed(api.world, "files", facts=json.dumps(facts)):
        told = problem(await api(released(api, "files", 4), method="POST", key=key), 409)["detail"]
        assert "has not been scanned yet (down)" in told


async def test_a_file_of_a_quarantined_message_waits_for_its_message(api: Api) -> None:
    key = api.world.new_key("acme", "admin")[1]
    with changed(api.world, "files", disposition="quarantined"):
        told = problem(await api(released(api, "files", 4), method="POST", key=key), 409)["detail"]
        assert "gateway quarantine release" in told


@pytest.mark.parametrize(("name", "n"), [("files", 99), ("plain", 3)])
async def test_a_file_that_is_not_there_is_not_released(api: Api, name: str, n: int) -> None:
    key = api.world.new_key("acme", "admin")[1]
    problem(await api(released(api, name, n), method="POST", key=key), 404)


async def test_an_erased_message_has_no_content_any_more(api: Api) -> None:
    with changed(api.world, "large", disposition="erased", facts=None, decision=None):
        problem(await api(f"messages/{api.world.messages['large']}/raw"), 404)
        problem(await api(path(api, "large", 1)), 404)
        assert (await api(f"messages/{api.world.messages['large']}")).json()["disposition"] == "erased"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        (
            'a"; filename=evil.exe',
            "attachment; filename=\"a__ filename=evil.exe\"; filename*=UTF-8''a%22%3B%20filename%3Devil.exe",
        ),
        ("a\r\nSet-Cookie: x=1", "attachment; filename=\"aSet-Cookie_ x=1\"; filename*=UTF-8''aSet-Cookie%3A%20x%3D1"),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("C:\\Windows\\evil.exe", 'attachment; filename="evil.exe"'),
        (".bashrc", 'attachment; filename="bashrc"'),
        ("invoice\u202efdp.exe", 'attachment; filename="invoicefdp.exe"'),
        ("50%.txt", "attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt"),
        ("отчёт.pdf", "attachment; filename=\".pdf\"; filename*=UTF-8''%D0%BE%D1%82%D1%87%D1%91%D1%82.pdf"),
        ("", 'attachment; filename="file"'),
        ("...", 'attachment; filename="file"'),
        ("\u2028\0", 'attachment; filename="file"'),
    ],
)
def test_a_hostile_name_stays_a_name(name: str, field: str) -> None:
    assert content_disposition(name) == field


@given(st.text(st.characters(exclude_categories=()), max_size=400))
def test_every_name_makes_one_sound_field(name: str) -> None:
    """RFC 6266: two parameters at most, the first a quoted string without quotes, the second RFC 8187."""
    field = content_disposition(name)
    assert field.isascii()
    assert field.isprintable()
    assert field.startswith('attachment; filename="')
    plain, _, extended = field.removeprefix('attachment; filename="').partition('"')
    assert plain
    assert not set(plain) & set('"\\%;:/<>|?*'[:6])
    if extended:
        assert extended.startswith("; filename*=UTF-8''")
        decoded = unquote(extended.removeprefix("; filename*=UTF-8''"), errors="strict")
        assert len(decoded.encode()) <= 180
        assert not set(decoded) & set("/\\\r\n\0")
        assert not decoded.startswith(".")


def test_a_long_name_keeps_its_extension() -> None:
    field = content_disposition("ä" * 300 + ".pdf")
    assert unquote(field.rpartition("''")[2]).endswith("ä.pdf")
    assert len(unquote(field.rpartition("''")[2]).encode()) <= 180
