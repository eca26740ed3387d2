"""What lies in a compound file."""

from __future__ import annotations

import struct
import time

import pytest

from gateway.scan import filetypes
from gateway.scan.filetypes import compound as bounds
from gateway.scan.inside.containers import ole
from gateway.scan.inside.entry import Budget, Entry
from tests.unit.scan.inside.containers import compounds as make
from tests.unit.scan.inside.containers.reading import names, read, share_of

PROPERTIES = {"__properties_version1.0": bytes(32)}
DOCUMENT = {"WordDocument": bytes(5000)}
EXE = b"MZ" + bytes(58) + struct.pack("<L", 64) + b"PE\0\0" + bytes(300)


def given(streams: dict[str, bytes]) -> list[Entry]:
    found, reason = read(ole, make.compound(streams))
    assert reason == ""
    return found


def test_a_document_without_anything_in_it_has_no_files():
    assert given(DOCUMENT | {"\x05SummaryInformation": b"\xfe\xff\0\0" + bytes(60), "Data": bytes(range(200))}) == []


@pytest.mark.parametrize("size", [3, 6000])
def test_a_packaged_file_is_given_with_its_own_octets(size: int):
    stream = make.packaged(b"M" * size, "setup.exe", "C:\\x\\setup.exe", "C:\\temp\\setup.exe")
    found = given(DOCUMENT | {"ObjectPool/_1234/\x01Ole10Native": stream})
    assert [(e.name, e.content) for e in found] == [("setup.exe", b"M" * size)]


def test_a_packaged_file_with_names_of_different_types_is_given_under_each():
    stream = make.packaged(
        b"x", "invoice.pdf", "C:\\invoice.js", "C:\\invoice.js", ("C:\\invoice.exe", "invoice.pdf", "")
    )
    found = given(DOCUMENT | {"\x01Ole10Native": stream})
    assert [e.name for e in found] == ["invoice.pdf", "C:\\invoice.js", "C:\\invoice.exe"]


def test_native_data_of_other_programs_is_given_as_it_is():
    found = given(DOCUMENT | {"\x01Ole10Native": struct.pack("<L", len(EXE)) + EXE})
    assert [(e.name, e.content) for e in found] == [("\x01Ole10Native", EXE)]


def test_a_package_stream_is_a_file():
    found = given(DOCUMENT | {"ObjectPool/_1/Package": b"anything"})
    assert [(e.name, e.content) for e in found] == [("ObjectPool/_1/Package", b"anything")]


CARRIED = {
    "exe": EXE,
    "zip": b"PK\x03\x04" + bytes(60),
    "sh": b"#!/bin/sh\necho\n",
    "pdf": b"%PDF-1.7\n",
    "hta": b"<html><head><HTA:APPLICATION id=x></head></html>",
    "rtf": b"{\\rtf1 x}",
}


@pytest.mark.parametrize("kind", CARRIED)
def test_a_stream_that_begins_like_a_file_is_one(kind: str):
    found = given(DOCUMENT | {"Contents": CARRIED[kind]})
    assert [(e.name, filetypes.detect(e.content or b"")) for e in found] == [("Contents", kind)]


def test_pictures_in_a_document_are_no_news():
    assert given(DOCUMENT | {"Pictures": b"\x89PNG\r\n\x1a\n" + bytes(50)}) == []


def test_a_document_in_a_document_is_told_by_its_type():
    found = given(DOCUMENT | {"ObjectPool/_1/Workbook": bytes(100), "MBD0001/PowerPoint Document": bytes(100)})
    assert [e.name for e in found] == ["ObjectPool/_1.xls", "MBD0001.ppt"]


def test_attachments_of_an_outlook_message_are_given():
    streams = (
        PROPERTIES
        | make.attached(0, EXE, long="setup.exe", short="SETUP~1.EXE")
        | make.attached(1, b"hello", shown="a.txt")
    )
    found = given(streams)
    assert {e.name: e.content for e in found} == {"setup.exe": EXE, "a.txt": b"hello"}


def test_an_attachment_with_names_of_different_types_is_given_under_each():
    found = given(PROPERTIES | make.attached(0, b"x", long="a.pdf", short="a.exe", shown="a.js"))
    assert [e.name for e in found] == ["a.pdf", "a.exe", "a.js"]


def test_an_attachment_without_a_name_is_given():
    assert [e.content for e in given(PROPERTIES | make.attached(0, b"x"))] == [b"x"]


def test_attachments_of_an_attached_message_are_given():
    """Outlook stores it as a storage, not as octets: nothing else would ever enter it."""
    inner = {f"__attach_version1.0_#00000000/__substg1.0_3701000D/{k}": v for k, v in
             (PROPERTIES | make.attached(0, EXE, long="setup.exe")).items()}  # fmt: skip
    found = given(PROPERTIES | inner)
    assert [e.name for e in found] == ["__attach_version1.0_#00000000/__substg1.0_3701000D.msg", "setup.exe"]


def test_the_bodies_and_fields_of_an_outlook_message_are_no_files():
    texts = {
        "__substg1.0_10130102": b"<html><script>x</script></html>",
        "__substg1.0_007D001E": b"From: a\nTo: b\nSubject: c\n\n",
    }
    recipients = {f"__recip_version1.0_#00000000/{name}": octets for name, octets in PROPERTIES.items()}
    assert given(PROPERTIES | texts | recipients) == []


