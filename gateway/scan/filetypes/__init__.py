"""What a file really is: by its content, by its name, by what was declared. Pure; the judging is the policy's.

Types are short names: the usual extension in lower case, one spelling each (`jpeg`, `tiff`, `raw` for every camera's
own format). A `bin` is a name that says so, or a program for Linux or macOS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.scan.filetypes import behind, locks, ole, openpgp, text, zipped
from gateway.scan.filetypes.names import shown, types_of_declared, types_of_name, with_implied
from gateway.scan.filetypes.shapes import SHAPES, disk_image, old_tar
from gateway.scan.filetypes.signatures import BY_FIRST_BYTE

__all__ = ["Content", "all_types", "detect", "look", "media_class", "shown", "types_of_declared", "types_of_name"]

IMAGES = frozenset(
    "jpeg png gif tiff raw webp heic heif avif bmp ico cur psd svg jxl jp2 wmf emf xcf".split()  # noqa: SIM905 - reads better
)
VIDEOS = frozenset("mp4 mov avi wmv webm mkv mpeg flv ogv 3gp".split())  # noqa: SIM905
AUDIOS = frozenset("mp3 wav m4a ogg flac aac amr mid aiff au caf wma".split())  # noqa: SIM905
_PDF_WITHIN_BYTES = 1024
_PDF_BEGINS = re.compile(rb"%PDF-|%!PS-Adobe-\d\.\d PDF-\d\.\d")
"""The second form is as old as PDF itself; readers still take it (ISO 32000-1 annex H.3, implementation note 13)."""
_PROGRAMS = frozenset({"exe", "elf", "macho"})
_OPENED_BY_THEIR_BEGINNING = IMAGES | VIDEOS | AUDIOS | _PROGRAMS
"""Files that carry no others by themselves: a RAR or 7z in one of these was glued on."""


@dataclass(frozen=True, slots=True)
class Content:
    """What the bytes say. `types` holds every type they could be read as, the telling one first."""

    types: tuple[str, ...] = ()
    encrypted: bool = False
    macros: bool = False

    @property
    def detected(self) -> str:
        return self.types[0] if self.types else ""


def detect(data: bytes) -> str:
    """The short type of a file by its content, empty when the content has no signature (plain text, random bytes)."""
    return look(data).detected


def look(data: bytes) -> Content:
    """All that the content tells. Never raises, whatever the bytes are."""
    if not data:
        return Content()
    primary = _by_signature(data)
    if primary.detected in _WITHOUT_TAIL:
        return _with_locks(primary, primary.types, data)
    # One file may be read as several: readers of PDF look through the first 1 KB, those of ZIP begin at the end.
    types = list(primary.types)
    if "pdf" not in types and _PDF_BEGINS.search(data, 0, _PDF_WITHIN_BYTES + 24):
        types.append("pdf")
    if not types or types[0] in _OPENED_BY_THEIR_BEGINNING:
        types += behind.archives(data)
    image = "" if types else disk_image(data)
    if image:
        types.append(image)
    if not data.startswith(b"PK") and zipped.at_end(data):
        types.append("zip")
    if not types and old_tar(data):
        types.append("tar")
    if openpgp.look(data):
        types.append("pgp")
    return _with_locks(primary, tuple(types), data)


_WITHOUT_TAIL = frozenset({"tar", "iso", "udf"})
"""Containers that rightly end with another file's bytes."""


def all_types(content: Content, declared_type: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The types by every reading, those by content first: policies hold each of them against their table.

    A document that is a ZIP inside may be declared as `application/zip` (Windows without Office does): that is less
    exact, not contradictory, so it does not count.
    """
    declared = types_of_declared(declared_type)
    if declared == ("zip",) and content.detected in zipped.DOCUMENTS:
        declared = ()
    by_name = [kind for name in names for kind in types_of_name(name)]
    return tuple(dict.fromkeys((*content.types, *declared, *by_name)))


def media_class(content: str, declared_type: str, names: tuple[str, ...]) -> str:
    """`image`, `video`, `audio` or `other`: by content when it told a type, else by what was declared, else by name."""
    if content:
        return _class_of(content)
    declared = declared_type.partition("/")[0].strip().lower()
    if declared in ("image", "video", "audio"):
        return declared
    if types_of_declared(declared_type):
        return "other"
    classes = [_class_of(t) for name in names for t in types_of_name(name)]
    return classes[0] if classes and len(set(classes)) == 1 else "other"


def _class_of(kind: str) -> str:
    for name, kinds in (("image", IMAGES), ("video", VIDEOS), ("audio", AUDIOS)):
        if kind in kinds:
            return name
    return "other"


def _by_signature(data: bytes) -> Content:
    for offset, magic, kind in BY_FIRST_BYTE[data[0]]:
        if not data.startswith(magic, offset):
            continue
        if kind == "<zip>":
            archive = zipped.look(data)
            return Content(archive.types, archive.encrypted, archive.macros)
        if kind == "<ole>":
            compound = ole.look(data)
            return Content(compound.types, compound.encrypted, compound.macros)
        types = SHAPES[kind](data) if kind in SHAPES else (kind,)
        if types:
            return Content(types)
    return Content(text.look(data), macros=text.macros(data[:4096] if b"\0" in data[:64] else data))


def _with_locks(found: Content, types: tuple[str, ...], data: bytes) -> Content:
    encrypted = found.encrypted or any(locks.locked(kind, data) for kind in types)
    return Content(with_implied(types), encrypted, found.macros)
