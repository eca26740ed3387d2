"""OpenPGP: what is encrypted, what anybody could read and nobody does, and what carries nothing."""

from __future__ import annotations

import base64
import bz2
import os
import time
import zlib

import pytest

from gateway.scan.filetypes import detect, look
from gateway.scan.filetypes.openpgp import Message
from gateway.scan.filetypes.openpgp import look as message_in
from gateway.scan.inside.containers import pgp
from tests.unit.scan.inside.containers.reading import read

TEXT = b"Please see the file."


def new(tag: int, body: bytes) -> bytes:
    """A packet in the format of today, RFC 9580 section 4.2.1, with a length of five octets."""
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def old(tag: int, body: bytes, length_octets: int = 2) -> bytes:
    """Section 4.2.2; `length_octets` 0 is the indeterminate length."""
    kind = {1: 0, 2: 1, 4: 2, 0: 3}[length_octets]
    return bytes([0x80 | tag << 2 | kind]) + (len(body).to_bytes(length_octets, "big") if kind < 3 else b"") + body


def in_pieces(tag: int, body: bytes, power: int = 9) -> bytes:
    """Partial lengths, section 4.2.1.4."""
    size = 1 << power
    cut = len(body) // size * size
    pieces = b"".join(bytes([0xE0 | power]) + body[at : at + size] for at in range(0, cut, size))
    return bytes([0xC0 | tag]) + pieces + b"\xff" + (len(body) - cut).to_bytes(4, "big") + body[cut:]


LITERAL = b"b\x05a.txt" + (1_700_000_000).to_bytes(4, "big") + TEXT
BY_PASSWORD = b"\x04\x09\x03\x02" + bytes(range(8)) + b"\x60"
BY_KEY = b"\x03" + bytes(8) + b"\x01" + b"\x08\x00" + bytes(256)
SEALED = b"\x01" + bytes(range(200))
SIGNATURE = b"\x04\x00\x01\x08" + bytes(200)
ONE_PASS = b"\x03\x00\x08\x01" + bytes(8) + b"\x01"
KEY = b"\x04" + (1_700_000_000).to_bytes(4, "big") + b"\x01" + bytes(200)
RAW_DEFLATE = zlib.compressobj(9, zlib.DEFLATED, -15)
COMPRESSED = {
    "uncompressed": b"\0" + new(11, LITERAL),
    "zip": b"\1" + RAW_DEFLATE.compress(new(11, LITERAL)) + RAW_DEFLATE.flush(),
    "zlib": b"\2" + zlib.compress(new(11, LITERAL)),
    "bzip2": b"\3" + bz2.compress(new(11, LITERAL)),
}


def armoured(packets: bytes, kind: bytes = b"MESSAGE", headers: bytes = b"Version: 1\n") -> bytes:
    digits = base64.encodebytes(packets)
    return b"-----BEGIN PGP %b-----\n%b\n%b=abcd\n-----END PGP %b-----\n" % (kind, headers, digits, kind)


ENCRYPTED = {
    "by a password": new(3, BY_PASSWORD) + new(18, SEALED),
    "by a password, old packets": old(3, BY_PASSWORD, 1) + old(9, SEALED),
    "by a password, of no told length": old(3, BY_PASSWORD, 1) + old(9, SEALED, 0),
    "by a key": old(1, BY_KEY) + new(18, SEALED),
    "for two keys, in pieces": old(1, BY_KEY) + new(1, BY_KEY) + in_pieces(18, b"\1" + os.urandom(3000)),
    "by AEAD": new(3, BY_PASSWORD) + new(20, b"\x01\x09\x02\x10" + bytes(90)),
    "behind a marker": new(10, b"PGP") + new(3, BY_PASSWORD) + new(18, SEALED),
    "with padding": new(21, b"random") + new(3, BY_PASSWORD) + new(18, b"\x02\x09\x02\x06" + bytes(90)),
    "without its session key": new(18, SEALED),
}  # fmt: skip
READABLE = {
    "literal": new(11, LITERAL),
    "literal, old packets": old(11, LITERAL, 1),
    "literal of no told length": old(11, LITERAL, 0),
    "literal in pieces": in_pieces(11, LITERAL + bytes(range(191)) * 3),
    "literal and other octets": old(11, LITERAL) + b"behind it",
    "literal cut short": old(11, LITERAL)[:-3],
    "signed": new(4, ONE_PASS) + new(11, LITERAL) + new(2, SIGNATURE),
    "signed as long ago": old(2, SIGNATURE) + old(11, LITERAL),
    **{f"compressed: {kind}": new(8, body) for kind, body in COMPRESSED.items()},
    **{f"compressed, of no told length: {kind}": old(8, body, 0) for kind, body in COMPRESSED.items()},
}
CARRY_NOTHING = {
    "a key": new(6, KEY) + new(13, b"Ann <ann@x.test>") + new(2, SIGNATURE),
    "a secret key, old packets": old(5, KEY) + old(13, b"Ann <ann@x.test>") + old(2, SIGNATURE),
    "a signature": old(2, SIGNATURE),
    "two signatures": new(2, SIGNATURE) * 2,
}
CLEAR_SIGNED = (
    b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + TEXT + b"\n" + armoured(old(2, SIGNATURE), b"SIGNATURE")
)


