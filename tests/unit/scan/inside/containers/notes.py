"""OneNote sections as far as files lie in them ([MS-ONESTORE] 2.3.1, 2.6.7 and 2.6.13)."""

from __future__ import annotations

import struct
import uuid

SECTION = "{7B5C52E4-D88C-4DA7-AEB1-5378D02996D3}"
CONTENTS = "{43FF2FA1-EFD9-4C76-9EE2-10EA5722765F}"
REVISION_STORE = "{109ADD3F-911B-49F5-A5D0-1791EDC8AED8}"
OF_SERVERS = "{638DE92F-A6D4-4BC1-9A36-B3FC2511A5B7}"
_FILE_NAME, _SOURCE_PATH = 0x1C001D9C, 0x1C001D9D


def guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


def stored(content: bytes) -> bytes:
    """A FileDataStoreObject."""
    head = guid("{BDE316E7-2665-4511-A4C4-8D4D0B7A9EAC}") + struct.pack("<Q", len(content)) + bytes(12)
    return head + content + bytes(-len(content) % 8) + guid("{71FBA722-0F79-4A0B-BB13-899256426B24}")


def named(name: str, path: str = "") -> bytes:
    """The properties of an embedded file: a time, a flag, a picture's width, then its name and where it came from."""
    texts = {_FILE_NAME: name} | ({_SOURCE_PATH: path} if path else {})
    before = (0x14001D09, 0x08001D0A, 0x24001D0B, 0x1C001D0C)
    properties = struct.pack(f"<H{4 + len(texts)}L", 4 + len(texts), *before, *texts)
    values = struct.pack("<LLL", 7, 1, 3) + b"abc"
    for text in texts.values():
        raw = (text + "\0").encode("utf-16-le")
        values += struct.pack("<L", len(raw)) + raw
    return properties + values


def section(*parts: bytes, kind: str = SECTION, form: str = REVISION_STORE) -> bytes:
    header = guid(kind) + bytes(32) + guid(form)
    return header + bytes(1024 - len(header)) + b"".join(part + bytes(40) for part in parts)
