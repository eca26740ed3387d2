"""Containers that neither we nor clamd look into, known by their content whatever they are called."""

from __future__ import annotations

import lzma

import pytest

from gateway.scan.filetypes import detect
from gateway.scan.inside.walk import NOBODY_READS
from tests.unit.scan.filetypes import apple, samples

SIGNED, DATA, ENVELOPED = (bytes.fromhex(f"06092a864886f70d0107{n}") for n in ("02", "01", "03"))
AUTH_ENVELOPED = bytes.fromhex("060b2a864886f70d0109100117")


def der(tag: int, *inner: bytes) -> bytes:
    body = b"".join(inner)
    return bytes([tag, 0x82]) + len(body).to_bytes(2, "big") + body


def signed(content: bytes, *behind: bytes) -> bytes:
    return der(0x30, SIGNED, der(0xA0, der(0x30, b"\x02\x01\x01", der(0x31), content, *behind)))


CERTIFICATES = der(0xA0, der(0x30, bytes(300)))


@pytest.mark.parametrize(
    "content",
    {
        "signed": signed(der(0x30, DATA, der(0xA0, der(0x04, b"From: x\r\n")))),
        "signed, in pieces of no told length": b"\x30\x80" + SIGNED + b"\xa0\x80\x30\x80\x02\x01\x01\x31\0\x30\x80" + DATA + b"\xa0\x80\x24\x80\x04\x02hi" + bytes(10),
        "encrypted": der(0x30, ENVELOPED, der(0xA0, bytes(300))),
        "encrypted and authenticated": der(0x30, AUTH_ENVELOPED, der(0xA0, bytes(300))),
    }.values(),
)  # fmt: skip
def test_cms_that_carries_content_is_a_container(content: bytes) -> None:
    assert detect(content) == "p7m"
    assert "p7m" in NOBODY_READS


@pytest.mark.parametrize(
    "content",
    {
        "a signature alone": signed(b"\x30\x0b" + DATA, CERTIFICATES),
        "a signature alone, of no told length": b"\x30\x80" + SIGNED + b"\xa0\x80\x30\x80\x02\x01\x01\x31\0\x30\x80" + DATA + b"\0\0" + CERTIFICATES,
        "a certificate": der(0x30, der(0x30, b"\xa0\x03\x02\x01\x02", bytes(300))),
    }.values(),
)  # fmt: skip
def test_a_signature_alone_carries_nothing(content: bytes) -> None:
    assert detect(content) == ""


@pytest.mark.parametrize("level", [0, 6, 9])
def test_the_old_format_of_lzma_is_known_by_its_shape(level: int) -> None:
    assert detect(lzma.compress(b"hello", lzma.FORMAT_ALONE, preset=level)) == "lzma"
    assert "lzma" in NOBODY_READS


@pytest.mark.parametrize("content", [b"]", b"]\0", b"]\0 is a bracket and a NUL", b"]" + bytes(40), b"]]>\n</x>"])
def test_what_only_begins_like_it_is_not(content: bytes) -> None:
    assert detect(content) == ""


@pytest.mark.parametrize(
    ("content", "kind"),
    {
        "AppleSingle": (apple.single(b"hello"), "applesingle"),
        "AppleSingle of the first version": (apple.apple(b"\0\5\x16\0", (1, b"x"), version=1), "applesingle"),
        "AppleDouble with the file in it": (apple.double((1, b"hello")), "applesingle"),
        "MacBinary": (apple.macbinary(b"hello", version=1), "macbinary"),
        "MacBinary II": (apple.macbinary(b"hello"), "macbinary"),
        "MacBinary III of a wrong sum": (apple.macbinary(b"hello", version=3), "macbinary"),
        "MacBinary with a video's magic in its name": (apple.macbinary(b"hello", name=b"12ftypisom"), "macbinary"),
        "MacBinary, the padding cut": (apple.macbinary(b"hello", version=1)[:133], "macbinary"),
        "StuffIt of old": (b"SIT!\0\1\0\0\0\0rLau\1" + bytes(40), "sit"),
        "StuffIt X": (b"StuffIt!" + bytes(40), "sit"),
        "a disk of macOS": (bytes(1024) + b"H+\0\4" + bytes(500), "img"),
        "a newer disk of macOS": (bytes(32) + b"NXSB" + bytes(500), "img"),
        "btrfs": (bytes(65600) + b"_BHRfS_M" + bytes(500), "img"),
    }.values(),
)  # fmt: skip
def test_what_carries_a_file_and_nobody_reads_is_a_container(content: bytes, kind: str) -> None:
    assert detect(content) == kind
    assert kind in NOBODY_READS


@pytest.mark.parametrize(
    "content",
    {
        "AppleDouble": apple.double(),
        "an empty one": b"\0\5\x16\7\0\2\0\0" + bytes(18),
        "zeros": bytes(400),
        "a name and zeros": b"\0\1a" + bytes(400),
        "random": b"\0\5\x16\1" + bytes(range(200)),
    }.values(),
)
def test_what_stands_beside_a_file_carries_nothing(content: bytes) -> None:
    assert detect(content) == ""


def test_fonts_and_icons_begin_like_a_mac_file_and_are_none() -> None:
    assert detect(samples.ico()) == "ico"
    assert detect(b"\0\1\0\0\0\x0b\0\x80\0\3\0\x30GSUB" + bytes(200)) == "ttf"
