"""What lies in compound files ([MS-CFB]): packaged files and documents in Office documents, attachments of Outlook messages.

Storages within the file are walked with it: a document in a document is told by its type, and what it holds is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.scan.filetypes import AUDIOS, IMAGES, VIDEOS, look
from gateway.scan.filetypes.compound import MAGIC, BrokenCompound, Compound, Stream, opened
from gateway.scan.filetypes.ole import kind_of
from gateway.scan.inside import ole_native, ppt_objects
from gateway.scan.inside.entry import ENTRY_BYTES, Entry, Share, Unscannable
from gateway.scan.inside.names import telling

TYPES = frozenset({"ole", "doc", "xls", "ppt", "vsd", "pub", "msg", "msi", "msp", "mst"})

_BROKEN = "broken compound file"
_HEAD_BYTES = 64 * 1024
_NATIVE = "\x01ole10native"
_MEDIA = IMAGES | VIDEOS | AUDIOS
_ATTACHMENT = re.compile(r"__attach_version1\.0_#[0-9a-f]{8}", re.IGNORECASE)
_SUBSTORAGE = "__substg1.0_"
_ATTACHED_DATA = "37010102"
_ATTACHMENT_NAMES = ("3707001f", "3707001e", "3704001f", "3704001e", "3001001f", "3001001e")
"""Long name, short name, display name, in UTF-16 and in 8 bits ([MS-OXPROPS])."""
_NAME_BYTES = 2048


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """Every file in the file. Raises Unscannable where it is broken."""
    if not content.startswith(MAGIC):
        return  # a document by its name alone: RTF or XML called .doc
    try:
        with opened(content) as compound:
            share.check_time()
            yield from _documents(compound, share)
            yield from _attachments(compound, share)
            for stream in compound.streams:
                share.check_time()
                yield from _in_stream(compound, stream, share)
    except BrokenCompound as error:
        raise Unscannable(_BROKEN) from error


def _documents(compound: Compound, share: Share) -> Iterator[Entry]:
    """Storages that are documents or messages themselves (`ObjectPool/_1`, `MBD0012`), by their names and types. They have no
    octets of their own: what lies in them is given with the rest.
    """
    inside: dict[tuple[str, ...], list[str]] = {}
    for stream in compound.streams:
        inside.setdefault(stream.path[:-1], []).append(stream.path[-1])
    for path, names in inside.items():
        kind = kind_of(names) if path and not _is_message_part(path) else ""
        if kind:
            share.file()
            yield Entry(f"{'/'.join(path)}.{kind}", b"")


def _is_message_part(path: tuple[str, ...]) -> bool:
    """Recipients and attachments have the same property stream as the message."""
    return path[-1].lower().startswith(("__attach_version1.0_", "__recip_version1.0_", "__nameid_version1.0"))


def _attachments(compound: Compound, share: Share) -> Iterator[Entry]:
    """Those of an Outlook message ([MS-OXMSG] 2.2.2), and of messages attached to it, under each of their names."""
    properties: dict[tuple[str, ...], dict[str, Stream]] = {}
    for stream in compound.streams:
        if len(stream.path) > 1 and _ATTACHMENT.fullmatch(stream.path[-2]):
            tag = stream.path[-1].lower().removeprefix(_SUBSTORAGE)
            properties.setdefault(stream.path[:-1], {})[tag] = stream
    for found in properties.values():
        data = found.get(_ATTACHED_DATA)
        if data:
            written = (_name(compound, found[tag], tag) for tag in _ATTACHMENT_NAMES if tag in found)
            yield from _whole(compound, data, telling(name for name in written if name), share)


def _name(compound: Compound, stream: Stream, tag: str) -> str:
    raw = compound.read(stream, _NAME_BYTES)
    text = raw.decode("utf-16-le", "replace") if tag.endswith("001f") else raw.decode("latin-1")
    return text.rstrip("\0")


def _in_stream(compound: Compound, stream: Stream, share: Share) -> Iterator[Entry]:
    name = stream.path[-1].lower()
    where = "/".join(stream.path)
    if name == "encryptedpackage":
        share.file()
        yield Entry(where, None, encrypted=True)
    elif name == _NATIVE:
        yield from _native(compound, stream, share)
    elif name == "powerpoint document":
        for octets in ppt_objects.embedded(_read(compound, stream, share, stream.size_bytes), share):
            share.file()
            yield Entry(f"{where}/object.ole", octets[:ENTRY_BYTES], cut=len(octets) > ENTRY_BYTES)
    elif name == "package" or (not name.startswith(_SUBSTORAGE) and _carries(compound, stream, share)):
        yield from _whole(compound, stream, (where,), share)


def _native(compound: Compound, stream: Stream, share: Share) -> Iterator[Entry]:
    """What Windows' packager made: the file with its names, and where it is none of that, the octets."""
    octets = _read(compound, stream, share)
    package = ole_native.read(octets)
    names = telling(package.names) if package else ("/".join(stream.path),)
    cut = len(octets) > ENTRY_BYTES
    for name in names:
        share.file()
        yield Entry(name, (package.content if package else octets[4:])[:ENTRY_BYTES], cut=cut)


def _carries(compound: Compound, stream: Stream, share: Share) -> bool:
    """A program, an archive, a script or a document by its first octets; pictures are no news in a document."""
    head = compound.read(stream, _HEAD_BYTES)
    share.take(len(head))
    return not _MEDIA.issuperset(look(head).types)


def _whole(compound: Compound, stream: Stream, names: tuple[str, ...], share: Share) -> Iterator[Entry]:
    octets = _read(compound, stream, share)
    for name in names:
        share.file()
        yield Entry(name, octets[:ENTRY_BYTES], cut=len(octets) > ENTRY_BYTES)


def _read(compound: Compound, stream: Stream, share: Share, most: int = ENTRY_BYTES + 1) -> bytes:
    """By itself one octet more than is kept at most: then it is known to be cut."""
    share.take(min(stream.size_bytes, most))
    return compound.read(stream, most)
