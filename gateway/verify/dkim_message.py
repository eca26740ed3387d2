"""A message as DKIM sees it: header fields in order, and the body hashed in its canonical forms (RFC 6376 section 3.4).

Reading and body hashing are our own, because dkimpy's take a 25 MB message apart line by line, once per signature,
and in quadratic time on long folded fields and runs of blanks. Header canonicalisation is dkimpy's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dkim.canonicalization import Relaxed, Simple

CHUNK_OCTETS = 1 << 20
"""The body is canonicalised in pieces, so that no single call into C holds the interpreter for long."""

_ONCE = (
    *(b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id", b"in-reply-to", b"references"),
    *(b"mime-version", b"content-type", b"content-transfer-encoding"),
)
"""Fields a message has once (RFC 5322 section 3.6, RFC 2045): a second one may be shown in place of the signed one."""

_END_OF_HEADER = re.compile(rb"\r?\n(?=\r?\n)")
_FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:")
_BARE_CR = re.compile(rb"\r(?!\n)")


@dataclass(frozen=True, slots=True)
class Field:
    """A header field: `name` in lower case, `raw_name` and `value` as they stand, the value with its final CRLF."""

    name: bytes
    raw_name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """`body` has CRLF line ends only. `fault` says why no signature can be judged, empty when one can."""

    fields: tuple[Field, ...]
    body: bytes
    fault: str = ""

    def named(self, name: bytes) -> list[Field]:
        """The fields called `name` (lower case), topmost first."""
        return [field for field in self.fields if field.name == name]


@dataclass(frozen=True, slots=True, order=True)
class BodyForm:
    """A canonical form of the body: `relaxed` or simple, and how many octets of it (`l=`), None for all."""

    relaxed: bool
    length: int | None


@dataclass(frozen=True, slots=True)
class BodyHash:
    """SHA-256 of a body form, and the octets the whole canonical body has."""

    digest: bytes
    body_octets: int


def read_message(content: bytes) -> Message:
    """Split header fields from body. Lines that are no field are kept nameless: they cannot be signed, nor hide one."""
    end = _END_OF_HEADER.search(content)
    if content.startswith((b"\r\n", b"\n")):
        return Message((), b"", "the message has no header")
    block = content[: end.end()] if end else content
    rest = content[end.end() :] if end else b""
    body = rest[2:] if rest.startswith(b"\r\n") else rest[1:]
    if body.count(b"\n") != body.count(b"\r\n"):
        body = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    # Some readers take a bare CR for a line end, and would see another From than the one signed.
    fault = "a bare CR in the header" if _BARE_CR.search(block) else ""
    return Message(tuple(_fields(block)), body, fault)


def _fields(block: bytes) -> Iterator[Field]:
    lines: list[bytes] = []
    for line in re.split(rb"\r?\n", block):
        if line[:1] in (b" ", b"\t") and lines:
            lines.append(line)
            continue
        if lines:
            yield _field(lines)
        lines = [line] if line else []
    if lines:
        yield _field(lines)


def _field(lines: list[bytes]) -> Field:
    text = b"\r\n".join(lines) + b"\r\n"
    match = _FIELD.match(text)
    if match is None:
        return Field(b"", b"", text)
    return Field(match.group(1).lower(), match.group(0)[:-1], text[match.end() :])


def header_octets(message: Message, signed: Iterable[bytes], signature: Field, *, relaxed: bool) -> bytes:
    """What `b=` signs: the named fields from the bottom up, then the signature itself with an empty `b=` (section 3.7)."""
    form = Relaxed if relaxed else Simple
    chosen = [(f.raw_name, f.value) for f in _select(message, signed)]
    own = (signature.raw_name, without_b(signature.value))
    *lines, (name, value) = form.canonicalize_headers([*chosen, own])
    parts = [b":".join(line) for line in lines]
    return b"".join([*parts, name, b":", value.removesuffix(b"\r\n")])


def _select(message: Message, signed: Iterable[bytes]) -> Iterator[Field]:
    """Instances are taken from the bottom up; a name listed more often than it occurs stands for its absence."""
    left: dict[bytes, list[Field]] = {}
    for field in message.fields:
        if field.name:
            left.setdefault(field.name, []).append(field)
    for name in signed:
        if left.get(name):
            yield left[name].pop()


def repeated(message: Message, signed: Iterable[bytes]) -> str:
    """A signed field that occurs more than once although a message has it once (T19); empty when there is none."""
    names = set(signed)
    found = next((name for name in _ONCE if name in names and len(message.named(name)) > 1), b"")
    return found.decode().title()


def without_b(value: bytes) -> bytes:
    """The signature with the value of `b=` removed, with all blanks around it (section 3.7)."""
    tags = value.split(b";")
    for n, tag in enumerate(tags):
        name, equals, _ = tag.partition(b"=")
        if equals and name.strip() == b"b":
            tags[n] = name + equals
    return b";".join(tags)


def body_hashes(body: bytes, forms: Iterable[BodyForm]) -> dict[BodyForm, BodyHash]:
    """Every form asked for, in one pass over the body for each canonicalisation."""
    found: dict[BodyForm, BodyHash] = {}
    for relaxed in (False, True):
        wanted = {form for form in forms if form.relaxed is relaxed}
        if wanted:
            found |= _hash_forms(body, wanted, relaxed=relaxed)
    return found


def _hash_forms(body: bytes, forms: set[BodyForm], *, relaxed: bool) -> dict[BodyForm, BodyHash]:
    hashers = {form: hashlib.sha256() for form in forms}
    octets = 0
    for piece in canonical_body(body, relaxed=relaxed):
        for form, hasher in hashers.items():
            room = len(piece) if form.length is None else max(0, form.length - octets)
            hasher.update(piece[:room])
        octets += len(piece)
    return {form: BodyHash(hasher.digest(), octets) for form, hasher in hashers.items()}


def canonical_body(body: bytes, *, relaxed: bool) -> Iterator[bytes]:
    """The canonical body in pieces (sections 3.4.3 and 3.4.4), in linear time."""
    pending, seen = 0, False
    for piece in _whole_lines(body):
        text, line_ends = _without_line_ends(_compress_blanks(piece) if relaxed else piece)
        if not text:
            pending += line_ends
            continue
        if pending:
            yield b"\r\n" * pending
        yield text
        pending, seen = line_ends, True
    if seen or not relaxed:
        yield b"\r\n"


def _whole_lines(body: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(body):
        end = body.rfind(b"\n", start, start + CHUNK_OCTETS) + 1
        if end <= start:
            end = body.find(b"\n", start + CHUNK_OCTETS) + 1 or len(body)
        yield body[start:end]
        start = end


def _compress_blanks(text: bytes) -> bytes:
    """Runs of blanks become one, none stays before a line end. Each pass halves the runs; a pattern took six times as long."""
    text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text.replace(b" \r\n", b"\r\n")


def _without_line_ends(text: bytes) -> tuple[bytes, int]:
    tail = text[len(text.rstrip(b"\r\n")) :]
    count = len(tail) // 2
    if tail != b"\r\n" * count:  # bare CR before the end: count the whole pairs behind it
        count = 0
        while tail.endswith(b"\r\n", 0, len(tail) - 2 * count):
            count += 1
    return text[: len(text) - 2 * count], count
