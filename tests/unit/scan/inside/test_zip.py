"""ZIP files: honest ones of every maker are read to the end, those that can be read in two ways say so."""

from __future__ import annotations

import io
import lzma
import random
import struct
import zipfile
import zlib

import pytest

from gateway.scan.filetypes import zip_directory
from gateway.scan.inside.containers import _zip_layout
from gateway.scan.inside.entry import ENTRY_BYTES, RATIO, RATIO_FREE_BYTES
from tests.unit.scan.inside import archives as make
from tests.unit.scan.inside.archives import EXE, File, Zip, look, paths

HELLO = ("a.txt", b"hello")


def test_files_are_told_by_path_and_by_what_they_are() -> None:
    found = look(make.zipped(HELLO, ("b/setup.txt", EXE)))
    assert found.unscannable == ""
    assert [(f.path, f.container, f.detected_type, f.types) for f in found.files] == [
        ("a.zip/a.txt", "zip", "", ("txt",)),
        ("a.zip/b/setup.txt", "zip", "exe", ("exe", "txt")),
    ]


LZMA = "packed as lzma, which scanners do not read"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_zipfile_is_unpacked(method: int) -> None:
    found = look(make.zipped(("x", EXE * 1000), method=method))
    assert found.unscannable == (LZMA if method == zipfile.ZIP_LZMA else "")
    assert found.files[0].detected_type == "exe"


def test_lzma_without_an_end_mark_ends_by_its_size() -> None:
    packed = lzma.compress(EXE, lzma.FORMAT_ALONE)  # this maker writes the mark; the size ends it sooner
    body = b"\x09\x04\x05\0" + packed[:5] + packed[13:]
    assert look(Zip([File(b"x", EXE, 14, flags=2, packed=body)]).build()).unscannable == LZMA


def macos(name: bytes, content: bytes) -> File:
    body = make.deflated(content)
    descriptor = b"PK\7\x08" + struct.pack("<LLL", 0, len(body), len(content))
    return File(name, content, flags=8, local_sizes=(0, len(content)), descriptor=descriptor)


def with_zip64() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x", "w", force_zip64=True) as file:
        file.write(b"hello")
    return out.getvalue()


def with_zip64_end() -> bytes:
    """As 7-Zip and Java may write for small files: all ones in the end record, the numbers beside it."""
    plain = make.zipped(("x", b"hello"))
    at = plain.rindex(b"PK\5\6")
    count, _, size, offset = struct.unpack_from("<2H2L", plain, at + 8)
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return plain[:at] + record + locator + end


HONEST = {
    "streamed, sizes behind the data": make.streamed(("x", b"hello" * 100), ("y", b"")),
    "macOS, one size known and the other not": Zip(
        [macos(b"x", b"hi" * 99), macos(b"__MACOSX/._x", b"\0\5\x16\7")]
    ).build(),
    "macOS, with folders": Zip([File(b"x/", b"", 0), macos(b"x/y", b"hi" * 99)]).build(),
    "Java, a folder that is deflated and streamed": Zip(
        [File(b"META-INF/", b"", flags=8, local_sizes=(0, 0), descriptor=b"PK\7\x08" + bytes(12)), File(b"x")]
    ).build(),
    "a data descriptor without its signature": Zip(
        [File(b"x", flags=8, local_sizes=(0, 0), descriptor=struct.pack("<LLL", 0, 7, 5)), File(b"y")]
    ).build(),
    "a writer who knows the sizes, and says that they follow": Zip([File(b"x", flags=8), File(b"y")]).build(),
    "Android, signed: a block before the directory": Zip([File(b"x")], gap=bytes(4096) + b"APK Sig Block 42").build(),
    "aligned by zipalign": Zip([File(b"x", local_extra=bytes(3)), File(b"y")]).build(),
    "Info-ZIP, other extra fields in front than at the end": Zip(
        [File(b"x", local_extra=b"UT\x09\0\3" + bytes(8), extra=b"UT\5\0\3" + bytes(4))]
    ).build(),
    "a comment": make.zipped(("x", b"hello"), comment=b"made by hand"),
    "an archive inside that is only stored": make.zipped(
        ("in.zip", make.zipped(("y", b"hello"))), ("z", b""), method=zipfile.ZIP_STORED
    ),
    "ZIP64 for the directory": with_zip64_end(),
    "one name twice": Zip([File(b"x"), File(b"x", b"other")]).build(),
    "nothing": make.zipped(),
    "files in another order than in the directory": b"",
}


