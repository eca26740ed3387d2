"""Files in OneNote sections."""

from __future__ import annotations

import struct
import time

import pytest

from gateway.scan import filetypes
from gateway.scan.inside.containers import onenote
from gateway.scan.inside.entry import Budget
from gateway.scan.inside.walk import look_inside
from tests.unit.scan.inside.archives import zipped
from tests.unit.scan.inside.containers import notes as make
from tests.unit.scan.inside.containers.reading import names, read

EXE = b"MZ" + bytes(58) + struct.pack("<L", 64) + b"PE\0\0" + bytes(300)


@pytest.mark.parametrize("kind", [make.SECTION, make.CONTENTS])
def test_embedded_files_are_given(kind: str) -> None:
    found, reason = read(onenote, make.section(make.stored(EXE), make.stored(b"hello"), kind=kind))
    assert [(e.name, e.content) for e in found] == [("file 1", EXE), ("file 2", b"hello")]
    assert reason == ""


def test_a_script_is_known_by_its_name() -> None:
    content = make.section(make.named("Open me.hta", "C:\\x\\Open me.js"), make.stored(b"MsgBox 1"))
    assert names(onenote, content) == ["file 1", "Open me.hta", "C:\\x\\Open me.js"]


def test_names_without_a_type_tell_nothing() -> None:
    assert names(onenote, make.section(make.named("report"), make.stored(b"x"))) == ["file 1"]


@pytest.mark.parametrize(
    "octets",
    [
        "setup.exe".encode("utf-16-le"),
        b"\x9c\x1d\x00\x1c" * 100,
        make.named("setup.exe")[:-30],
        make.named("setup.exe").replace(b"\x09\x1d\0\x14", b"\x09\x1d\0\x40"),
    ],
)
def test_other_octets_are_no_names(octets: bytes) -> None:
    assert names(onenote, make.section(octets)) == []


def test_a_section_without_files_has_none() -> None:
    assert names(onenote, make.section(b"notes " * 500)) == []
    assert names(onenote, b"a section by its name alone") == []


@pytest.mark.parametrize("size", [-8, 5, 1 << 62])
def test_a_file_of_another_size_than_told_is_broken(size: int) -> None:
    octets = make.stored(EXE).replace(struct.pack("<Q", len(EXE)), struct.pack("<Q", len(EXE) + size), 1)
    found, reason = read(onenote, make.section(octets))
    assert (found[0].content or b"").startswith(EXE[:-8])
    assert reason == "broken OneNote file"


def test_what_servers_write_is_not_seen_to_its_end() -> None:
    assert "another kind" in read(onenote, make.section(form=make.OF_SERVERS))[1]


def test_files_in_embedded_files_are_found_and_seen() -> None:
    content = make.section(make.stored(zipped(("setup.exe", EXE))))
    seen: list[bytes] = []
    inside = look_inside(content, "a.one", filetypes.look(content), Budget(time.monotonic() + 30), seen.append)
    assert [(f.path, f.detected_type) for f in inside.files] == [
        ("a.one/file 1", "zip"),
        ("a.one/file 1/setup.exe", "exe"),
    ]
    assert EXE in seen


@pytest.mark.parametrize(
    "octets",
    [make.stored(b"")[:36] * 200_000, b"\x9c\x1d\x00\x1c" * 2_000_000, (b"\x40\0" + b"\x9c\x1d\x00\x1c" * 31) * 60_000],
    ids=["files", "names", "properties"],
)
def test_it_does_not_take_long(octets: bytes) -> None:
    begun = time.thread_time()
    assert read(onenote, make.section(octets))[1]
    assert time.thread_time() - begun < 5


def test_a_file_that_is_too_large_is_cut() -> None:
    found, reason = read(onenote, make.section(make.stored(bytes(17 << 20))))
    assert (len(found[0].content or b""), found[0].cut, reason) == (16 << 20, True, "")
