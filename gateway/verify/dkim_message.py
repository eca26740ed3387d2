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

from gateway.parse.limits import HEADER_BYTES

CHUNK_OCTETS = 256 * 1024
"""The body is canonicalised in pieces, so that no single call into C holds the interpreter for long."""

_ONCE = (
    *(b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id", b"in-reply-to", b"references"),
    *(b"mime-version", b"content-type", b"content-transfer-encoding"),
)
"""Fields a message has once (RFC 5322 section 3.6, RFC 2045): a second one may be shown in place of the signed one."""

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
    """The body begins at `body` of the content. `fault` says why no signature can be judged, empty when one can."""

    fields: tuple[Field, ...]
    content: bytes
    body: int
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
    if content.startswith((b"\r\n", b"\n")):
        return Message((), content, len(content), "the message has no header")
    header = _behind_header(content)
    # what has no end within the limit is no header but a text: millions of lines need not be told apart
    block = content[: min(header, HEADER_BYTES)]
    return Message(tuple(_fields(block)), content, content.find(b"\n", header) + 1 or header, _fault(block, header))


def _behind_header(content: bytes) -> int:
    """Where the empty line behind the header begins."""
    ends = (content.find(b"\n\r\n", 0, HEADER_BYTES), content.find(b"\n\n", 0, HEADER_BYTES))
    return min((end + 1 for end in ends if end >= 0), default=len(content))


def _fault(block: bytes, octets: int) -> str:
    if octets > len(block):
        return f"the header is longer than {len(block)} octets"
    # Some readers take a bare CR for a line end, and would see another From than the one signed.
    return "a bare CR in the header" if _BARE_CR.search(block) else ""


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


def body_hashes(message: Message, forms: Iterable[BodyForm]) -> dict[BodyForm, BodyHash]:
    """Every form asked for, in one pass over the body for each canonicalisation."""
    found: dict[BodyForm, BodyHash] = {}
    for relaxed in (False, True):
        wanted = {form for form in forms if form.relaxed is relaxed}
        if wanted:
            found |= _hash_forms(canonical_body(message.content, message.body, relaxed=relaxed), wanted)
    return found


def _hash_forms(pieces: Iterable[bytes], forms: set[BodyForm]) -> dict[BodyForm, BodyHash]:
    hashers = {form: hashlib.sha256() for form in forms}
    octets = 0
    for piece in pieces:
        for form, hasher in hashers.items():
            room = len(piece) if form.length is None else max(0, form.length - octets)
            hasher.update(piece[:room])
        octets += len(piece)
    return {form: BodyHash(hasher.digest(), octets) for form, hasher in hashers.items()}


def canonical_body(content: bytes, start: int = 0, *, relaxed: bool) -> Iterator[bytes]:
    """What follows `start` in canonical form, in pieces (sections 3.4.3 and 3.4.4); a bare LF counts as CRLF. Linear."""
    held, pending, seen = b"", 0, False
    for at in range(start, len(content), CHUNK_OCTETS):
        piece = _with_crlf(held + content[at : at + CHUNK_OCTETS])
        piece = _compress_blanks(piece) if relaxed else piece
        # what the next piece may change: blanks before a line end, and half of one
        held = next((end for end in (b" \r", b" ", b"\r") if piece.endswith(end)), b"")
        text, line_ends = _without_line_ends(piece[: len(piece) - len(held)])
        if text:
            yield from (b"\r\n" * pending, text)
            pending, seen = 0, True
        pending += line_ends
    if held:
        yield from (b"\r\n" * pending, held)
    if held or seen or not relaxed:
        yield b"\r\n"


def _with_crlf(piece: bytes) -> bytes:
    if piece.count(b"\n") == piece.count(b"\r\n"):
        return piece
    return piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _compress_blanks(text: bytes) -> bytes:
    """Runs of blanks become one, none stays before a line end. Each pass halves the runs; a pattern took six times as long.

    A file in base64 has no blanks at all, and one octet is looked for twenty times faster than two.
    """
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    if b" " not in text:
        return text
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
