"""Files of strangers are given out as octets under a harmless name, and only those that the policy kept."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from gateway.store.tables import MessageRow
from gateway.store.tables.columns import columns
from gateway.web.downloads import content_disposition
from tests.unit.web.conftest import PDF, Api, World, problem

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


@pytest.mark.parametrize("n", [1, 2, 5, 2**31 - 1])
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
