"""Only a PDF that nobody opens without a password counts as encrypted."""

from __future__ import annotations

import hashlib

import pytest

from gateway.scan.filetypes import pdf_password
from gateway.scan.filetypes.pdf_password import _PAD, _hash_r6, _key, _rc4
from tests.unit.scan.filetypes import samples as make

FILE_ID = b"0123456789abcdef"
OWNER = bytes(range(32, 64))


def document(revision: int, user: bytes, more: str = "") -> bytes:
    encrypt = f"/Filter /Standard /V {revision - 1} /R {revision} /Length 128 /P -1340 {more} "
    encrypt += f"/O <{OWNER.hex()}> /U <{user.hex()}>"
    return make.pdf(f"/Encrypt 5 0 R /ID [<{FILE_ID.hex()}> <00>]", encrypt)


def user_entry(revision: int) -> bytes:
    """Algorithms 4 and 5 of ISO 32000-1, forward, for the empty password."""
    dictionary = document(revision, b"")
    key = _key(dictionary, revision, FILE_ID)
    if revision == 2:
        return _rc4(key, _PAD)
    check = hashlib.md5(_PAD + FILE_ID).digest()
    for i in range(20):
        check = _rc4(bytes(b ^ i for b in key), check)
    return check + bytes(16)


def test_rc4_is_the_known_cipher():
    assert _rc4(b"Key", b"Plaintext").hex() == "bbf316e8d940af0ad3"


@pytest.mark.parametrize("revision", [2, 3, 4])
def test_a_pdf_that_only_forbids_printing_opens_for_everybody(revision):
    assert not pdf_password.needed(document(revision, user_entry(revision)))
    assert pdf_password.needed(document(revision, bytes(32)))


def test_so_it_is_with_aes_256():
    salt = b"saltsalt"
    five = hashlib.sha256(salt).digest() + salt + b"keysalt."
    assert not pdf_password.needed(document(5, five))
    six = _hash_r6(salt) + salt + b"keysalt."
    assert not pdf_password.needed(document(6, six))
    assert pdf_password.needed(document(6, bytes(48)))


def test_strings_may_be_written_with_escapes():
    data = document(3, user_entry(3))
    escaped = "".join(f"\\{b:03o}" for b in user_entry(3))
    assert not pdf_password.needed(data.replace(f"<{user_entry(3).hex()}>".encode(), f"({escaped})".encode()))


def test_a_text_about_encryption_is_not_encrypted():
    assert not pdf_password.needed(b"%PDF-1.4\n(The /Encrypt key of the trailer)\n/EncryptMetadata false\n%%EOF")


def test_a_file_full_of_the_word_costs_nothing():
    assert not pdf_password.needed(b"/Encrypt" * 500_000)