def another_order() -> bytes:
    """Office writes the directory in the order of the parts, not of the bytes."""
    first, second = File(b"x"), File(b"y")
    local = first.local() + second.local()
    central = second.central(len(first.local())) + first.central(0)
    return local + central + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(central), len(local), 0)


@pytest.mark.parametrize("maker", HONEST)
def test_honest_archives_are_read_to_the_end(maker: str) -> None:
    found = look(HONEST[maker] or another_order())
    assert found.unscannable == ""
    assert not found.encrypted
    assert bool(found.files) == (maker != "nothing")


def test_folders_are_no_files() -> None:
    assert paths(look(Zip([File(b"b/", b"", 0), File(b"b/x")]).build())) == ["a.zip/b/x"]


def test_a_file_that_calls_itself_a_folder_is_a_file() -> None:
    assert look(Zip([File(b"setup.exe/", EXE)]).build()).files[0].detected_type == "exe"


@pytest.mark.parametrize("shifted", [True, False])
@pytest.mark.parametrize("stub", [EXE, EXE + b"\x81\x38PK\3\4\x0f\x85" + bytes(99), b"\xff\xd8\xff\xe0" + bytes(60)])
def test_what_stands_before_an_archive_is_no_flaw(stub: bytes, shifted: bool) -> None:
    found = look(Zip([File(b"x.txt")], before=stub, shifted=shifted).build(), "a")
    assert (found.unscannable, paths(found)) == ("", ["a/x.txt"])


def test_encrypted_files_are_listed() -> None:
    found = look(Zip([File(b"b.exe", EXE, flags=1), File(b"a.txt")]).build())
    assert found.encrypted
    assert found.unscannable == ""
    assert [(f.path, f.encrypted, f.detected_type, f.types) for f in found.files] == [
        ("a.zip/b.exe", True, "", ("exe",)),
        ("a.zip/a.txt", False, "", ("txt",)),
    ]


def test_a_name_in_utf8_without_the_flag_is_shown_as_meant() -> None:
    assert paths(look(Zip([File("schön.txt".encode())]).build())) == ["a.zip/schön.txt"]


def test_both_names_count_where_the_unicode_path_promises_another_type() -> None:
    raw = b"\x01" + bytes(4) + b"setup.exe"
    extra = struct.pack("<2H", 0x7075, len(raw)) + raw
    assert paths(look(Zip([File(b"a.txt", extra=extra)]).build())) == ["a.zip/a.txt", "a.zip/setup.exe"]


