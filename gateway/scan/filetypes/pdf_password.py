"""Does a PDF need a password to be read? (ISO 32000-1 section 7.6, ISO 32000-2 section 7.6.4)

Most encrypted PDFs in business mail only forbid printing or changing: their user password is empty, every reader opens
them and clamd scans them. Holding those would hold every second bank statement, so the empty password is tried.
"""

from __future__ import annotations

import hashlib
import re

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

_PAD = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
_ENCRYPT = re.compile(rb"/Encrypt[\s\0]{0,16}(?:(\d{1,10})[\s\0]{1,16}(\d{1,5})[\s\0]{1,16}R|<<)")
_ID = re.compile(rb"/ID[\s\0]{0,16}\[[\s\0]{0,16}(?=[<(])")
_DICTIONARY_BYTES = 8192
_STRING_BYTES = 256
_LOOKS = 64


def needed(data: bytes) -> bool:
    """True when the PDF is encrypted and the empty user password does not open it, or nobody can tell."""
    mention = _last(_ENCRYPT, b"/Encrypt", data)
    if not mention:
        return False
    identity = _last(_ID, b"/ID", data)
    return not _opens_empty(_dictionary(data, mention), _string_at(data, identity.end()) if identity else b"")


def _last(pattern: re.Pattern[bytes], literal: bytes, data: bytes) -> re.Match[bytes] | None:
    """The last match, for the last trailer counts; looked for from the end, a few times, for a file may be full of them."""
    at = len(data)
    for _ in range(_LOOKS):
        at = data.rfind(literal, 0, at)
        if at < 0:
            return None
        if found := pattern.match(data, at):
            return found
    return None


def _dictionary(data: bytes, mention: re.Match[bytes]) -> bytes:
    if mention.group(1) is None:
        return data[mention.end() : mention.end() + _DICTIONARY_BYTES]
    header = re.compile(rb"(?<!\d)%d[\s\0]{1,16}%d[\s\0]{1,16}obj" % (int(mention.group(1)), int(mention.group(2))))
    found = header.search(data)
    return data[found.end() : found.end() + _DICTIONARY_BYTES].partition(b"endobj")[0] if found else b""


def _opens_empty(dictionary: bytes, file_id: bytes) -> bool:
    revision = _number(dictionary, b"R")
    user = _string(dictionary, b"U")
    if revision >= 5:
        digest = _hash_r6(user[32:40]) if revision > 5 else hashlib.sha256(user[32:40]).digest()
        return len(user) >= 48 and digest == user[:32]
    if revision < 2 or len(user) < 16:
        return False
    key = _key(dictionary, revision, file_id)
    if revision == 2:
        return _rc4(key, _PAD) == user[:32]
    check = hashlib.md5(_PAD + file_id, usedforsecurity=False).digest()
    for i in range(20):
        check = _rc4(bytes(byte ^ i for byte in key), check)
    return check == user[:16]


def _key(dictionary: bytes, revision: int, file_id: bytes) -> bytes:
    """Algorithm 2: the file key from the (empty, so padded) user password."""
    size = min(max((_number(dictionary, b"Length") or 40) // 8, 5), 16) if revision > 2 else 5
    if _number(dictionary, b"V") == 4:
        size = 16
    permissions = (_number(dictionary, b"P") & 0xFFFFFFFF).to_bytes(4, "little")
    clear = b"\xff\xff\xff\xff" if re.search(rb"/EncryptMetadata\s+false", dictionary) and revision >= 4 else b""
    digest = hashlib.md5(
        _PAD + _string(dictionary, b"O")[:32] + permissions + file_id + clear, usedforsecurity=False
    ).digest()
    for _ in range(50 if revision > 2 else 0):
        digest = hashlib.md5(digest[:size], usedforsecurity=False).digest()
    return digest[:size]


def _hash_r6(salt: bytes) -> bytes:
    """Algorithm 2.B with an empty password and no user key."""
    digest = hashlib.sha256(salt).digest()
    for turn in range(1 << 12):
        encryptor = Cipher(AES(digest[:16]), CBC(digest[16:32])).encryptor()
        cipher = encryptor.update(digest * 64)
        digest = (hashlib.sha256, hashlib.sha384, hashlib.sha512)[sum(cipher[:16]) % 3](cipher).digest()
        if turn >= 63 and cipher[-1] <= turn - 31:
            break
    return digest[:32]


def _rc4(key: bytes, data: bytes) -> bytes:
    """Ours, because OpenSSL 3 has put RC4 into its legacy provider, which need not be there."""
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) & 255
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) & 255
        j = (j + state[i]) & 255
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) & 255])
    return bytes(out)


def _number(dictionary: bytes, key: bytes) -> int:
    found = re.search(rb"/" + key + rb"[\s\0]+(-?\d{1,12})", dictionary)
    return int(found.group(1)) if found else 0


def _string(dictionary: bytes, key: bytes) -> bytes:
    found = re.search(rb"/" + key + rb"[\s\0]*(?=[<(])", dictionary)
    return _string_at(dictionary, found.end()) if found else b""


_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r": b""}
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)


def _string_at(data: bytes, at: int) -> bytes:
    """A hexadecimal `<...>` or literal `(...)` string (7.3.4)."""
    window = data[at : at + 4 * _STRING_BYTES]
    if window.startswith(b"<"):
        digits = re.sub(rb"[^0-9A-Fa-f]", b"", window[1:].partition(b">")[0])
        return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))
    end = _literal_end(window)
    return _ESCAPE.sub(_unescape, window[1:end])


def _literal_end(window: bytes) -> int:
    """Where the parenthesis closes that `window` begins with: pairs may nest, a backslash hides one."""
    depth, at = 0, 0
    while at < len(window):
        byte = window[at : at + 1]
        if byte == b"\\":
            at += 1
        elif byte in b"()":
            depth += 1 if byte == b"(" else -1
            if depth == 0:
                return at
        at += 1
    return at


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match.group(1)
    if code.isdigit() and code < b"8":
        return bytes([int(code, 8) & 255])
    return _ESCAPES.get(code, code)
