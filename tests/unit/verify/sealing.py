"""Seals a message as RFC 8617 section 5.1 says, with any tags one likes."""

from __future__ import annotations

import base64
import hashlib
import re

from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.hashes import SHA256
from dkim.canonicalization import CanonicalizationPolicy
from shapes import ed_key, key_record, rsa_key

RELAXED = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
SIGNED = "from:to:subject:date"


def arc_zone(*domains: str, key=None) -> dict:
    """The keys of sealers, selector s1."""
    return {(f"s1._domainkey.{domain}", "TXT"): [key_record(key or rsa_key())] for domain in domains}


def seal(
    content: bytes,
    domain: str,
    results: str = "mx.test; none",
    *,
    key=None,
    selector: str = "s1",
    cv: str = "",
    signed: str = SIGNED,
    form: str = "relaxed/relaxed",
    extra: str = "",
    seal_extra: str = "",
    length: int | None = None,
) -> bytes:
    """The message with one more ARC set on top."""
    key = key or rsa_key()
    algorithm = "ed25519-sha256" if key is ed_key() else "rsa-sha256"
    fields, body = _split(content)
    number = sum(name.lower() == b"arc-seal" for name, _ in fields) + 1
    common = f"i={number}; a={algorithm}; d={domain}; s={selector};"
    told = (b"ARC-Authentication-Results", f" i={number}; {results}\r\n".encode())
    rules = CanonicalizationPolicy.from_c_value(form.encode())
    hashed = base64.b64encode(hashlib.sha256(rules.canonicalize_body(body)[:length]).digest()).decode()
    limit = "" if length is None else f" l={length};"
    value = f" {common} c={form};{extra}{limit} h={signed}; bh={hashed}; b="
    chosen = [*_select(fields, signed), (b"ARC-Message-Signature", value.encode())]
    signature = (b"ARC-Message-Signature", value.encode() + _sign(key, rules, chosen) + b"\r\n")
    cv = cv or ("none" if number == 1 else "pass")
    bare = (b"ARC-Seal", f" {common} cv={cv};{seal_extra} b=".encode())
    own = (b"ARC-Seal", bare[1] + _sign(key, RELAXED, [*_sets(fields), told, signature, bare]) + b"\r\n")
    return b"".join(name + b":" + text for name, text in (own, signature, told)) + content


def _split(content: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    head, _, body = content.partition(b"\r\n\r\n")
    lines = re.split(rb"\r\n(?![ \t])", head)
    return [(name, value + b"\r\n") for name, _, value in (line.partition(b":") for line in lines)], body


def _select(fields, signed: str):
    left, chosen = list(fields), []
    for name in signed.encode().split(b":"):
        match = next((f for f in reversed(left) if f[0].lower() == name), None)
        if match:
            left.remove(match)
            chosen.append(match)
    return chosen


def _sets(fields):
    """The fields of the sets below, oldest first, each set as results, signature, seal."""
    order = {b"arc-authentication-results": 0, b"arc-message-signature": 1, b"arc-seal": 2}
    found = [(int(re.search(rb"\bi=(\d+)", value).group(1)), order[name.lower()], name, value)
             for name, value in fields if name.lower() in order]  # fmt: skip
    return [(name, value) for _, _, name, value in sorted(found)]


def _sign(key, rules, fields) -> bytes:
    canonical = [name + b":" + value for name, value in rules.canonicalize_headers(fields)]
    digest = hashlib.sha256(b"".join(canonical).removesuffix(b"\r\n")).digest()
    proof = key.sign(digest) if key is ed_key() else key.sign(digest, padding.PKCS1v15(), utils.Prehashed(SHA256()))
    return base64.b64encode(proof)
