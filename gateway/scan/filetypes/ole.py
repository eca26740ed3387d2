"""What an OLE compound file ([MS-CFB]) is: told by its streams, with macros and encryption.

Word, Excel and PowerPoint before 2007, Outlook messages, Windows installers and encrypted OOXML all begin with the same
eight bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.scan.filetypes.compound import BrokenCompound, opened
from gateway.scan.filetypes.compound import Compound as CompoundFile

_BY_STREAM = (
    ("worddocument", "doc"),
    ("workbook", "xls"),
    ("book", "xls"),
    ("powerpoint document", "ppt"),
    ("visiodocument", "vsd"),
    ("__properties_version1.0", "msg"),
    ("quill", "pub"),
)
_INSTALLERS = {
    "000C1084-0000-0000-C000-000000000046": "msi",
    "000C1086-0000-0000-C000-000000000046": "msp",
    "000C1082-0000-0000-C000-000000000046": "mst",
}
_MACRO_STORAGES = frozenset({"macros", "_vba_project_cur", "_vba_project", "vba"})
_STREAM_LIMIT_BYTES = 1024 * 1024
_WHOLE = 1 << 40
# [MS-PPT] 2.4.11: VBAInfoContainer holding a VBAInfoAtom; fHasMacros stands four bytes behind.
_PPT_MACROS = bytes.fromhex("1f00ff0314000000" + "020000040c000000")


@dataclass(frozen=True, slots=True)
class Compound:
    types: tuple[str, ...]
    encrypted: bool = False
    macros: bool = False


def look(data: bytes) -> Compound:
    """What the compound file `data` is; `ole` when its streams name no known kind or it is broken."""
    try:
        with opened(data) as file:
            return _look_into(file)
    except BrokenCompound:
        return _look_at_bytes(data)


def kind_of(streams: Iterable[str]) -> str:
    """The type that the names at the top of a compound file (or of a storage in one) tell, else empty."""
    names = {name.lower() for name in streams}
    return next((kind for stream, kind in _BY_STREAM if stream in names), "")


def _look_into(file: CompoundFile) -> Compound:
    paths = [tuple(p.lower() for p in path) for path in (*file.storages, *(s.path for s in file.streams))]
    top = {path[0] for path in paths}
    installer = _INSTALLERS.get(file.class_id)
    if installer:
        return Compound((installer,))
    kind = kind_of(top)
    macros = any(part in _MACRO_STORAGES for path in paths for part in path)
    if "encryptedpackage" in top:
        return Compound((kind or "ole",), encrypted=True, macros=macros)
    if kind == "doc":
        return Compound(("doc",), _word_encrypted(_head(file, "WordDocument")), macros)
    if kind == "xls":
        name = "Workbook" if "workbook" in top else "Book"
        encrypted, sheets = _excel(_head(file, name))
        return Compound(("xls",), encrypted, macros or sheets)
    if kind == "ppt":
        document = _head(file, "PowerPoint Document", most=_WHOLE)
        return Compound(("ppt",), "encryptedsummary" in top, macros or _ppt_macros(document))
    return Compound((kind or "ole",), macros=macros)


def _look_at_bytes(data: bytes) -> Compound:
    """A file olefile refuses may still open in Office: its streams' names stand in it as UTF-16."""
    folded = data.lower()  # ASCII letters only, and so are these names
    kind = next((kind for stream, kind in _BY_STREAM if stream.encode("utf-16-le") in folded), "ole")
    return Compound(
        (kind,),
        encrypted="encryptedpackage".encode("utf-16-le") in folded,
        macros="_vba_project".encode("utf-16-le") in folded,
    )


def _head(file: CompoundFile, name: str, most: int = _STREAM_LIMIT_BYTES) -> bytes:
    stream = file.find(name)
    if stream is None:  # a storage by that name
        raise BrokenCompound
    return file.read(stream, most)


def _word_encrypted(stream: bytes) -> bool:
    """[MS-DOC] 2.5.2 FibBase: fEncrypted is bit 8 of the word at offset 10."""
    return bool(int.from_bytes(stream[10:12], "little") & 0x0100)


def _excel(stream: bytes) -> tuple[bool, bool]:
    """Encrypted ([MS-XLS] 2.4.117 FilePass), and macro sheets of Excel 4 (2.4.28 BoundSheet8, dt 1)."""
    encrypted = macro_sheet = False
    for kind, body in _records(stream):
        encrypted = encrypted or kind == 0x2F
        macro_sheet = macro_sheet or (kind == 0x85 and len(body) > 5 and body[5] == 1)
    return encrypted, macro_sheet


def _records(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """The records of the workbook globals, which end with EOF (0x0A)."""
    at = 0
    while at + 4 <= len(stream):
        kind = int.from_bytes(stream[at : at + 2], "little")
        size = int.from_bytes(stream[at + 2 : at + 4], "little")
        if kind == 0x0A:
            return
        yield kind, stream[at + 4 : at + 4 + size]
        at += 4 + size


def _ppt_macros(document: bytes) -> bool:
    at = document.find(_PPT_MACROS)
    return at >= 0 and document[at + 20 : at + 24] == b"\x01\0\0\0"
