r"""Objects in RTF: as programs write them, and as those do who want nobody but Word to read them."""

from __future__ import annotations

import struct
import time

import pytest

from gateway.scan.filetypes import detect, look
from gateway.scan.inside.containers import rtf
from gateway.scan.inside.entry import Budget
from gateway.scan.inside.walk import look_inside
from tests.unit.scan.inside.containers import compounds as make
from tests.unit.scan.inside.containers.reading import names, read

EXE = b"MZ" + bytes(58) + struct.pack("<L", 64) + b"PE\0\0" + bytes(300)
UNUSUAL = "an object in it that is not written as usual"


def counted(text: str) -> bytes:
    return struct.pack("<L", len(text) + 1) + text.encode() + b"\0" if text else bytes(4)


def ole1(native: bytes, name: str = "Package", form: int = 2) -> bytes:
    """ObjectHeader and NativeData ([MS-OLEDS] 2.2.4 and 2.2.5), then a presentation."""
    header = struct.pack("<LL", 0x501, form) + counted(name) + counted("") + counted("")
    return header + struct.pack("<L", len(native)) + native + struct.pack("<LL", 0x501, 0)


def written(octets: bytes, width: int = 64) -> bytes:
    """As Word writes it."""
    digits = octets.hex().encode()
    return b"\r\n".join(digits[at : at + width] for at in range(0, len(digits), width))


def document(data: bytes, word: bytes = rb"{\*\objdata ") -> bytes:
    return (
        rb"{\rtf1\ansi Hello {\object\objemb\objw9{\*\objclass Package}"
        + word
        + data
        + rb"}{\result {\pict 00}}} there}"
    )


PACKAGE = ole1(make.packaged(EXE, "setup.exe", "C:\\setup.exe", "C:\\temp\\setup.exe")[4:])
COMPOUND = make.compound({"WordDocument": bytes(5000), "\x01Ole10Native": make.packaged(EXE, "setup.exe")})
DIGITS = PACKAGE.hex().encode()
A, B = DIGITS[:100], DIGITS[100:]


@pytest.mark.parametrize(
    "data",
    {
        "as Word does": written(PACKAGE),
        "in capitals": DIGITS.upper(),
        "with blanks": b" \t\r\n".join(DIGITS[at : at + 3] for at in range(0, len(DIGITS), 3)),
        "of no told version": ole1(make.packaged(EXE, "setup.exe")[4:]).replace(b"\1\5\0\0", b"abcd").hex().encode(),
    }.values(),
)
def test_a_packaged_program_is_given_with_its_name(data: bytes) -> None:
    found, reason = read(rtf, document(data))
    assert [(e.name, e.content) for e in found] == [("setup.exe", EXE)]
    assert reason == ""


@pytest.mark.parametrize(
    ("data", "word"),
    {
        "binary": (rb"\bin%d " % len(PACKAGE) + PACKAGE, b""),
        "digits, then binary": (PACKAGE[:10].hex().encode() + rb"\bin%d " % len(PACKAGE[10:]) + PACKAGE[10:], b""),
        "a control word": (A + rb"\par " + B, b""),
        "a control word with a number": (A + rb"\fs-24" + b"\n" + B, b""),
        "a group": (A + b"{" + B[:10] + b"}" + B[10:], b""),
        "a group of no meaning": (A + rb"{\*\foo 41{42}\bin2 }}43}" + B, b""),
        "an escaped octet": (A + rb"\'41" + B, b""),
        "other characters": (A + b"xyz" + B, b""),
        "the group does not end": (DIGITS.replace(b"00", b"00\r\n"), rb"{\*\objdata "),
        "a number": (DIGITS, rb"{\*\objdata7 "),
        "no star": (DIGITS + rb"\par", rb"{\objdata "),
        "within another": (b"01 05" + rb"{\*\objdata " + DIGITS + b"}", b""),
    }.values(),
)
def test_what_stands_between_the_digits_is_skipped(data: bytes, word: bytes) -> None:
    content = document(data, word or rb"{\*\objdata ")
    found, _ = read(rtf, content[:-30] if data.endswith(b"\r\n") else content)
    assert ("setup.exe", EXE) in [(e.name, e.content) for e in found]


def test_digits_in_a_group_are_read_both_ways() -> None:
    r"""Word takes them, but not those of `{\proptype\staticval abc}`."""
    with_group = document(A + b"{" + B[:10] + b"}" + B[10:])
    without = document(A + rb"{\proptype\staticval abc}" + B)
    for content in (with_group, without):
        found, reason = read(rtf, content)
        assert (("setup.exe", EXE) in [(e.name, e.content) for e in found], reason) == (True, UNUSUAL)


