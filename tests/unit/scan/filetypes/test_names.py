"""What a name or a declared type promises, by any disguise (T38)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scan.filetypes import media_class, types_of_declared, types_of_name
from gateway.scan.filetypes.names import shown, washed

NAMES = {
    "photo.JPG": ("jpeg",),
    "scan.tif": ("tiff",),
    "IMG_1.NEF": ("raw",),
    "run.exe": ("exe",),
    "run.EXE.": ("exe",),
    "run.exe . . ": ("exe",),
    "run.exe\u00a0": ("exe",),
    "run.exe::$DATA": ("exe",),
    "run.exe:x.pdf": ("pdf", "exe"),
    "run.exe\0.pdf": ("pdf", "exe"),
    "invoice.pdf.exe": ("exe",),
    "invoice.exe.pdf": ("pdf",),
    "invoice\u202efdp.exe": ("exe",),
    "run.e\u200bxe": ("exe",),
    "run.ex\ufe0fe": ("exe",),
    "run.ex\u3164e": ("exe",),
    "run\uff0eexe": ("exe",),
    "run.ｅｘｅ": ("exe",),
    "run\u2024exe": ("exe",),
    "..\\..\\evil.bat": ("bat",),
    "/tmp/a.pdf/evil.cmd": ("cmd", "bat"),
    '"run.exe"': ("exe",),
    "screen.scr": ("scr", "exe"),
    "old.com": ("com", "exe"),
    "a.jar": ("jar", "zip"),
    "a.tgz": ("gz",),
    "x.{3050F4D8-98B5-11CF-BB82-00AA00BDCE0B}": ("clsid", "exe"),
    "\u200b.htaccess": ("htaccess",),
    "report.xyz": ("xyz",),
    "отчёт.док": ("док",),
    "Re: invoice.pdf": ("pdf",),
    "noextension": (),
    "ends with a dot.": (),
    "Mr. Smith writes a long letter to all of us": (),
    "": (),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_as_computers_read_it(name):
    assert types_of_name(name) == NAMES[name]


@given(st.text(max_size=60))
def test_no_name_makes_it_raise_and_washing_twice_is_washing_once(name):
    types_of_name(name)
    assert washed(washed(name)) == washed(name) or "$" in name or ":" in name
    assert "\u202e" not in shown(name)


@pytest.mark.parametrize(
    ("declared", "types"),
    [
        ("image/jpeg", ("jpeg",)),
        ("image/jpg", ("jpeg",)),
        ("image/pjpeg", ("jpeg",)),
        ("image/svg+xml", ("svg",)),
        ("image/x-png", ("png",)),
        ("image/x-nikon-nef", ("raw",)),
        ("image/x-unheard-of", ("unheard-of",)),
        ("audio/x-wav", ("wav",)),
        ("audio/mpeg", ("mp3",)),
        ("video/quicktime", ("mov",)),
        ("application/pdf", ("pdf",)),
        ("application/x-msdownload", ("exe",)),
        ("application/java-archive", ("jar", "zip")),
        ("application/x-zip-compressed", ("zip",)),
        ("Application/PDF; name=x", ("pdf",)),
        ("application/octet-stream", ()),
        ("image/*", ()),
        ("application/x-whatever", ()),
        ("", ()),
    ],
)
def test_a_declared_type_is_translated(declared, types):
    assert types_of_declared(declared) == types


@pytest.mark.parametrize(
    ("content", "declared", "names", "expected"),
    [
        ("jpeg", "application/pdf", ("a.pdf",), "image"),
        ("exe", "image/png", ("a.png",), "other"),
        ("mp4", "", (), "video"),
        ("", "audio/mpeg", (), "audio"),
        ("", "application/octet-stream", ("a.heic",), "image"),
        ("", "application/pdf", ("a.heic",), "other"),
        ("", "application/octet-stream", ("a.heic", "a.exe"), "other"),
        ("", "", (), "other"),
        ("svg", "image/svg+xml", ("a.svg",), "image"),
    ],
)
def test_the_class_follows_content_then_declaration_then_name(content, declared, names, expected):
    assert media_class(content, declared, names) == expected