@pytest.mark.parametrize("deflated", [True, False])
def test_objects_in_slides_are_unpacked(deflated: bool):
    inner = make.compound({"\x01Ole10Native": make.packaged(b"x", "a.lnk")})
    stream = bytes(24) + make.slide_object(inner, deflated=deflated) + bytes(5000)
    found = given({"PowerPoint Document": stream})
    assert [(e.name, e.content) for e in found] == [("PowerPoint Document/object.ole", inner)]
    assert names(ole, found[0].content or b"") == ["a.lnk"]


def test_a_slide_object_that_unpacks_without_end_is_a_bomb():
    stream = make.slide_object(bounds.MAGIC + bytes(10_000_000)) + bytes(5000)
    assert read(ole, make.compound({"PowerPoint Document": stream}))[1] == "more than 100 times its size"


def test_an_encrypted_package_is_an_encrypted_file():
    found = given({"EncryptedPackage": bytes(5000), "EncryptionInfo": bytes(60)})
    assert [(e.name, e.content, e.encrypted) for e in found] == [("EncryptedPackage", None, True)]


def test_a_document_by_its_name_alone_has_nothing_in_it():
    assert names(ole, b"{\\rtf1 hello}") == []


def test_a_broken_file_says_so():
    good = make.compound(DOCUMENT)
    assert read(ole, good[:600]) == ([], "broken compound file")
    assert read(ole, good[:8]) == ([], "broken compound file")


# What kept olefile busy until memory or patience ended


def patched(content: bytes, at: int, octets: bytes) -> bytes:
    return content[:at] + octets + content[at + len(octets) :]


def quickly(content: bytes) -> str:
    begun = time.thread_time()
    filetypes.look(content)
    _, reason = read(ole, content)
    assert time.thread_time() - begun < 5
    return reason


def test_a_header_that_names_four_billion_fat_sectors():
    """33 million DIFAT sectors, all of them the same one."""
    content = patched(make.compound(DOCUMENT), 44, struct.pack("<L", 0xFFFFFF00))
    content = patched(content, 68, struct.pack("<LL", 0, (0xFFFFFF00 - 109 + 126) // 127))
    content = patched(content, 512 + 508, bytes(4))
    assert quickly(content) == "broken compound file"


def test_a_header_that_names_four_billion_sectors_of_small_streams():
    content = make.compound(DOCUMENT | {"Contents": b"x"})
    assert quickly(patched(content, 64, struct.pack("<L", 0xFFFFFF00))) == "broken compound file"


def test_a_stream_of_four_gigabytes_in_a_circle():
    content = make.compound({"WordDocument": bytes(5000), "Package": b"#!/bin/sh\n" + bytes(5000)})
    fat = len(content) - 512
    content = patched(content, fat, struct.pack("<L", 0))  # the first sector follows itself
    entry = content.index("WordDocument".encode("utf-16-le"))
    content = patched(content, entry + 120, struct.pack("<Q", 0xFFFFFFF0))
    quickly(content)
    with bounds.opened(content) as file:
        stream = file.find("WordDocument")
        assert stream is not None
        assert len(file.read(stream, 1 << 40)) <= len(content)


def test_more_streams_than_any_document_has():
    """Each in its place in a balanced tree: only the count is wrong, and olefile compares each stream with all before."""
    count = bounds.ENTRIES + 100
    sectors = (count * 128 + 511) // 512
    entry = make._entry
    raw = [entry("Root Entry", 5, child=1)]
    raw += [_node(number, count) for number in range(1, count)]
    directory = b"".join(raw).ljust(sectors * 512, b"\0")
    fat_sectors = sectors // 128 + 1
    chain = [*range(fat_sectors + 1, fat_sectors + sectors), 0xFFFFFFFE]
    fat = struct.pack(f"<{fat_sectors + sectors}L", *[0xFFFFFFFD] * fat_sectors, *chain).ljust(
        fat_sectors * 512, b"\xff"
    )
    header = bounds.MAGIC + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<LLLLLLLLL", 0, fat_sectors, fat_sectors, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    header += struct.pack("<109L", *range(fat_sectors), *[0xFFFFFFFF] * (109 - fat_sectors))
    assert quickly(header + fat + directory) == "broken compound file"


def _node(number: int, count: int) -> bytes:
    """A heap makes a balanced tree; olefile goes down it by recursion."""
    left, right = 2 * number, 2 * number + 1
    octets = bytearray(make._entry(f"s{number}", 2, right=right if right < count else 0xFFFFFFFF, start=5, size=5000))
    octets[68:72] = struct.pack("<L", left if left < count else 0xFFFFFFFF)
    return bytes(octets)


def test_many_streams_in_the_same_sectors_are_spent_each():
    streams = {f"s{number}": EXE + bytes(4000) for number in range(10)}
    content = make.compound(streams)
    share = share_of(content, Budget(time.monotonic() + 30, octets=20_000))
    assert "MiB" in read(ole, content, share)[1]


def test_the_budget_of_files_holds():
    content = make.compound(
        PROPERTIES | {k: v for i in range(10) for k, v in make.attached(i, b"x", long="a.txt").items()}
    )
    found, reason = read(ole, content, share_of(content, Budget(time.monotonic() + 30, files=5)))
    assert len(found) == 5
    assert "files" in reason
