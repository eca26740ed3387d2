"""Bodies that programs decode to different files."""

from __future__ import annotations

import re

from gateway.core.ambiguity import BASE64_BEHIND_PADDING, BASE64_WITH_OTHERS, QUOTED_WITH_BLANKS, UNREAD_PARTS
from gateway.parse.defects import Defects
from gateway.parse.files_in_text import note_files_in_text
from gateway.parse.mime import Leaf
from gateway.parse.usual import note_unusual_body

_PADDING_THEN_DIGITS = re.compile(rb"=[=\s]*+[A-Za-z0-9+/]")
_DIGITS_LINE = re.compile(rb"(?:\A|[\r\n])[A-Za-z0-9+/]{8,}+={0,2}[ \t]*+(?:[\r\n]|\Z)")
_BLANKS_BEHIND_BREAK = re.compile(rb"=[ \t]++(?:\r?\n|\Z)")
_NO_DIGIT = re.compile(rb"[^A-Za-z0-9+/=\s]")


def note_ambiguous_body(content: bytes, leaf: Leaf, octets: bytes, *, sound: bool, defects: Defects) -> None:
    """Adds a defect for each way in which others find another file in this body. `octets` is what we decoded it to."""
    if not sound and leaf.encoding == "base64":
        _note_base64(content, leaf, defects)
    note_unusual_body(content, leaf.start, leaf.end, leaf.type, leaf.encoding, defects)
    if leaf.encoding == "quoted-printable" and _BLANKS_BEHIND_BREAK.search(content, leaf.start, leaf.end):
        defects.add(QUOTED_WITH_BLANKS)
    if leaf.type == "text/plain":
        note_files_in_text(octets, defects)
        if not sound or (leaf.encoding == "quoted-printable" and b"begin" in octets):
            note_files_in_text(content, defects, leaf.start, leaf.end)  # decoding spoils what stands there as it is
    if "boundary" in leaf.content_type.plain and not leaf.type.startswith("multipart/"):
        _note_unread_parts(content, leaf, defects)


def _note_base64(content: bytes, leaf: Leaf, defects: Defects) -> None:
    """Text with a footer glued on by a mailing list or a virus scanner is honest: there is no file that could differ."""
    padding = _PADDING_THEN_DIGITS.search(content, leaf.start, leaf.end)
    text = leaf.type in ("text/plain", "text/html") and not _is_named(leaf)
    if padding and (not text or _DIGITS_LINE.search(content, padding.start() + 1, leaf.end)):
        defects.add(BASE64_BEHIND_PADDING)
    if not text and _NO_DIGIT.search(content, leaf.start, leaf.end):
        defects.add(BASE64_WITH_OTHERS)


def _is_named(leaf: Leaf) -> bool:
    disposition, kind = leaf.disposition, leaf.content_type
    return bool(disposition.texts("filename", Defects()) or kind.texts("name", Defects()))


def _note_unread_parts(content: bytes, leaf: Leaf, defects: Defects) -> None:
    """A boundary that belongs to no multipart, and delimiters to go with it: some programs do take the parts apart."""
    boundary = leaf.content_type.token("boundary")
    delimiter = b"--" + (boundary or "").encode("utf-8", "replace")
    if boundary and (b"\n" + delimiter in content[leaf.start : leaf.end] or content.startswith(delimiter, leaf.start)):
        defects.add(UNREAD_PARTS)
