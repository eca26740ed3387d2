"""From leaves to the parts of the public contract: file names, inline images, what is text and what is attached."""

from __future__ import annotations

import re
import unicodedata

from gateway.core.addresses import without_controls
from gateway.core.ambiguity import FILE_NAME
from gateway.core.message import Part
from gateway.core.unseen import without_unseen
from gateway.parse.charsets import header_octets_text
from gateway.parse.defects import Defects
from gateway.parse.mime import Leaf

_MOST_NAMES = 10
_EXTENSION = re.compile(r"(?=.*[a-z])[a-z0-9_+-]{1,12}")
_SYNONYMS = {"jpeg": "jpg", "jpe": "jpg", "jfif": "jpg", "htm": "html", "tiff": "tif", "mpeg": "mpg", "text": "txt"}


def part_of(number: int, leaf: Leaf, *, is_text: bool, html: str, defects: Defects) -> Part:
    """The part for a leaf. `html` is the shown HTML in lower case: an image it refers to is inline."""
    disposition = without_controls(leaf.disposition.value)
    content_id = _content_id(leaf.content_id, defects)
    charset = leaf.content_type.token("charset")
    return Part(
        n=number,
        path=leaf.path,
        declared_type=leaf.type,
        charset=without_controls(charset).strip().lower() or None if charset else None,
        encoding=without_controls(leaf.encoding),
        disposition=disposition,
        names=file_names(leaf, defects),
        content_id=content_id,
        inline=_inline(leaf.type, disposition, content_id, html),
        start=leaf.start,
        end=leaf.end,
        is_text=is_text,
    )


def file_names(leaf: Leaf, defects: Defects) -> tuple[str, ...]:
    """Every name a mail program may give the file. Names with differing extensions are a disguise (`a.pdf`, `a.exe`).

    A name without an extension is none: `name="report"` beside `filename="report.pdf"` is written by honest programs.
    """
    found = leaf.disposition.texts("filename", defects) + leaf.content_type.texts("name", defects)
    if not found:
        return ()
    names = tuple(dict.fromkeys(found))[:_MOST_NAMES]
    misread = (*leaf.disposition.misread.get("filename", ()), *leaf.content_type.misread.get("name", ()))
    if (len(names) > 1 or misread) and len({extension_of(name) for name in (*names, *misread)} - {""}) > 1:
        defects.add(FILE_NAME)
    return names


def extension_of(name: str) -> str:
    """What programs would choose a viewer by; a date (`12.03.2026 Letter`) or a sentence has none."""
    plain = name if name.isascii() else without_unseen(unicodedata.normalize("NFKC", name))
    extension = plain.rstrip(". \t").rpartition(".")[2].strip().lower() if "." in plain else ""
    return _SYNONYMS.get(extension, extension) if _EXTENSION.fullmatch(extension) else ""


def _content_id(octets: bytes | None, defects: Defects) -> str | None:
    if octets is None:
        return None
    text = without_controls(header_octets_text(octets, defects)).strip()
    return text.removeprefix("<").removesuffix(">").strip() or None


def _inline(kind: str, disposition: str, content_id: str | None, html: str) -> bool:
    """Mail programs put a Content-ID on attached pictures too: then only a reference in the HTML makes them inline."""
    if not kind.startswith("image/"):
        return False
    if disposition == "attachment":
        return content_id is not None and f"cid:{content_id.lower()}" in html
    return content_id is not None or disposition == "inline"
