"""What lies in a winmail.dat."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

from gateway.scan.inside.containers import tnef
from gateway.scan.inside.entry import Budget, Share, Unscannable
from tests.unit.scan.inside.containers import winmail as make
from tests.unit.scan.inside.containers.reading import names, read, share_of

CASES = ("body", "garbage-at-end", "multi-name-property", "unicode-mapi-attr-name", "winmail")


@pytest.mark.parametrize("case", CASES)
def test_real_files_hold_what_their_list_says(case: str, corpora: Path):
    content = (corpora / "tnef" / f"{case}.tnef").read_bytes()
    expected = (corpora / "tnef" / f"{case}.list").read_text().split("\n")
    assert names(tnef, content) == [name for name in expected if name]


def test_the_octets_are_those_of_the_attachment():
    found, _ = read(tnef, make.winmail(make.attachment(title="a.exe", data=b"MZ\x90")))
    assert [(e.name, e.content, e.encrypted, e.cut) for e in found] == [("a.exe", b"MZ\x90", False, False)]


def test_a_file_with_names_of_different_types_is_given_under_each():
    props = (make.wide(0x3707, "invoice.exe"), make.narrow(0x3704, "INVOIC~1.EXE"), make.wide(0x3001, "invoice.js"))
    content = make.winmail(make.attachment(title="invoice.pdf", data=b"x", props=props))
    assert names(tnef, content) == ["invoice.exe", "invoice.pdf", "invoice.js"]


def test_names_that_agree_in_type_are_one_file():
    props = (make.narrow(0x3707, "photo one.jpeg"), make.narrow(0x3704, "PHOTOO~1.JPG"))
    assert names(tnef, make.winmail(make.attachment(title="photo.jpg", data=b"x", props=props))) == ["photo one.jpeg"]


def test_data_among_the_properties_is_found():
    props = (make.wide(0x3707, "a.js"), make.prop(0x3701, 0x102, b"alert(1)"))
    found, reason = read(tnef, make.winmail(make.attachment(props=props)))
    assert ([(e.name, e.content) for e in found], reason) == ([("a.js", b"alert(1)")], "")


def test_data_in_both_places_is_two_files():
    """Some programs take the one, some the other."""
    props = (make.prop(0x3701, 0x102, b"MZ"),)
    found, _ = read(tnef, make.winmail(make.attachment(title="a.txt", data=b"hello", props=props)))
    assert [e.content for e in found] == [b"hello", b"MZ"]


def test_an_embedded_message_is_a_winmail_again():
    inner = make.winmail(make.attachment(title="a.exe", data=b"MZ"))
    props = (make.wide(0x3001, "Re: your order"), make.prop(0x3701, 0x0D, make.IID_MESSAGE + inner))
    found, _ = read(tnef, make.winmail(make.attachment(props=props)))
    assert [(e.name, e.content) for e in found] == [("Re: your order.tnef", inner)]


def test_an_embedded_storage_is_given_without_its_interface():
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    found, _ = read(tnef, make.winmail(make.attachment(props=(make.prop(0x3701, 0x0D, make.IID_STORAGE + ole),))))
    assert [e.content for e in found] == [ole]


def test_named_and_multiple_properties_are_stepped_over():
    named = struct.pack("<HH", 0x1F, 0x8001) + bytes(16) + struct.pack("<LL", 1, 6) + b"a\0b\0c\0\0\0"
    named += struct.pack("<LL", 1, 4) + b"x\0\0\0"
    numbered = struct.pack("<HH", 3, 0x8002) + bytes(16) + struct.pack("<LL", 0, 7) + bytes(4)
    several = struct.pack("<HH", 0x101E, 0x3A00) + struct.pack("<L", 2) + (struct.pack("<L", 2) + b"a\0\0\0") * 2
    props = (named, numbered, several, make.prop(0x0E20, 3, bytes(4)), make.wide(0x3707, "a.exe"))
    assert names(tnef, make.winmail(make.attachment(data=b"MZ", props=props))) == ["a.exe"]


HTML = b"<html><body>hello</body></html>"


def body(html: bytes) -> bytes:
    return make.properties(make.prop(0x1013, 0x102, html), kind=make.MESSAGE, level=1)


def test_the_html_body_beside_attachments_is_text():
    assert names(tnef, make.winmail(body(HTML), make.attachment(title="a.txt", data=b"x"))) == ["a.txt"]


def test_a_body_with_script_is_a_file_for_no_outlook_wrote_it():
    script = b"<html><script>alert(1)</script></html>"
    content = make.winmail(body(script), make.attachment(title="a.txt", data=b"x"))
    assert names(tnef, content) == ["a.txt", "body.html"]


def test_what_a_wrong_checksum_hides_is_given_and_told():
    content = make.winmail(
        make.attribute(make.RENDERING, bytes(14)),
        make.attribute(make.TITLE, b"a.exe\0"),
        make.attribute(make.DATA, b"MZ", checksum=1),
    )
    found, reason = read(tnef, content)
    assert ([(e.name, e.content) for e in found], reason) == ([("a.exe", b"MZ")], "broken winmail.dat")


def test_a_file_that_ends_early_gives_what_is_there():
    content = make.winmail(make.attachment(title="a.exe", data=b"MZ" + bytes(100)))
    found, reason = read(tnef, content[:-60])
    assert (found[0].name, found[0].content[:2], reason) == ("a.exe", b"MZ", "broken winmail.dat")


@pytest.mark.parametrize("rest", [b"\0", b"\r\n\r\n", bytes(100), b"garbage"])
def test_a_little_garbage_at_the_end_is_no_harm(rest: bytes):
    assert names(tnef, make.winmail(make.attachment(title="a.txt", data=b"x")) + rest) == ["a.txt"]


def test_much_garbage_at_the_end_might_be_something_to_others():
    found, reason = read(tnef, make.winmail(make.attachment(title="a.txt", data=b"x")) + b"\x07" + bytes(20) + b"MZ")
    assert ([e.name for e in found], reason) == (["a.txt"], "broken winmail.dat")


def test_what_is_no_winmail_is_broken():
    assert read(tnef, b"hello") == ([], "broken winmail.dat")


def test_a_property_list_longer_than_it_can_be_is_broken():
    value = struct.pack("<L", 0xFFFFFFFF) + struct.pack("<HHL", 0x101E, 0x3707, 0xFFFFFFFF)
    _, reason = read(
        tnef, make.winmail(make.attribute(make.RENDERING, bytes(14)), make.attribute(make.PROPERTIES, value))
    )
    assert reason == "broken winmail.dat"


def test_more_files_than_may_be_is_given_up():
    content = make.winmail(*(make.attachment(title=f"{i}.txt", data=b"x") for i in range(20)))
    share = share_of(content, Budget(time.monotonic() + 30, files=5))
    found, reason = read(tnef, content, share)
    assert len(found) == 5
    assert "files" in reason


def test_octets_are_spent_as_they_are_copied():
    content = make.winmail(make.attachment(title="a.txt", data=bytes(1000)))
    with pytest.raises(Unscannable, match="MiB"):
        list(tnef.entries(content, Share(Budget(time.monotonic() + 30, octets=500), len(content))))
