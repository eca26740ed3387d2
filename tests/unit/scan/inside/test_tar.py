"""tar files of every age, and those that two programs unpack differently."""

from __future__ import annotations

import io
import tarfile

import pytest

from gateway.scan.inside.entry import ENTRY_BYTES
from tests.unit.scan.filetypes import samples
from tests.unit.scan.inside import archives as make
from tests.unit.scan.inside.archives import EXE, look, paths, tarred

LONG = "d/" * 120 + "setup.exe"
FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
each = pytest.mark.parametrize("form", FORMS)


@each
def test_files_of_each_format_are_told(form: str) -> None:
    found = look(tarred(("x/setup.txt", EXE), ("schön.txt", b"x"), form=FORMS[form]), "a.tar")
    assert found.unscannable == ""
    assert [(f.path, f.container, f.types) for f in found.files] == [
        ("a.tar/x/setup.txt", "tar", ("exe", "txt")),
        ("a.tar/schön.txt", "tar", ("txt",)),
    ]


@each
def test_long_names_are_read_whole(form: str) -> None:
    found = look(tarred((LONG, b"x"), form=FORMS[form]), "a.tar")
    assert (found.unscannable, paths(found)) == ("", [f"a.tar/{LONG}"])


def test_a_tar_from_before_posix_is_read() -> None:
    assert paths(look(samples.tar(ustar=False), "a.tar")) == ["a.tar/hello.txt"]


def field(at: int, value: bytes, content: bytes = EXE) -> bytes:
    """A tar of one file, `value` in its header at `at`."""
    data = bytearray(tarred(("x", content), form=tarfile.USTAR_FORMAT))
    data[at : at + len(value)] = value
    return summed(data)


BASE_256 = b"\x80" + len(EXE).to_bytes(11, "big")


def test_a_size_beyond_octal_is_read_and_told_for_clamd_does_not_read_it() -> None:
    found = look(field(124, BASE_256), "a.tar")
    assert (found.files[0].detected_type, found.unscannable) == ("exe", "a size that scanners do not read")


def test_a_size_beyond_octal_of_a_long_name_is_told() -> None:
    data = bytearray(tarred((LONG, b"x"), form=tarfile.GNU_FORMAT))
    data[124:136] = b"\x80" + (len(LONG) + 1).to_bytes(11, "big")
    assert look(summed(data), "a.tar").unscannable == "a size that scanners do not read"


@pytest.mark.parametrize("kind", [b"A", b"E", b"I", b"Z", b" ", b"\xff"])
def test_a_kind_of_file_that_only_unpackers_know_is_told(kind: bytes) -> None:
    found = look(field(156, kind), "a.tar")
    assert (found.files[0].detected_type, found.unscannable) == ("exe", "a kind of file that scanners do not read")


@pytest.mark.parametrize("kind", [b"0", b"\0", b"7"])
def test_kinds_of_ordinary_files_are_left_to_clamd(kind: bytes) -> None:
    assert look(field(156, kind), "a.tar").unscannable == ""


def test_a_checksum_of_signed_bytes_is_right_too() -> None:
    data = bytearray(tarred(("schön.exe", EXE), form=tarfile.USTAR_FORMAT))
    data[257:265] = bytes(8)
    header = data[:148] + b" " * 8 + data[156:512]
    data[148:156] = b"%06o\0 " % sum(byte - 256 * (byte > 127) for byte in header)
    found = look(bytes(data), "a.dat")
    assert (paths(found), found.unscannable) == (["a.dat/schön.exe"], "")


def summed(data: bytearray, at: int = 0) -> bytes:
    """With the header's checksum made right again."""
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


