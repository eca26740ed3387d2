"""The names in a RAR archive."""

from __future__ import annotations

import time

import pytest

from gateway.scan.inside.containers import rar
from gateway.scan.inside.entry import Budget
from tests.unit.scan.inside.containers import rars as make
from tests.unit.scan.inside.containers.reading import names, read, share_of


def test_version_4_lists_its_files_without_folders():
    content = make.rar4(
        make.file4(b"a.txt"), make.file4(b"sub", flags=0xE0, data=b""), make.file4(b"sub\\b.exe", large=True)
    )
    found, reason = read(rar, content)
    assert ([(e.name, e.content, e.encrypted) for e in found], reason) == (
        [("a.txt", None, False), ("sub\\b.exe", None, False)],
        "",
    )


def test_version_5_lists_its_files_without_folders():
    content = make.rar5(make.file5("a.txt"), make.file5("sub", directory=True), make.file5("sub/Übersicht.js"))
    found, reason = read(rar, content)
    assert ([(e.name, e.content, e.encrypted) for e in found], reason) == (
        [("a.txt", None, False), ("sub/Übersicht.js", None, False)],
        "",
    )


def test_a_name_made_by_the_recipe_counts_beside_the_plain_one():
    """A plain name for old programs, another for new ones: `photo.jpg` to one, `photo.exe` to the other."""
    steps = [(3, bytes([6 - 2])), (0, b"e"), (0, b"x"), (0, b"e")]
    name = make.recipe(b"photo.jpg", 0x04, *steps)
    assert names(rar, make.rar4(make.file4(name, flags=0x0200))) == ["photo.exe", "photo.jpg"]


def test_every_step_of_the_recipe_is_followed():
    steps = [
        (1, b"\x43"),
        (2, b"\x3d\xd8"),
        (2, b"\x00\xde"),
        (3, bytes([0x80 | 0, 1])),
        (0, b"."),
        (0, b"j"),
        (0, b"s"),
    ]
    name = make.recipe(b"....ab.js", 0x04, *steps)
    found, _ = read(rar, make.rar4(make.file4(name, flags=0x0200)))
    assert found[0].name == "\u0443\U0001f600\u042f\u0462.js"


def test_names_in_utf_8_are_read_with_and_without_the_flag():
    name = "Übersicht.js".encode()
    assert names(rar, make.rar4(make.file4(name, flags=0x0200), make.file4(name))) == ["Übersicht.js"] * 2


def test_an_old_version_of_a_file_has_its_type_too():
    assert names(rar, make.rar4(make.file4(b"setup.exe;1", flags=0x0800))) == ["setup.exe"]


@pytest.mark.parametrize(
    "content", [make.rar4(make.file4(b"a.exe", flags=0x04)), make.rar5(make.file5("a.exe", encrypted=True))]
)
def test_encrypted_files_keep_their_names(content: bytes):
    found, _ = read(rar, content)
    assert [(e.name, e.content, e.encrypted) for e in found] == [("a.exe", None, True)]


@pytest.mark.parametrize(
    "content",
    [make.MAGIC4 + make.block4(0x73, 0x80, bytes(6)) + bytes(50), make.MAGIC5 + make.block5(4, bytes(20)) + bytes(50)],
)
def test_encrypted_names_are_one_encrypted_file(content: bytes):
    found, reason = read(rar, content)
    assert ([(e.name, e.content, e.encrypted) for e in found], reason) == ([("", None, True)], "")


PARTS = {
    "version 4 says so": make.rar4(make.file4(b"a.exe"), flags=0x0001),
    "version 4, a file goes on": make.rar4(make.file4(b"a.exe", flags=0x0002)),
    "version 5 says so": make.rar5(make.file5("a.exe"), volume=True),
    "version 5, a file goes on": make.rar5(make.file5("a.exe", flags=0x10)),
    "version 5, a file began before": make.rar5(make.file5("a.exe", flags=0x08)),
}


@pytest.mark.parametrize("case", PARTS)
def test_a_part_of_an_archive_cannot_be_judged(case: str):
    found, reason = read(rar, PARTS[case])
    assert ([e.name for e in found], reason) == (["a.exe"], "a part of a rar")


GOOD4, GOOD5 = make.rar4(make.file4(b"a.exe")), make.rar5(make.file5("a.exe"))
BROKEN = {
    "nothing": b"",
    "another file": b"PK\x03\x04" + bytes(60),
    "version 4, a wrong sum": GOOD4[:-30] + b"\xff" + GOOD4[-29:],
    "version 5, a wrong sum": GOOD5.replace(b"a.exe", b"b.exe"),
    "version 4, cut in a header": GOOD4[:40],
    "version 4, data missing": make.MAGIC4 + make.block4(0x73, 0, bytes(6)) + make.file4(b"a.txt")[:-2],
    "version 4, no header": make.MAGIC4 + bytes(50),
    "version 5, cut": GOOD5[:-3],
    "version 5, no end": make.MAGIC5 + make.block5(1, b"\0"),
    "version 5, a number without end": make.MAGIC5 + bytes(4) + b"\xff" * 30,
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_cannot_be_listed(case: str):
    assert read(rar, BROKEN[case])[1] == "rar cannot be listed"


def test_files_before_the_damage_count():
    found, reason = read(rar, make.rar5(make.file5("a.exe"), make.file5("b.exe"))[:-20])
    assert ([e.name for e in found], reason) == (["a.exe"], "rar cannot be listed")


def test_an_archive_behind_the_program_that_unpacks_it_is_found():
    assert names(rar, b"MZ" + bytes(3000) + GOOD5) == ["a.exe"]


def test_the_budget_of_files_holds():
    content = make.rar5(*[make.file5("a.txt")] * 20)
    found, reason = read(rar, content, share_of(content, Budget(time.monotonic() + 30, files=5)))
    assert len(found) == 5
    assert "files" in reason
