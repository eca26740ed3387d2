"""Containers that neither we nor clamd look into, known by their content whatever they are called."""

from __future__ import annotations

import lzma

import pytest

from gateway.scan.filetypes import detect
from gateway.scan.inside.walk import NOBODY_READS

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