def members(*infos: tarfile.TarInfo, form: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info in infos:
            archive.addfile(info)
    return out.getvalue()


def info(name: str, kind: bytes, target: str = "", **pax: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.pax_headers = kind, target, pax
    return made


def test_links_and_devices_are_listed_and_folders_are_not() -> None:
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
    data = members(
        info("d", tarfile.DIRTYPE), *(info(f"x.{n}", kind, "../../etc/passwd") for n, kind in enumerate(kinds))
    )
    found = look(data, "a.tar")
    assert (found.unscannable, paths(found)) == ("", [f"a.tar/x.{n}" for n in range(4)])


def test_a_comment_for_all_files_is_what_git_writes() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", pax_headers={"comment": "0123abcd"}) as archive:
        archive.addfile(tarfile.TarInfo("x"))
    assert look(out.getvalue(), "a.tar").unscannable == ""


def test_the_name_for_programs_without_pax_counts_too() -> None:
    data = bytearray(tarred((LONG.replace(".exe", ".txt"), b"x")))
    at = data.index(b"ustar", 1024) - 257
    data[at : at + 100] = b"setup.exe".ljust(100, b"\0")
    assert len(look(summed(data, at), "a.tar").files) == 2


def lying(size: int) -> bytes:
    data = bytearray(tarred(("x.exe", EXE), form=tarfile.USTAR_FORMAT))
    data[124:136] = b"%011o\0" % size
    return summed(data)


def link_with_a_size() -> bytes:
    data = bytearray(members(info("x", tarfile.SYMTYPE, "y")))
    data[124:136] = b"%011o\0" % 512
    return summed(data)


def two_sizes() -> bytes:
    """TARmageddon (CVE-2025-62518): one reader skips what the pax header says, the other what the old one says."""
    hidden = tarred(("evil.exe", EXE), form=tarfile.USTAR_FORMAT)
    outer = info("x.txt", tarfile.REGTYPE, size=str(len(hidden)))
    return members(outer, form=tarfile.PAX_FORMAT)[: 3 * 512] + hidden


def without_magic(at: int) -> bytes:
    data = bytearray(tarred(("x.txt", b"x"), ("y.exe", EXE), form=tarfile.USTAR_FORMAT))
    data[at + 257 : at + 265] = bytes(8)
    return summed(data, at)


TAR = tarred(("x", b"y"))
HOSTILE = {
    "a name of nothing": (field(0, b"\0x"), "a file without a name"),
    "a volume's label that has contents": (field(156, b"V"), "headers disagree"),
    "a header of another age": (without_magic(at=1024), "headers disagree"),
    "a first header of another age": (without_magic(at=0), "headers disagree"),
    "a long name of nothing": (field(156, b"L", b""), "headers disagree"),
    "a header for all files with nothing in it": (field(156, b"g", b""), "headers disagree"),
    "empty blocks before it": (bytes(1024) + TAR, "data behind its end"),
    "a checksum beyond octal": (TAR[:148] + b"\x80" + bytes(5) + b"\x10\0" + TAR[156:], "broken"),
    "a size beyond the end": (lying(8_000_000_000), "incomplete"),
    "a size of nothing": (lying(0), "broken"),
    "a link with a size": (link_with_a_size(), "headers disagree"),
    "two sizes": (two_sizes(), "headers disagree"),
    "a second archive behind the first": (TAR + TAR, "data behind its end"),
    "a checksum that is wrong": (TAR[:5] + b"z" + TAR[6:], "broken"),
    "half a header": (tarred(("x", b""), form=tarfile.USTAR_FORMAT)[:300], "broken"),
    "a file with holes": (members(info("x", tarfile.GNUTYPE_SPARSE)), "a file with holes"),
}


@pytest.mark.parametrize("trick", HOSTILE)
def test_what_programs_unpack_differently_is_unscannable(trick: str) -> None:
    content, why = HOSTILE[trick]
    assert look(content, "a.tar").unscannable == why


def test_a_name_for_all_files_is_a_game() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", pax_headers={"path": "a.txt"}) as archive:
        archive.addfile(tarfile.TarInfo("x.exe"))
    assert look(out.getvalue(), "a.tar").unscannable == "headers disagree"


@pytest.mark.parametrize(
    "record", [b"99 path=a\n", b"5 =\n", b"x", b"11 path:abc\n", b"9" * 9 + b" path=a\n", b"0 a=\n"]
)
def test_broken_pax_records_end_it(record: bytes) -> None:
    data = bytearray(members(info("x", tarfile.REGTYPE, comment="y" * 90), form=tarfile.PAX_FORMAT))
    data[512:1024] = record.ljust(512, b"\0")
    assert look(bytes(data), "a.tar").unscannable == "broken"


def test_a_size_that_lies_takes_no_more_than_there_is() -> None:
    spend = make.budget()
    look(lying(8_000_000_000), "a.tar", spend)
    assert make.spent(spend)[1] < 20_000


def test_of_a_large_file_the_beginning_is_looked_at() -> None:
    spend = make.budget()
    found = look(tarred(("x", EXE + bytes(ENTRY_BYTES)), ("y.txt", b"y")), "a.tar", spend)
    assert (found.unscannable, len(found.files)) == ("", 2)
    assert make.spent(spend)[1] == ENTRY_BYTES + 1
