"""What a ZIP file is: an archive, a program in one (jar, apk), or a document (OOXML, ODF, EPUB).

Only the central directory and the start of two small entries are read, all within caps, and no declared size is believed.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from gateway.scan.filetypes import zip_directory
from gateway.scan.filetypes.names import extension_of
from gateway.scan.filetypes.zip_directory import Entry

ENTRIES_READ = 10_000
_ENTRY_BYTES = 256 * 1024

_MAIN_PART = re.compile(
    r"(wordprocessingml|spreadsheetml|presentationml|vnd\.ms-word|vnd\.ms-excel|vnd\.ms-powerpoint)"
    r"\.(document|sheet\.binary|sheet|presentation|slideshow|template|addin)(\.macroEnabled)?\.main(?:\+xml)?",
    re.IGNORECASE,
)
_OOXML = {
    ("word", "document"): "doc",
    ("word", "template"): "dot",
    ("spreadsheet", "sheet"): "xls",
    ("spreadsheet", "template"): "xlt",
    ("spreadsheet", "addin"): "xla",
    ("presentation", "presentation"): "ppt",
    ("presentation", "slideshow"): "pps",
    ("presentation", "template"): "pot",
    ("presentation", "addin"): "ppa",
}
_FAMILY = {
    "wordprocessingml": "word",
    "vnd.ms-word": "word",
    "spreadsheetml": "spreadsheet",
    "vnd.ms-excel": "spreadsheet",
    "presentationml": "presentation",
    "vnd.ms-powerpoint": "presentation",
}
_FOLDERS = (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx"), ("visio/", "vsdx"))
_ODF = {
    "text": "odt",
    "spreadsheet": "ods",
    "presentation": "odp",
    "graphics": "odg",
    "formula": "odf",
    "database": "odb",
    "base": "odb",
    "chart": "odc",
    "image": "odi",
    "text-master": "odm",
    "text-template": "ott",
    "spreadsheet-template": "ots",
    "presentation-template": "otp",
    "graphics-template": "otg",
}
DOCUMENTS = frozenset(
    {*_ODF.values(), "epub", "xlsb", "xps", "vsdx", *(stem + end for stem in _OOXML.values() for end in "xm")}
)
"""Documents whose container is a ZIP; they do not count as one."""
_NEVER_IN_DOCUMENTS = frozenset(
    "exe dll scr com pif cpl bat cmd ps1 vbs vbe jse wsf wsh hta msi msp lnk scf reg jar sh".split()  # noqa: SIM905 - reads better
)


@dataclass(frozen=True, slots=True)
class Zip:
    """`types`: the telling one first."""

    types: tuple[str, ...]
    encrypted: bool = False
    macros: bool = False


def look(data: bytes) -> Zip:
    """What the ZIP file `data` is. Whatever cannot be read is a plain `zip`."""
    directory = zip_directory.find(data)
    if directory is None:
        return Zip(("zip",))
    entries = list(zip_directory.entries(data, directory, ENTRIES_READ))
    encrypted = any(e.encrypted for e in entries)
    if not entries or len(entries) >= ENTRIES_READ:
        return Zip(("zip",), encrypted)
    by_name = {e.name.lower().replace("\\", "/").lstrip("/"): e for e in entries}
    program = _program(by_name)
    if program:
        return Zip((program, "zip"), encrypted)
    document, locked, macros = _document(data, by_name)
    if not document:
        return Zip(("zip",), encrypted)
    stowaways = any(extension_of(name[-100:]) in _NEVER_IN_DOCUMENTS for name in by_name)
    return Zip((document, "zip") if stowaways else (document,), encrypted or locked, macros)


def at_end(data: bytes) -> bool:
    """A whole ZIP archive ends this file, whatever it begins with (self-extracting programs, pictures with a tail).

    Its end record must reach the file's last byte: an archive somewhere inside is a document's business.
    """
    directory = zip_directory.find(data)
    if directory is None or directory.tail != len(data):
        return False
    return next(zip_directory.entries(data, directory, 1), None) is not None


def _program(by_name: dict[str, Entry]) -> str:
    if "androidmanifest.xml" in by_name:
        return "apk"
    if "appxmanifest.xml" in by_name or "appxmetadata/appxbundlemanifest.xml" in by_name:
        return "appx"
    if "meta-inf/manifest.mf" in by_name:
        documents = "[content_types].xml" in by_name or "mimetype" in by_name
        return "" if documents and not any(n.endswith(".class") for n in by_name) else "jar"
    return ""


def _document(data: bytes, by_name: dict[str, Entry]) -> tuple[str, bool, bool]:
    """The document's type, whether it is encrypted, whether it has macros."""
    if "[content_types].xml" in by_name:
        content_types = _xml(_head_of(data, by_name["[content_types].xml"]))
        macros = "vbaproject" in content_types.lower() or any(
            n.endswith("vbaproject.bin") or "/macrosheets/" in n for n in by_name
        )
        return _ooxml(content_types, by_name), False, macros
    if "mimetype" in by_name:
        return _odf(data, by_name)
    return "", False, False


def _ooxml(content_types: str, by_name: dict[str, Entry]) -> str:
    main = _MAIN_PART.search(content_types)
    if main:
        family, kind = _FAMILY[main.group(1).lower()], main.group(2).lower()
        if kind == "sheet.binary":
            return "xlsb"
        stem = _OOXML.get((family, kind))
        if stem:
            return stem + ("m" if main.group(3) or stem in ("xla", "ppa") else "x")
    if "fixeddocumentsequence" in content_types.lower():
        return "xps"
    return next((kind for folder, kind in _FOLDERS if any(n.startswith(folder) for n in by_name)), "")


def _odf(data: bytes, by_name: dict[str, Entry]) -> tuple[str, bool, bool]:
    media_type = _head_of(data, by_name["mimetype"])[:200].decode("ascii", "replace").strip().lower()
    if media_type == "application/epub+zip":
        return "epub", False, False
    prefix = "application/vnd.oasis.opendocument."
    if not media_type.startswith(prefix):
        return "", False, False
    manifest = by_name.get("meta-inf/manifest.xml")
    locked = "encrypted-package" in by_name or (manifest is not None and b"encryption-data" in _head_of(data, manifest))
    macros = any(n.startswith(("basic/", "scripts/")) and not n.endswith("/") for n in by_name)
    return _ODF.get(media_type.removeprefix(prefix), "odf"), locked, macros


def _head_of(data: bytes, entry: Entry) -> bytes:
    """The first 256 KB of an entry, empty when it cannot be read; stops there, whatever sizes are declared."""
    if data[entry.offset : entry.offset + 4] != b"PK\x03\x04" or entry.offset + 30 > len(data):
        return b""
    name_bytes, extra_bytes = struct.unpack_from("<2H", data, entry.offset + 26)
    body = memoryview(data)[entry.offset + 30 + name_bytes + extra_bytes :]
    if entry.method == 0:
        return bytes(body[: min(entry.stored_bytes, _ENTRY_BYTES)])
    if entry.method != 8:
        return b""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, _ENTRY_BYTES)
    except zlib.error:  # a broken entry tells nothing; the names still do
        return b""


def _xml(raw: bytes) -> str:
    utf16 = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    return raw.decode("utf-16" if utf16 else "utf-8", "replace")
