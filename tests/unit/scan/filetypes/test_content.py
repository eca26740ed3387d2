"""What a file is by its bytes, whatever it is called."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scan import filetypes
from gateway.scan.filetypes import signatures
from tests.unit.scan.filetypes import samples as make

WORD, SHEET, SLIDES = (make.OOXML + k for k in ("wordprocessingml", "spreadsheetml", "presentationml"))

SAMPLES = {
    "exe": make.pe(),
    "elf": b"\x7fELF\x02\x01\x01" + bytes(60),
    "macho": b"\xcf\xfa\xed\xfe\x07\0\0\x01" + bytes(60),
    "macho fat": b"\xca\xfe\xba\xbe\0\0\0\x02" + bytes(60),
    "class": b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(60),
    "lnk": bytes.fromhex("4c0000000114020000000000c000000000000046") + bytes(60),
    "swf": b"CWS\x0a" + bytes(20),
    "chm": b"ITSF\x03\0\0\0" + bytes(20),
    "dex": b"dex\n035\0" + bytes(20),
    "doc": make.compound({"WordDocument": b""}),
    "xls": make.excel(),
    "ppt": make.compound({"PowerPoint Document": b""}),
    "msg": make.compound({"__properties_version1.0": b""}),
    "vsd": make.compound({"VisioDocument": b""}),
    "msi": make.compound({"x": b""}, clsid=bytes.fromhex("84100c0000000000c000000000000046")),
    "ole": make.compound({"Something": b""}),
    "docx": make.ooxml(f"{WORD}.document.main+xml", "word"),
    "dotx": make.ooxml(f"{WORD}.template.main+xml", "word"),
    "docm": make.ooxml("vnd.ms-word.document.macroEnabled.main+xml", "word"),
    "xlsx": make.ooxml(f"{SHEET}.sheet.main+xml", "xl"),
    "xlsm": make.ooxml("vnd.ms-excel.sheet.macroEnabled.main+xml", "xl"),
    "xlsb": make.ooxml("vnd.ms-excel.sheet.binary.macroEnabled.main", "xl"),
    "pptx": make.ooxml(f"{SLIDES}.presentation.main+xml", "ppt"),
    "ppsx": make.ooxml(f"{SLIDES}.slideshow.main+xml", "ppt"),
    "docx without a main type": make.zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": "<x/>"}),
    "odt": make.odf("text"),
    "ods": make.odf("spreadsheet"),
    "odp": make.odf("presentation"),
    "epub": make.zipped({"mimetype": "application/epub+zip", "x.js": "1"}, stored_first=True),
    "jar": make.zipped({"META-INF/MANIFEST.MF": "x", "A.class": b"\xca\xfe\xba\xbe"}),
    "apk": make.zipped({"AndroidManifest.xml": "x", "classes.dex": "x", "META-INF/MANIFEST.MF": "x"}),
    "appx": make.zipped({"[Content_Types].xml": "x", "AppxManifest.xml": "x"}),
    "zip": make.zipped({"a.txt": "hello"}),
    "zip empty": b"PK\x05\x06" + bytes(18),
    "zip broken": b"PK\x03\x04" + bytes(60),
    "7z": make.seven_zip(),
    "rar": make.rar4(),
    "rar five": make.rar5(),
    "gz": gzip.compress(b"x"),
    "bz2": bz2.compress(b"x"),
    "bz2 empty": bz2.compress(b""),
    "xz": lzma.compress(b"x"),
    "zst": bytes.fromhex("28b52ffd0400") + bytes(9),
    "cab": b"MSCF\0\0\0\0" + bytes(40),
    "tar": make.tar(),
    "tar before POSIX": make.tar(ustar=False),
    "ace": bytes(7) + b"**ACE**" + bytes(20),
    "lha": b"\x1a\x20-lh5-" + bytes(20),
    "iso": make.iso(),
    "udf": bytes(32768) + b"\0BEA01\x01" + bytes(2048),
    "vhd": b"conectix" + bytes(504),
    "vhd fixed": bytes(4096) + b"conectix" + bytes(504),
    "vhdx": b"vhdxfile" + bytes(100),
    "img": make.fat_image(),
    "img of a disk with partitions": make.partitioned(make.fat_image()),
    "img of a Linux file system": bytes(1080) + b"\x53\xef\x01\0" + bytes(1000),
    "img with a CD's sector frames": b"\0" + b"\xff" * 10 + b"\0\0\2\0\1" + bytes(2336),
    "dmg": b"\x78\xda" + bytes(600) + b"koly" + bytes(508),
    "pdf": make.pdf(),
    "pdf after rubbish": b"rubbish\n" * 100 + make.pdf(),
    "rtf": b"{\\rtf1\\ansi hello}",
    "rtf misspelt as Word allows": b"{\\rt\\ansi hello}",
    "ps": b"%!PS-Adobe-3.0\n",
    "one": bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(50),
    "tnef": b"\x78\x9f\x3e\x22\x01\x00" + bytes(50),
    "mdb": b"\0\1\0\0Standard Jet DB\0" + bytes(50),
    "jpeg": make.JPEG,
    "png": make.png(),
    "gif": b"GIF89a\1\0\1\0\0\0\0;",
    "tiff": make.tiff(),
    "tiff big endian": b"MM\0*\0\0\0\x08\0\0",
    "raw": b"II*\0\x10\0\0\0CR\x02\0" + bytes(40),
    "raw dng": make.tiff(dng=True),
    "raw cr3": make.boxes(b"crx ", b"isom"),
    "raw raf": b"FUJIFILMCCD-RAW 0201" + bytes(60),
    "webp": make.riff(b"WEBP"),
    "heic": make.boxes(b"heic", b"mif1"),
    "heic by a compatible brand": make.boxes(b"mif1", b"miaf", b"heic"),
    "heif": make.boxes(b"mif1", b"miaf"),
    "avif": make.boxes(b"avif", b"mif1"),
    "bmp": b"BM" + struct.pack("<LLLL", 70, 0, 54, 40) + bytes(52),
    "ico": make.ico(),
    "psd": b"8BPS\0\1" + bytes(20),
    "jxl": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20),
    "mp4": make.boxes(b"isom", b"mp42"),
    "mov": make.boxes(b"qt  "),
    "mov before brands": struct.pack(">L", 32) + b"moov" + bytes(24),
    "avi": make.riff(b"AVI "),
    "wmv": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
    + bytes(40)
    + bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b"),
    "wma": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
    + bytes(40)
    + bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b"),
    "webm": b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm" + bytes(20),
    "mkv": b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska" + bytes(20),
    "mp3": b"ID3\x03\0\0\0\0\0\0" + bytes(40),
    "mp3 without a tag": make.mp3_frames(),
    "wav": make.riff(b"WAVE"),
    "m4a": make.boxes(b"M4A ", b"mp42"),
    "ogg": b"OggS\0\2" + bytes(22) + b"\x01vorbis" + bytes(20),
    "ogv": b"OggS\0\2" + bytes(22) + b"\x80theora" + bytes(20),
    "flac": b"fLaC\0\0\0\x22" + bytes(34),
    "aiff": b"FORM\0\0\0\x20AIFF" + bytes(20),
    "au": b".snd\0\0\0\x18" + bytes(20),
    "ttf": make.font(),
    "otf": b"OTTO\0\x0a" + bytes(40),
    "woff2": b"wOF2\0\1\0\0" + bytes(40),
    "sh": b"#!/bin/sh\necho hi\n",
    "py": b"#!/usr/bin/env python3\nprint(1)\n",
    "pl": b"#!/usr/bin/perl -w\n",
    "bat": b"\r\n@ECHO OFF\r\ndel *.*\r\n",
    "php": b"<?php echo 1; ?>",
    "hta": b"<html><head><HTA:APPLICATION id=x></head></html>",
    "wsf": b'<job id="a"><script language="VBScript">x</script></job>',
    "html": b"\xef\xbb\xbf  <!-- hi --><!DOCTYPE html><html><body>hello</body></html>",
    "html in UTF-16": "<html><script>x()</script></html>".encode("utf-16"),
    "html that begins with a script": b"<script>alert(1)</script>",
    "svg": b'<?xml version="1.0"?><!-- x --><svg xmlns="http://www.w3.org/2000/svg"><path/></svg>',
    "xml": b'<?xml version="1.0"?><invoice/>',
    "doc as XML": b'<?xml version="1.0"?><?mso-application progid="Word.Document"?><w:wordDocument/>',
    "ics": b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n",
    "vcf": b"BEGIN:VCARD\r\nVERSION:3.0\r\n",
    "url": b"[InternetShortcut]\r\nURL=file://x\r\n",
    "reg": b"Windows Registry Editor Version 5.00\r\n",
    "eml": b"Received: from x\r\n by y\r\nFrom: a@b.example\r\nSubject: hi\r\nX-A: 1\r\n\r\nhello\r\n",
    "mht": b"From: <Saved by Blink>\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; type=x\r\n\r\n",
}


@pytest.mark.parametrize("length", [1, 511, 512, 1023, 1080, 1081, 1082, 1083, 1084])
def test_a_file_that_ends_within_what_marks_a_disk_is_none(length: int) -> None:
    marked = (bytes(510) + b"\x55\xaa" + bytes(568) + b"\x53\xef\x01")[:length]
    assert filetypes.look(marked).types == ()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_is_known_by_its_content(name):
    assert filetypes.detect(SAMPLES[name]) == name.split()[0]


NOTHING = {
    "empty": b"",
    "text": b"Good morning, could you look at my invoice?\n",
    "csv": b"name;amount\nMZ;1\n",
    "text that begins with MZ": b"MZ is the mark of programs, and this is only a letter about it, long enough to mislead.\n"
    * 3,
    "text that begins with BM": b"BMW sent an invoice for the car that was repaired in May.\n",
    "text that begins with FORM": b"FORM 27B/6, please fill in\n",
    "text that begins with FWS": b"FWS stands for something\n",
    "text with two header-like lines": b"Subject: soup\nNote: salt\n\nbody\n",
    "text with a less-than sign": b"<3 thank you for the help\n",
    "bytes without meaning": bytes(range(1, 200)),
    "zeros": bytes(600),
    "ff": b"\xff\xfb\x90\x00" + b"no second frame" * 50,
}


@pytest.mark.parametrize("name", NOTHING)
def test_no_type_is_better_than_a_wrong_one(name):
    assert filetypes.detect(NOTHING[name]) == ""


def test_a_library_is_a_program_and_a_library():
    assert filetypes.look(make.pe(dll=True)).types == ("exe", "dll")


def test_a_program_for_linux_or_macos_is_a_bin():
    assert filetypes.look(SAMPLES["elf"]).types == ("elf", "bin")
    assert filetypes.look(SAMPLES["macho"]).types == ("macho", "bin")


@pytest.mark.parametrize("name", ["docx", "xlsx", "pptx", "odt", "epub", "docm", "xlsb"])
def test_a_document_in_a_zip_is_no_zip(name):
    assert filetypes.look(SAMPLES[name]).types == (name,)


@pytest.mark.parametrize("name", ["jar", "apk"])
def test_a_program_in_a_zip_is_a_zip(name):
    assert filetypes.look(SAMPLES[name]).types == (name, "zip")


def test_an_archive_posing_as_a_document_is_an_archive_too():
    files = {
        "[Content_Types].xml": make.content_types(f"{WORD}.document.main+xml"),
        "word/a.xml": "",
        "setup.exe": "MZ",
    }
    assert filetypes.look(make.zipped(files)).types == ("docx", "zip")


def test_the_parts_of_a_document_that_look_odd_are_no_stowaways():
    files = {
        "[Content_Types].xml": make.content_types(f"{WORD}.document.main+xml"),
        "word/embeddings/oleObject1.bin": "x",
        "word/media/image1.emf": "x",
        "xl/printerSettings/printerSettings1.bin": "x",
    }
    assert filetypes.look(make.zipped(files)).types == ("docx",)


@pytest.mark.parametrize("front", [make.JPEG, make.pdf(), b"GIF89a" + bytes(20), make.pe(), b"plain text\n"])
def test_an_archive_behind_another_file_is_found(front):
    """GIFAR, self-extracting programs: who reads from the end finds the archive."""
    looked = filetypes.look(front + make.zipped({"a.txt": "x"}))
    assert "zip" in looked.types
    assert looked.detected == (filetypes.detect(front) or "zip")


def test_a_document_that_embeds_an_archive_is_no_archive():
    inside = make.zipped({"a.txt": "x"})
    assert filetypes.look(make.compound({"WordDocument": b"", "Package": inside})).types == ("doc",)
    assert filetypes.look(b"%PDF-1.7\n" + inside + b"\n%%EOF\n").types == ("pdf",)


def test_a_pdf_behind_a_program_is_both():
    assert filetypes.look(make.pe()[:300] + make.pdf()).types == ("exe", "pdf")


def test_a_zip_with_bytes_in_front_is_read_from_its_end():
    """Offsets in the central directory are then off by what stands in front."""
    data = b"PK\x03\x04 stub " + make.zipped({"META-INF/MANIFEST.MF": "x", "A.class": "x"})
    assert filetypes.detect(data) == "jar"


def test_markup_that_runs_script_says_so():
    assert filetypes.look(b"<svg onload=alert(1)></svg>").types == ("svg", "js")
    assert filetypes.look(b"<html><a href='javascript:x()'>x</a></html>").types == ("html", "js")
    assert filetypes.look(b"<html><p>our shop is online = good</p></html>").types == ("html",)
    assert filetypes.look("<html><script>x</script></html>".encode("utf-16")).types == ("html", "js")


VBA = b'<Override PartName="/word/hidden.bin" ContentType="application/vnd.ms-office.vbaProject"/>'
PPT_MACROS = (
    bytes.fromhex("1f00ff03140000000200000400000000".replace("0400000000", "040c000000")) + b"\3\0\0\0\1\0\0\0\2\0\0\0"
)

MACROS = {
    "docx with vbaProject.bin": make.zipped({"[Content_Types].xml": "<Types/>", "word/vbaProject.bin": "x"}),
    "docx with a renamed project": make.zipped(
        {"[Content_Types].xml": b"<Types>" + VBA + b"</Types>", "word/d.xml": ""}
    ),
    "xlsx with Excel 4 macro sheets": make.zipped({"[Content_Types].xml": "<Types/>", "xl/macrosheets/sheet1.xml": ""}),
    "odt with Basic": make.odf("text", {"Basic/Standard/Module1.xml": "x"}),
    "doc": make.compound({"WordDocument": b"", "Macros/VBA": b""}),
    "xls": make.compound({"Workbook": b"", "_VBA_PROJECT_CUR/VBA": b""}),
    "xls with Excel 4 macro sheets": make.excel((0x809, bytes(16)), (0x85, b"\0\0\0\0\0\x01\x05\0Macro")),
    "ppt": make.compound({"PowerPoint Document": bytes(100) + PPT_MACROS}),
    "broken doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "WordDocument\0_VBA_PROJECT".encode("utf-16-le"),
    "web archive": SAMPLES["mht"] + b"QWN0aXZlTWltZQAA",
    "Word 2003 XML": SAMPLES["doc as XML"].replace(b"<w:wordDocument", b'<w:wordDocument w:macrosPresent="yes"'),
}


@pytest.mark.parametrize("name", MACROS)
def test_macros_are_seen(name):
    assert filetypes.look(MACROS[name]).macros


@pytest.mark.parametrize("name", ["docx", "xlsx", "odt", "doc", "xls", "ppt", "msg", "zip", "html"])
def test_no_macros_where_there_are_none(name):
    assert not filetypes.look(SAMPLES[name]).macros


ENCRYPTED = {
    "zip": make.encrypted_zip(),
    "docx": make.compound({"EncryptedPackage": b"", "EncryptionInfo": b""}),
    "doc": make.compound({"WordDocument": bytes(10) + b"\x00\x01"}),
    "xls": make.excel((0x809, bytes(16)), (0x2F, bytes(6))),
    "ppt": make.compound({"PowerPoint Document": b"", "EncryptedSummary": b""}),
    "odt": make.odf("text", {"META-INF/manifest.xml": "<manifest:encryption-data/>"}),
    "rar 4": make.rar4(encrypted=True),
    "rar 4 with its names": b"Rar!\x1a\x07\0" + b"\0\0\x73\x80\0\x0d\0" + bytes(20),
    "rar 5": make.rar5(encrypted=True),
    "rar 5 with its names": b"Rar!\x1a\x07\x01\0" + b"\0\0\0\0\x03\x04\0\0\0",
    "7z": make.seven_zip(encrypted=True),
    "pdf": make.pdf("/Encrypt 5 0 R /ID [<00> <00>]", "/Filter /Standard /V 1 /R 2 /P -4 /O (a) /U (0123456789abcdef)"),
    "pdf of unknown method": make.pdf("/Encrypt << /Filter /Adobe.PubSec /V 4 >>"),
}


@pytest.mark.parametrize("name", ENCRYPTED)
def test_encryption_is_seen(name):
    assert filetypes.look(ENCRYPTED[name]).encrypted


@pytest.mark.parametrize("name", ["zip", "doc", "xls", "ppt", "odt", "docx", "rar", "rar five", "7z", "pdf"])
def test_no_encryption_where_there_is_none(name):
    assert not filetypes.look(SAMPLES[name]).encrypted


def test_a_broken_compound_file_is_still_told_by_its_streams():
    data = make.compound({"WordDocument": b""})
    assert filetypes.detect(data[:600] + data[-1100:]) in ("doc", "ole")
    assert filetypes.detect(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t\0") == "doc"


@given(st.sampled_from(sorted(SAMPLES)), st.integers(0, 4000), st.binary(max_size=40))
def test_no_damage_makes_it_raise(name, at, damage):
    data = bytearray(SAMPLES[name])
    data[at : at + len(damage)] = damage
    filetypes.look(bytes(data))
    filetypes.look(bytes(data[: at + 1]))


@given(st.sampled_from([s[1] for s in signatures.SIGNATURES]), st.binary(max_size=200))
def test_no_bytes_behind_a_signature_make_it_raise(magic, rest):
    filetypes.look(magic + rest)


def test_real_winmail_files_are_tnef(corpora: Path):
    found = [filetypes.detect(p.read_bytes()) for p in sorted((corpora / "tnef").glob("*.tnef"))]
    assert found
    assert set(found) == {"tnef"}
