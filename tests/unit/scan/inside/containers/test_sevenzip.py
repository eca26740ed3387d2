"""The names in a 7z archive. The golden files are 7-Zip's own (tests/data/7z/README.md)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.scan.inside.containers import sevenzip
from gateway.scan.inside.entry import FILES, Budget
from tests.unit.scan.inside.containers import sevenzips as make
from tests.unit.scan.inside.containers.reading import names, read, share_of

GOLDEN = Path(__file__).resolve().parents[4] / "data" / "7z"


@pytest.mark.parametrize("name", ["plain", "unpacked-header", "lzma-header"])
def test_all_files_are_listed_without_their_folders(name: str):
    found, reason = read(sevenzip, (GOLDEN / f"{name}.7z").read_bytes())
    assert reason == ""
    assert {(e.name, e.content, e.encrypted) for e in found} == {
        ("a.txt", None, False),
        ("empty.txt", b"", False),
        ("sub/setup.exe", None, False),
        ("übersicht.js", None, False),
    }


def test_encrypted_files_keep_their_names():
    found, _ = read(sevenzip, (GOLDEN / "encrypted.7z").read_bytes())
    assert {e.name for e in found} == {"a.txt", "empty.txt", "sub/setup.exe", "übersicht.js"}
    assert all(e.encrypted and e.content is None for e in found)


def test_encrypted_names_are_one_encrypted_file():
    found, reason = read(sevenzip, (GOLDEN / "encrypted-names.7z").read_bytes())
    assert ([(e.name, e.content, e.encrypted) for e in found], reason) == ([("", None, True)], "")


def test_a_packed_header_is_unpacked():
    assert names(sevenzip, make.packed_header(make.files("a.exe", "b.txt"))) == ["a.exe", "b.txt"]


def test_a_header_that_asks_for_four_gigabytes_of_dictionary_gets_what_it_needs():
    assert names(sevenzip, make.packed_header(make.files("a.exe"), dictionary=0xFFFFFFFF)) == ["a.exe"]


def test_a_header_packed_a_thousandfold_is_a_bomb():
    names_of_zeros = make.files("a" * 8_000_000)
    _, reason = read(sevenzip, make.packed_header(names_of_zeros))
    assert reason == "more than 100 times its size"


@pytest.mark.parametrize("said", [1 << 40, 10_000_000])
def test_a_header_that_is_not_as_long_as_it_says_cannot_be_listed(said: int):
    assert read(sevenzip, make.packed_header(make.files("a.exe"), unpacked_bytes=said)) == ([], "7z cannot be listed")


def test_a_header_packed_twice_is_not_followed():
    assert read(sevenzip, make.packed_twice(make.files("a.exe"))) == ([], "7z cannot be listed")


def test_additional_streams_are_told_for_clamd_ends_there():
    """7-Zip reads on: the virus was in a kept file."""
    content = make.archive(b"\x01\x03\0" + make.files("a.exe")[1:])
    assert read(sevenzip, content) == ([], "streams that scanners do not read")


def test_more_files_than_may_be_is_given_up_before_they_are_read():
    assert read(sevenzip, make.archive(make.files(*["a"] * (FILES + 1)))) == ([], f"more than {FILES} files")


@pytest.mark.parametrize("count", [0, 2, 1 << 62])
def test_a_count_that_its_names_do_not_match_is_broken(count: int):
    assert read(sevenzip, make.archive(make.files("a.exe", count=count)))[1] == "7z cannot be listed"


def test_an_archive_without_files_has_none():
    assert names(sevenzip, make.archive(b"")) == []


BROKEN = {
    "nothing": b"",
    "another file": b"PK\x03\x04" + bytes(60),
    "cut": make.archive(make.files("a.exe"))[:-3],
    "a part of several": make.archive(make.files("a.exe"))[:40],
    "a wrong sum": make.archive(make.files("a.exe"))[:-1] + b"\1",
    "an unknown property": make.archive(b"\x01\x77"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_cannot_be_listed(case: str):
    assert read(sevenzip, BROKEN[case]) == ([], "7z cannot be listed")


def test_the_budget_of_files_holds():
    content = make.archive(make.files(*["a.txt"] * 20))
    found, reason = read(sevenzip, content, share_of(content, Budget(time.monotonic() + 30, files=5)))
    assert len(found) == 5
    assert "files" in reason


def test_an_archive_behind_the_program_that_unpacks_it_is_found():
    assert names(sevenzip, b"MZ" + bytes(3000) + make.archive(make.files("a.exe"))) == ["a.exe"]


LZMA, LZMA2, BCJ = make.coder(b"\3\1\1", bytes(5)), make.coder(b"\x21", b"\x18"), make.coder(b"\3\3\1\3")
BCJ2 = make.coder(b"\3\3\1\x1b", streams=(4, 1))
FOUR = bytes([5, 0, 4, 1, 3, 2, 2, 6, 1, 0])
"""Bonds and packed streams of four coders as 7-Zip writes them."""
READ = {
    "stored": make.packed_by(make.coder(b"\0")),
    "LZMA": make.packed_by(LZMA),
    "LZMA2": make.packed_by(LZMA2),
    "LZMA2 and BCJ": make.packed_by(LZMA2, BCJ, bonds=b"\1\0"),
    "LZMA2 and BCJ2": make.packed_by(LZMA, LZMA, LZMA2, BCJ2, bonds=FOUR),
}
UNREAD = {
    "a filter before what it filters": (make.packed_by(BCJ, LZMA2, bonds=b"\0\1"), "BCJ and LZMA2"),
    "coders bound otherwise": (make.packed_by(LZMA2, BCJ, bonds=b"\0\1"), "LZMA2 and BCJ"),
    "two packers": (make.packed_by(LZMA, LZMA, bonds=b"\1\0"), "LZMA"),
    "four coders bound otherwise": (
        make.packed_by(LZMA, LZMA, LZMA2, BCJ2, bonds=FOUR[:-3] + b"\1\6\0"),
        "LZMA and LZMA2 and BCJ2",
    ),
    "a longer id of the same number": (make.packed_by(make.coder(b"\0\x21", b"\x18")), "method 0021"),
    "more properties": (make.packed_by(make.coder(b"\x21", b"\x18\0")), "LZMA2"),
    "BCJ from the middle": (make.packed_by(LZMA2, make.coder(b"\3\3\1\3", bytes(4)), bonds=b"\1\0"), "LZMA2 and BCJ"),
    "nobody's method": (make.packed_by(make.coder(b"\7\7")), "method 0707"),
    "seven coders": (make.packed_by(*[make.coder(bytes([n])) for n in range(1, 8)], bonds=bytes(12)), "method 01 and method 02 and Delta and method 04"),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_what_clamd_unpacks_is_left_to_it(case: str):
    assert names(sevenzip, READ[case]) == ["a.txt"]


@pytest.mark.parametrize("case", UNREAD)
def test_what_clamd_does_not_unpack_is_listed_and_told(case: str):
    content, words = UNREAD[case]
    found, reason = read(sevenzip, content)
    assert ([e.name for e in found], reason) == (["a.txt"], f"packed as {words}, which scanners do not read")