DISAGREE, MORE_THAN_ONE, OVERLAP = "headers disagree", "more than one archive", "files overlap"
ONE, OTHER = make.zipped(HELLO), make.zipped(("evil.exe", EXE))
HOSTILE = {
    "another name in front": (Zip([File(b"a.txt", local_name=b"a.exe")]).build(), DISAGREE),
    "another method in front": (Zip([File(b"a.txt", local_method=0)]).build(), DISAGREE),
    "encrypted in front only": (Zip([File(b"a.txt", local_flags=1)]).build(), DISAGREE),
    "encrypted in the directory only": (Zip([File(b"a.txt", flags=1, local_flags=0)]).build(), DISAGREE),
    "other sizes in front": (Zip([File(b"a.txt", local_sizes=(7, 4))]).build(), DISAGREE),
    "other sizes in front of a streamed one": (Zip([File(b"a.txt", flags=8, local_sizes=(3, 0))]).build(), DISAGREE),
    "no header in front": (Zip([File(b"a.txt", offset=5)]).build(), DISAGREE),
    "a header outside the file": (Zip([File(b"a.txt", offset=99_999)]).build(), DISAGREE),
    "size zero declared": (Zip([File(b"a.txt", EXE, sizes=(len(make.deflated(EXE)), 0))]).build(), DISAGREE),
    "too large a size declared": (Zip([File(b"a.txt", sizes=(7, 4000))]).build(), DISAGREE),
    "a stored file larger than stored": (Zip([File(b"a.txt", method=0, sizes=(5, 9))]).build(), DISAGREE),
    "rubbish behind what is deflated": (Zip([File(b"a", packed=make.deflated(b"hello") + EXE)]).build(), DISAGREE),
    "more files promised": (Zip([File(b"a.txt")], count=2).build(), DISAGREE),
    "fewer files promised": (Zip([File(b"a.txt"), File(b"b.exe", EXE)], count=1).build(), DISAGREE),
    "a directory without its end": (Zip([File(b"a.txt"), File(b"b.exe", EXE)], size=51).build(), DISAGREE),
    "a directory said to begin elsewhere": (ONE[:-6] + struct.pack("<L", 999) + ONE[-2:], DISAGREE),
    "two archives": (OTHER + ONE, MORE_THAN_ONE),
    "two archives, offsets repaired": (Zip([File(b"a.txt")], before=OTHER, shifted=True).build(), MORE_THAN_ONE),
    "an archive in the comment": (Zip([File(b"a.txt")], comment=OTHER).build(), MORE_THAN_ONE),
    "an archive in the comment, its end cut off": (Zip([File(b"a.txt")], comment=OTHER[:-22]).build(), MORE_THAN_ONE),
    "a file that the directory leaves out": (Zip([File(b"a.txt")], gap=File(b"evil.exe", EXE).local()).build(), MORE_THAN_ONE),
    "a file left out in front": (Zip([File(b"a.txt")], before=File(b"e.exe", EXE).local(), shifted=True).build(), MORE_THAN_ONE),
    "an empty archive behind one": (OTHER + make.zipped(), MORE_THAN_ONE),
    "a program before two archives": (EXE + OTHER + ONE, MORE_THAN_ONE),
    "one kernel for all files": (make.overlapping(3, b"x"), OVERLAP),
    "a file that reaches into the directory": (Zip([File(b"a.txt", method=0, sizes=(30, 30))]).build(), OVERLAP),
    "half a file": (Zip([File(b"a.txt", packed=make.deflated(bytes(99))[:-2])]).build(), "incomplete"),
    "rubbish for what is deflated": (Zip([File(b"a.txt", packed=b"\xff" * 9)]).build(), "broken"),
    "no directory": (ONE[:40], "a ZIP without its directory"),
    "one of several volumes": (Zip([File(b"a.txt")], disk=1).build(), "a part of a split ZIP"),
    "deflate64": (Zip([File(b"a.txt", method=9)]).build(), "packed as deflate64, which cannot be looked into"),
    "a method nobody knows": (Zip([File(b"a", method=77)]).build(), "packed as method 77, which cannot be looked into"),
    "lzma that asks for gigabytes": (Zip([File(b"a", method=14, packed=b"\x09\x04\x05\0]\xff\xff\xff\xff" + bytes(9))]).build(), LZMA),
    "lzma without its properties": (Zip([File(b"a", method=14, packed=b"\x09")]).build(), LZMA),
    "ZIP64 sizes before a file (clamd called it clean)": (with_zip64(), "ZIP64 sizes before a file, which scanners do not read"),
}  # fmt: skip


@pytest.mark.parametrize("trick", HOSTILE)
def test_what_can_be_read_in_two_ways_is_unscannable(trick: str) -> None:
    content, why = HOSTILE[trick]
    assert look(content).unscannable == why


def test_files_are_told_beside_the_flaw() -> None:
    found = look(Zip([File(b"a.txt", local_name=b"a.exe"), File(b"b.exe", EXE)]).build())
    assert found.unscannable == DISAGREE
    assert paths(found) == ["a.zip/a.txt", "a.zip/b.exe"]


def test_a_zip64_end_record_must_say_what_the_plain_one_says() -> None:
    data = bytearray(with_zip64_end())
    data[-22 + 8 : -22 + 12] = struct.pack("<2H", 2, 2)
    assert look(bytes(data)).unscannable == DISAGREE