def written(packets: dict[str, bytes]) -> list[object]:
    both = list(packets.items())
    both += [(f"{what}, in armour", armoured(octets)) for what, octets in packets.items()]
    return [pytest.param(octets, id=what) for what, octets in both]


@pytest.mark.parametrize("content", written(ENCRYPTED))
def test_an_encrypted_message_is_encrypted_and_nothing_more(content: bytes) -> None:
    seen = look(content)
    assert (seen.detected, seen.encrypted) == ("pgp", True)
    assert read(pgp, content) == ([], "")


@pytest.mark.parametrize("content", written(READABLE))
def test_what_needs_no_key_is_read_by_nobody(content: bytes) -> None:
    seen = look(content)
    assert (seen.detected, seen.encrypted) == ("pgp", False)
    assert "OpenPGP" in read(pgp, content)[1]


def test_readable_data_behind_encrypted_data_counts() -> None:
    content = ENCRYPTED["by a password"] + READABLE["literal"]
    assert message_in(content) == Message(encrypted=True, exposed=True)
    assert message_in(ENCRYPTED["by a password"] + b"what is this") == Message(encrypted=True, exposed=True)


@pytest.mark.parametrize("what", CARRY_NOTHING)
@pytest.mark.parametrize("kind", [b"", b"PUBLIC KEY BLOCK", b"PRIVATE KEY BLOCK", b"SIGNATURE"])
def test_keys_and_signatures_carry_nothing(what: str, kind: bytes) -> None:
    content = CARRY_NOTHING[what]
    assert detect(armoured(content, kind) if kind else content) == ""


def test_clear_signed_text_is_text() -> None:
    assert detect(CLEAR_SIGNED) == ""


@pytest.mark.parametrize("kind", [b"PUBLIC KEY BLOCK", b"SIGNATURE"])
def test_a_message_called_otherwise_is_one(kind: bytes) -> None:
    """GnuPG goes by the packets, not by the head line."""
    assert detect(armoured(READABLE["literal"], kind)) == "pgp"


@pytest.mark.parametrize(
    "content",
    {
        "behind some words": b"Hello Ann,\n\n" + armoured(READABLE["literal"]),
        "quoted": b"> " + armoured(READABLE["literal"]).replace(b"\n", b"\n> "),
        "of many parts": armoured(READABLE["literal"], b"MESSAGE, PART 01/03"),
        "with the line ends of mail": armoured(READABLE["literal"]).replace(b"\n", b"\r\n"),
        "without a tail": armoured(READABLE["literal"]).partition(b"=abcd")[0],
        "behind a signed text": CLEAR_SIGNED + armoured(READABLE["literal"]),
        "in a page": b"<html><body><pre>\n" + armoured(READABLE["literal"]),
        "of no packets": armoured(b"hello"),
        "any file": armoured(TEXT, b"ARMORED FILE"),
    }.values(),
)
def test_a_message_in_armour_is_found(content: bytes) -> None:
    assert message_in(content) == Message(encrypted=False, exposed=True)
    assert "pgp" in look(content).types


@pytest.mark.parametrize(
    "content",
    [
        b"The line is '-----BEGIN PGP MESSAGE-----', see RFC 9580.\n",
        "Ëtudes".encode("latin-1"),
        "Лето".encode("cp1251") * 30,
        b"\xa7\x0d\x0d\x0a" + bytes(12) + b"a Python file, compiled",
        b"\xa3\x01" + bytes(range(90)),
        b"\xd2\x40\x01 too short by itself",
        b"\xff\xd8\xff\xe0" + bytes(60),
    ],
)
def test_what_only_looks_like_it_is_none(content: bytes) -> None:
    assert message_in(content) is None


@pytest.mark.parametrize(
    "content",
    [
        bytes([0xC9]) + b"\xe0x" * 5_000_000,
        bytes([0xD5, 0]) * 5_000_000,
        b"-----BEGIN PGP MESSAGE-----\n\n" * 300_000,
        b"-----BEGIN PGP SIGNATURE-----\n" + b"a: b\n" * 2_000_000,
        b"-----BEGIN PGP SIGNATURE-----\n" + b"> " * 5_000_000,
    ],
    ids=["pieces", "packets", "blocks", "headers", "quotes"],
)
def test_it_does_not_take_long(content: bytes) -> None:
    begun = time.thread_time()
    message_in(content)
    assert time.thread_time() - begun < 3
