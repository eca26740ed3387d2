"""gzip, bzip2 and xz: one file each, unpacked a piece at a time."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import time
import zlib
from collections.abc import Callable

import pytest

from gateway.scan.inside.containers._unpack import unpacked_name
from gateway.scan.inside.entry import RATIO, RATIO_FREE_BYTES, STREAM_BYTES
from tests.unit.scan.filetypes import samples
from tests.unit.scan.inside import archives as make
from tests.unit.scan.inside.archives import EXE, look, paths

PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
each = pytest.mark.parametrize("kind", PACKERS)


@each
def test_the_file_is_named_as_the_outer_one_without_its_suffix(kind: str) -> None:
    found = look(PACKERS[kind](EXE), f"setup.{kind}")
    assert found.unscannable == ""
    assert [(f.path, f.container, f.types) for f in found.files] == [(f"setup.{kind}/setup", kind, ("exe",))]


@pytest.mark.parametrize(
    ("outer", "inner"),
    [("a.tgz", "a.tar"), ("A.TBZ2", "A.tar"), ("a.tar.xz", "a.tar"), ("a.svgz", "a.svg"), ("a.pdf", "a.pdf"), ("", "")],
)
def test_suffixes(outer: str, inner: str) -> None:
    assert unpacked_name(outer) == inner


@each
def test_members_one_after_another_are_one_file(kind: str) -> None:
    tar = make.tarred(("x.exe", EXE), ("y.txt", b"y"))
    found = look(PACKERS[kind](tar[:700]) + PACKERS[kind](tar[700:]), f"a.tar.{kind}")
    assert found.unscannable == ("several streams, of which scanners read the first" if kind == "bz2" else "")
    assert paths(found) == [f"a.tar.{kind}/a.tar", f"a.tar.{kind}/a.tar/x.exe", f"a.tar.{kind}/a.tar/y.txt"]


@each
def test_zeros_behind_it_are_padding(kind: str) -> None:
    assert look(PACKERS[kind](b"x") + bytes(512)).unscannable == ""


@each
def test_anything_else_behind_it_is_told(kind: str) -> None:
    assert look(PACKERS[kind](b"x") + b"Rar!").unscannable == "data behind its end"


@each
def test_half_a_file_is_told_with_what_there_is(kind: str) -> None:
    found = look(PACKERS[kind](bytes(range(256)) * 50)[:-9])
    assert found.unscannable in ("incomplete", "broken")
    assert len(found.files) == 1


@each
def test_a_broken_file_is_told(kind: str) -> None:
    packed = bytearray(PACKERS[kind](EXE * 50))
    packed[20:40] = b"\xff" * 20
    assert look(bytes(packed)).unscannable == "broken"


@each
def test_a_bomb_ends_at_a_hundred_times_its_size(kind: str) -> None:
    data = PACKERS[kind](bytes(30 * 1024 * 1024))
    spend = make.budget()
    assert look(data, spend=spend).unscannable == f"more than {RATIO} times its size"
    assert make.spent(spend)[1] <= max(RATIO * len(data), RATIO_FREE_BYTES) + 65_536


@each
def test_a_million_empty_members_end_at_ten_thousand(kind: str) -> None:
    spend = make.budget()
    assert look(PACKERS[kind](b"") * 20_000, spend=spend).unscannable == "more than 10000 files"
    assert make.spent(spend)[0] == 10_001


def test_of_a_large_file_the_beginning_is_kept_and_no_more_unpacked() -> None:
    text = b"log\n" + os.urandom(STREAM_BYTES + 100_000)
    spend = make.budget()
    found = look(gzip.compress(text, 0), "log.gz", spend)
    assert (found.unscannable, found.files[0].count) == ("", 1)
    assert make.spent(spend)[1] <= STREAM_BYTES + 65_536


def test_a_large_bomb_is_known_by_its_beginning() -> None:
    """Ten gigabytes in ten megabytes: a hundred times its size would be a gigabyte unpacked."""
    data = gzip.compress(bytes(64))[:10] + make.zeros(10_000) + bytes(8)
    assert len(data) > 10_000_000
    spend = make.budget()
    assert look(data, spend=spend).unscannable == f"more than {RATIO} times its size"
    assert make.spent(spend)[1] <= STREAM_BYTES + 65_536


def test_a_large_archive_in_it_is_not_entered() -> None:
    noise = os.urandom(STREAM_BYTES)
    found = look(gzip.compress(make.tarred(("noise", noise)), 0), "a.tgz")
    assert found.unscannable == "a container too large to look into"
    assert paths(found) == ["a.tgz/a.tar"]


def named(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(name, "wb", fileobj=out) as file:
        file.write(content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("outer", "header", "told"),
    [
        ("invoice.txt.gz", "setup.exe", ["invoice.txt.gz/invoice.txt", "invoice.txt.gz/setup.exe"]),
        ("a.gz", "data.sql", ["a.gz/data.sql"]),
        ("data.sql.gz", "data.sql", ["data.sql.gz/data.sql"]),
    ],
)
def test_the_name_in_the_gzip_header_counts_for_those_who_use_it(outer: str, header: str, told: list[str]) -> None:
    assert paths(look(named(header, b"x"), outer)) == told


def test_xz_that_asks_for_gigabytes_is_given_up() -> None:
    wide = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 128 * 1024 * 1024}]
    assert look(lzma.compress(b"x" * 5000, filters=wide)).unscannable == "broken"


@pytest.mark.parametrize("offset", [0x32, 0x22A, 300])
def test_what_office_packs_beside_html_is_unpacked(offset: int) -> None:
    head = b"ActiveMime".ljust(0x1E, b"\0") + struct.pack("<H", offset - 46 if offset == 300 else 0)
    data = head.ljust(offset, b"\0") + zlib.compress(samples.compound({"VBA/dir": b"x"}))
    found = look(data, "editdata.mso")
    assert (found.unscannable, found.macros) == ("", True)
    assert found.files[0].path == "editdata.mso/editdata"


def test_a_broken_one_of_those_is_told() -> None:
    assert look(b"ActiveMime" + bytes(600)).unscannable == "broken"


LZMA2 = {"id": lzma.FILTER_LZMA2}
CHAINS = {
    name: [{"id": getattr(lzma, f"FILTER_{name}")}, LZMA2]
    for name in ("DELTA", "X86", "POWERPC", "IA64", "ARM", "ARMTHUMB", "SPARC")
}


def xz(content: bytes, *filters: dict[str, int]) -> bytes:
    return lzma.compress(content, filters=[*filters, LZMA2])


def as_filter(packed: bytes, kind: int) -> bytes:
    """An .xz of one filter before LZMA2, `kind` said to be its id."""
    header = bytearray(packed[12 : 12 + 4 * (packed[12] + 1)])
    header[2] = kind
    header[-4:] = struct.pack("<L", zlib.crc32(header[:-4]))
    return packed[:12] + bytes(header) + packed[12 + len(header) :]


@pytest.mark.parametrize("name", CHAINS)
def test_filters_that_clamd_has_are_left_to_it(name: str) -> None:
    found = look(lzma.compress(EXE, filters=CHAINS[name]), "a.xz")
    assert (found.unscannable, found.files[0].types) == ("", ("exe",))


UNREAD = "packed with filters that scanners do not read"
ARM64 = as_filter(xz(b"x" * 9, CHAINS["ARM"][0]), 10)
"""Nothing in it is rewritten by that filter."""


@pytest.mark.parametrize(
    "content",
    {
        "alone": ARM64,
        "in the last stream": lzma.compress(b"x") + bytes(8) + ARM64 + bytes(4096),
        "in the first stream": ARM64 + lzma.compress(b"x"),
        "two filters": xz(b"x", CHAINS["X86"][0], CHAINS["DELTA"][0]),
        "the same twice": xz(b"x", CHAINS["X86"][0], CHAINS["X86"][0]),
    }.values(),
)
def test_filters_that_clamd_has_not_are_told(content: bytes) -> None:
    assert look(content, "a.xz").unscannable == UNREAD


def test_filters_of_every_block_count() -> None:
    """Two blocks of one stream, the index rewritten: programs write all alike, nobody has to."""
    plain, other = (
        lzma.compress(b"x" * 9, check=lzma.CHECK_CRC32),
        as_filter(lzma.compress(b"y" * 9, check=lzma.CHECK_CRC32, filters=CHAINS["ARM"]), 10),
    )
    sizes, blocks = [], b""
    for packed in (plain, other):
        index = 4 * (int.from_bytes(packed[-8:-4], "little") + 1)
        sizes.append((packed[-12 - index + 2], 9))
        blocks += packed[12 : -12 - index]
    index = b"\0\2" + b"".join(bytes(pair) for pair in sizes)
    index += bytes(-len(index) % 4)
    index += struct.pack("<L", zlib.crc32(index))
    tail = struct.pack("<L", len(index) // 4 - 1) + plain[6:8]
    content = plain[:12] + blocks + index + struct.pack("<L", zlib.crc32(tail)) + tail + b"YZ"
    assert lzma.decompress(content) == b"x" * 9 + b"y" * 9
    assert look(content, "a.xz").unscannable == UNREAD


def test_ten_thousand_padded_streams_take_no_time() -> None:
    content = (lzma.compress(b"") + bytes(4096)) * 5000
    spend = make.budget()
    left = spend.deadline - time.monotonic()
    assert look(content, "a.xz", spend).unscannable == ""
    assert spend.deadline - time.monotonic() > left - 10