@pytest.mark.parametrize("bomb", ["of zeros", "that declares nothing"])
def test_a_bomb_ends_at_a_hundred_times_its_size(bomb: str) -> None:
    body = make.deflated(bytes(40 * 1024 * 1024))
    sizes = (len(body), 0) if bomb == "that declares nothing" else None
    data = Zip([File(b"0", bytes(40 * 1024 * 1024), packed=body, sizes=sizes)]).build()
    spend = make.budget()
    assert look(data, spend=spend).unscannable == f"more than {RATIO} times its size"
    assert make.spent(spend)[1] <= RATIO * len(data) + 65_536


@pytest.mark.parametrize("declared", [10_000 << 20, 900 << 20, 17 << 20])
def test_ten_gigabytes_in_ten_megabytes_are_a_bomb_whatever_is_declared(declared: int) -> None:
    body = make.zeros(10_000)
    data = Zip([File(b"0", packed=body, sizes=(len(body), declared & 0xFFFFFFFF))]).build()
    assert len(data) > 10_000_000
    spend = make.budget()
    assert look(data, spend=spend).unscannable == f"more than {RATIO} times its size"
    assert make.spent(spend)[1] <= ENTRY_BYTES + 65_536


def large(beginning: bytes, declared: int) -> bytes:
    """A file whose beginning packs badly and which goes on for a gigabyte."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    body = packer.compress(beginning) + packer.flush(zlib.Z_FULL_FLUSH) + make.zeros(1000)
    return Zip([File(b"0", packed=body, sizes=(len(body), declared))]).build()


def test_of_a_large_file_the_size_is_believed_where_it_accuses() -> None:
    beginning = random.Random(1).randbytes(8 << 20) * 2 + b"x" * 66_000
    assert look(large(beginning, 4_000_000_000)).unscannable == f"more than {RATIO} times its size"
    assert look(large(beginning, 5_000)).unscannable == DISAGREE
    assert look(large(beginning, 500 << 20)).unscannable == ""


def test_of_many_extra_fields_the_first_are_searched() -> None:
    """Ten thousand files may share one block of sixteen thousand empty ones."""
    wanted = b"\1\0\1\0x"
    assert zip_directory.extra_field(bytes(4 * 10) + wanted, 1) == b"x"
    assert zip_directory.extra_field(bytes(4 * 16_000) + wanted, 1) == b""


def test_overlapping_files_end_at_a_hundred_times_the_size_too() -> None:
    data = make.overlapping(9_000, make.deflated(bytes(100_000)) + bytes(1_000_000))
    spend = make.budget()
    found = look(data, spend=spend)
    assert found.unscannable == f"more than {RATIO} times its size"
    assert make.spent(spend)[1] <= max(RATIO * len(data), RATIO_FREE_BYTES) + 65_536


def test_files_that_quote_one_another_overlap() -> None:
    spend = make.budget()
    data = make.quoted_overlap(200, bytes(50_000))
    found = look(data, spend=spend)
    assert found.unscannable
    assert make.spent(spend)[1] <= max(RATIO * len(data), RATIO_FREE_BYTES) + 65_536
    entries = zip_directory.find(data)
    assert entries is not None
    headers = list(zip_directory.entries(data, entries, 999))
    assert _zip_layout.flaw(data, entries, headers, [_zip_layout.local_of(data, e, 0) for e in headers]) == OVERLAP


def test_fifty_thousand_empty_files_end_at_ten_thousand() -> None:
    data = make.zipped(*((f"{n}.txt", b"") for n in range(50_000)))
    spend = make.budget()
    found = look(data, spend=spend)
    assert found.unscannable == "more than 10000 files"
    assert found.files[0].count == 10_000
    assert make.spent(spend)[0] == 10_001


def test_a_directory_that_promises_much_costs_nothing() -> None:
    spend = make.budget()
    assert look(Zip([File(b"a")], count=65_535).build(), spend=spend).unscannable == DISAGREE
    assert make.spent(spend) == (1, 5)