@pytest.mark.parametrize(
    "data",
    {
        "a control word": A + rb"\par " + B,
        "a group": A + b"{}" + B,
        "a group of no meaning": A + rb"{\*\foo 41}" + B,
        "other characters": A + b"xyz" + B,
        "an odd digit": DIGITS + b"1",
        "an odd digit before binary": b"0" + rb"\bin2 ab" + DIGITS,
        "binary, which clamd does not read": rb"\bin%d " % len(PACKAGE) + PACKAGE,
        "more binary than there is": rb"\bin99999999 " + PACKAGE,
        "what is no object": b"deadbeef" * 9,
        "the first octets as a number": b"",
        "within another": b"01 05" + rb"{\*\objdata " + DIGITS + b"}",
    }.values(),
)
def test_what_nobody_writes_is_not_certain(data: bytes) -> None:
    content = document(data) if data else document(DIGITS, rb"{\*\objdata")
    assert read(rtf, content)[1] == UNUSUAL


def test_an_object_that_does_not_end_is_not_certain() -> None:
    assert read(rtf, document(DIGITS).partition(rb"}{\result")[0])[1] == UNUSUAL


def test_an_object_hidden_by_a_nul_is_not_certain() -> None:
    assert read(rtf, document(DIGITS, b"{\\*\\obj\0data "))[1] == UNUSUAL


def test_a_backslash_at_the_end_of_binary_hides_no_object() -> None:
    content = rb"{\rtf1{\pict\bin1 " + b"\\" + rb"\objdata " + DIGITS + b"}}"
    assert "setup.exe" in [e.name for e in read(rtf, content)[0]]


def test_a_compound_file_is_given_as_it_is() -> None:
    found, reason = read(rtf, document(written(ole1(COMPOUND, "Word.Document.8"))))
    assert [(e.name, e.content, reason) for e in found] == [("object 1.ole", COMPOUND, "")]


def test_a_compound_file_behind_other_octets_is_given() -> None:
    found, _ = read(rtf, document(written(b"anything" + COMPOUND)))
    assert (found[-1].name, found[-1].content) == ("object 1.ole", COMPOUND)


def test_octets_of_another_program_are_given_as_they_are() -> None:
    found, reason = read(rtf, document(written(ole1(EXE, "PBrush"))))
    assert [(e.name, e.content, reason) for e in found] == [("object 1", EXE, "")]


def test_a_link_is_given_as_it_is() -> None:
    link = ole1(b"\\\\192.0.2.1\\a.doc\0", "Word.Document.8", form=1)
    assert [e.content for e in read(rtf, document(written(link)))[0]] == [link]
    assert read(rtf, document(written(link)))[1] == ""


def test_several_objects_are_all_given() -> None:
    both = document(written(PACKAGE)) + document(written(ole1(b"%PDF-1.4", "x")))
    assert names(rtf, both) == ["setup.exe", "object 2"]


@pytest.mark.parametrize(
    "content",
    [
        rb"{\rtf1\ansi Hello}",
        rb"{\rtf1 {\pict\wmetafile8 " + EXE.hex().encode() + b"}}",
        rb"{\rtf1 {\*\datastore 0105000002000000180000004d73786d6c}}",
        rb"{\rtf1 write \\objdata before the digits, \{ and \} around}",
        rb"{\rtf1 {\pict\bin4 abcd} write \\objdata, or \\binN and N octets}",
        rb"{\rtf1 objdata is a word, and so is \objdatax0}",
        rb"{\rtf1{\object\objemb{\*\objdata }}}",
        rb"{\rtf1 {\pict\bin4 " + b"\0\0\0\0" + b"}}",
    ],
)
def test_a_document_without_objects_has_no_files(content: bytes) -> None:
    assert detect(content) == "rtf"
    assert names(rtf, content) == []


def test_the_walk_sees_the_program_at_every_depth() -> None:
    content = document(written(ole1(COMPOUND, "Word.Document.8")))
    seen: list[bytes] = []
    inside = look_inside(content, "a.rtf", look(content), Budget(time.monotonic() + 30), seen.append)
    assert [(f.path, f.detected_type) for f in inside.files][-1] == ("a.rtf/object 1.ole/setup.exe", "exe")
    assert EXE in seen


@pytest.mark.parametrize(
    "content",
    {
        "objects within objects": rb"{\rtf1" + rb"{\*\objdata 00" * 500_000,
        "objects within digits": rb"{\rtf1" + rb"\objdata 00" * 1000 + b"00" * 4_000_000,
        "groups": rb"{\rtf1{\objdata " + b"{}" * 5_000_000,
        "binary of nothing": rb"{\rtf1{\objdata " + rb"\bin0 " * 2_000_000,
        "backslashes": b"{\\rtf1\\bin4 " + b"\\" * 5_000_000 + b"objdata",
        "blanks": rb"{\rtf1{\objdata {" + b" " * 5_000_000,
        "open groups": rb"{\rtf1{\objdata " + (b"{" + b" " * 99) * 100_000,
    }.values(),
)
def test_it_does_not_take_long(content: bytes) -> None:
    begun = time.thread_time()
    assert read(rtf, content)[1] == UNUSUAL
    assert time.thread_time() - begun < 5
