"""Every type that policies must be able to name is known for what it is, whatever it is called and declared as."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.scan import filetypes
from tests.unit.scan.filetypes import samples as make
from tests.unit.scan.filetypes.test_content import SAMPLES
from tests.unit.scan.inside.containers import compounds, rars, winmail

DATA = Path(__file__).resolve().parents[3] / "data"


def real(name: str) -> bytes:
    """A file that a real program wrote."""
    packed = DATA / "files" / f"{name}.xz"
    return lzma.decompress(packed.read_bytes()) if packed.exists() else (DATA / name).read_bytes()


RAR4, RAR5 = rars.rar4(rars.file4(b"a.exe")), rars.rar5(rars.file5("a.exe"))
SEVEN_ZIP = real("7z/plain.7z")
SCRIPTED_SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

FILES: dict[str, bytes] = {
    "exe": make.pe(),
    "elf": Path("/bin/sh").read_bytes()[:4096] if Path("/bin/sh").exists() else SAMPLES["elf"],
    "macho": SAMPLES["macho"],
    "macho fat": SAMPLES["macho fat"],
    "lnk": SAMPLES["lnk"],
    "msi": real("a.msi"),
    "msg": compounds.compound({"__properties_version1.0": bytes(32), **compounds.attached(0, b"MZ", long="a.exe")}),
    "doc": compounds.compound({"WordDocument": bytes(5000), "1Table": bytes(100)}),
    "xls": compounds.compound({"Workbook": bytes(5000)}),
    "ppt": compounds.compound({"PowerPoint Document": bytes(5000)}),
    "docx": SAMPLES["docx"],
    "docm": make.ooxml("vnd.ms-word.document.macroEnabled.main+xml", "word", **{"word/vbaProject.bin": b"x"}),
    "xlsx": SAMPLES["xlsx"],
    "odt": SAMPLES["odt"],
    "zip": make.zipped({"a.txt": "hello"}),
    "7z": SEVEN_ZIP,
    "rar four": RAR4,
    "rar five": RAR5,
    "gz": gzip.compress(b"hello"),
    "bz2": bz2.compress(b"hello"),
    "xz": lzma.compress(b"hello"),
    "zst": real("files/a.zst"),
    "zst behind a frame to be skipped": b"\x5a\x2a\x4d\x18"
    + struct.pack("<L", 9)
    + b"\xff\xd8\xffJFIF\0\0"
    + real("files/a.zst"),
    "cab": real("a.cab"),
    "iso": real("a.iso"),
    "iso that is UDF as well": real("udf-bridge.iso"),
    "udf": SAMPLES["udf"],
    "vhd": SAMPLES["vhd"],
    "vhd fixed": SAMPLES["vhd fixed"],
    "vhdx": SAMPLES["vhdx"],
    "img": real("a.img"),
    "pdf": make.pdf(),
    "pdf after rubbish": b"\n" * 1000 + make.pdf(),
    "rtf": SAMPLES["rtf"],
    "one": SAMPLES["one"],
    "sh": SAMPLES["sh"],
    "py": SAMPLES["py"],
    "bat": SAMPLES["bat"],
    "html": SAMPLES["html"],
    "hta": SAMPLES["hta"],
    "svg": SCRIPTED_SVG,
    "tnef": winmail.winmail(winmail.attachment(title="a.exe", data=b"MZ")),
    "eml": SAMPLES["eml"],
    "eml from an mbox": b"From a@b.example Sat Nov 21 10:00:00 2026\r\n" + SAMPLES["eml"],
    "eml behind blank lines": b"\r\n\r\n" + SAMPLES["eml"],
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_known_under_its_own_name(name: str):
    assert filetypes.detect(FILES[name]) == name.split(maxsplit=1)[0]


@pytest.mark.parametrize("name", FILES)
def test_a_file_called_and_declared_a_photo_is_none(name: str):
    kind, content = name.split(maxsplit=1)[0], FILES[name]
    looked = filetypes.look(content)
    types = filetypes.all_types(looked, "image/jpeg", ("holiday.jpg",))
    assert types[0] == kind
    assert "jpeg" in types
    if kind != "svg":
        assert filetypes.media_class(looked.detected, "image/jpeg", ("holiday.jpg",)) == "other"


@pytest.mark.parametrize("content", [SCRIPTED_SVG, b"<html><body onload='x()'></body></html>"])
def test_script_in_markup_shows_under_any_name(content: bytes):
    assert "js" in filetypes.all_types(filetypes.look(content), "image/png", ("a.png",))


PREFIXED = b'<x:page xmlns:x="http://www.w3.org/1999/xhtml"><x:script>alert(1)</x:script></x:page>'


@pytest.mark.parametrize("prologue", [b"", b'<?xml version="1.0"?>\n'])
def test_xml_that_is_a_page_under_a_prefix_is_a_page(prologue: bytes):
    assert filetypes.look(prologue + PREFIXED).types == ("html", "js")


def test_macros_in_a_renamed_document_are_seen():
    assert filetypes.look(FILES["docm"]).macros


FRONTS: dict[str, Callable[[], bytes]] = {
    "a picture": lambda: make.JPEG,
    "a program": make.pe,
    "rubbish": lambda: b"\x93rubbish" * 100,
    "the signature alone": lambda: b"\x93" + rars.MAGIC4 + bytes(50) + SEVEN_ZIP[:6] + bytes(60),
}


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize(("kind", "archive"), [("rar", RAR4), ("rar", RAR5), ("7z", SEVEN_ZIP), ("zip", FILES["zip"])])
def test_an_archive_behind_something_else_is_found_as_its_programs_find_it(front: str, kind: str, archive: bytes):
    assert kind in filetypes.look(FRONTS[front]() + archive).types


@pytest.mark.parametrize("signature", [rars.MAGIC4, rars.MAGIC5, SEVEN_ZIP[:6]])
def test_a_program_that_knows_an_archive_by_its_signature_is_none(signature: bytes):
    assert filetypes.look(make.pe() + signature + bytes(100)).types == ("exe",)


def test_an_archive_stored_in_a_document_or_an_archive_is_theirs():
    assert filetypes.look(b"%PDF-1.7\n" + RAR5).types == ("pdf",)
    assert filetypes.look(make.tar()[:1024] + RAR5).types == ("tar",)


@pytest.mark.parametrize("before", [b"", b"\r\n", b"rubbish\n" * 100])
def test_a_pdf_that_begins_in_the_oldest_way_is_one(before: bytes):
    assert "pdf" in filetypes.look(before + b"%!PS-Adobe-3.0 PDF-1.4\n1 0 obj\n").types


def test_postscript_is_no_pdf():
    assert filetypes.look(b"%!PS-Adobe-3.0 EPSF-3.0\n%%Title: PDF-1.4\n").types == ("ps",)
