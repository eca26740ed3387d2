"""Documents that carry other files where few programs look."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.scenarios.airlock.letters import Disguise, attached, in64
from tests.unit.scan.inside.containers.compounds import packaged
from tests.unit.scan.inside.containers.notes import named, section, stored

NAME = "report.txt"
_NO_CLAMD = "clamd reads no such RTF"


def _ole1(payload: bytes) -> bytes:
    """An object of OLE 1.0 with a packaged file ([MS-OLEDS] 2.2.5 and 2.3.6)."""
    native = packaged(payload, NAME)[4:]  # its own size is that of the stream in compound files
    header = struct.pack("<LLL", 0x501, 2, 8) + b"Package\0" + bytes(8)
    return header + struct.pack("<L", len(native)) + native


def _rtf(data: Callable[[bytes, bytes], bytes], word: bytes = rb"{\*\objdata ") -> Callable[[bytes], bytes]:
    """`data` is given the digits before and behind the fiftieth octet."""

    def build(payload: bytes) -> bytes:
        digits = _ole1(payload).hex().encode()
        return rb"{\rtf1{\object\objemb" + word + data(digits[:100], digits[100:]) + b"}}}"

    return build


def _rtf_binary(payload: bytes) -> bytes:
    octets = _ole1(payload)
    return rb"{\rtf1{\object\objemb{\*\objdata \bin%d " % len(octets) + octets + b"}}}"


def _file(what: str, build: Callable[[bytes], bytes], name: str, **said: str) -> Disguise:
    return attached(what, lambda p: in64(build(p), name), **said)


DOCUMENTS: tuple[Disguise, ...] = (
    _file("RTF, lines of three digits", _rtf(lambda a, b: a + b"\r\n".join(b[n : n + 3] for n in range(0, len(b), 3))), "a.rtf"),
    _file("RTF called .doc, short of a letter", lambda p: _rtf(lambda a, b: a + b)(p).replace(b"{\\rtf1", b"{\\rt"), "a.doc"),
    _file("RTF, binary", _rtf_binary, "a.rtf", lets_through=_NO_CLAMD),
    _file("RTF, a control word between", _rtf(lambda a, b: a + rb"\par " + b), "a.rtf"),
    _file("RTF, a group between", _rtf(lambda a, b: a + rb"{\*\foo 41}" + b), "a.rtf"),
    _file("RTF, digits in a group", _rtf(lambda a, b: a + b"{" + b[:20] + b"}" + b[20:]), "a.rtf", lets_through=_NO_CLAMD),
    _file("RTF, an escaped octet between", _rtf(lambda a, b: a + rb"\'41" + b), "a.rtf", lets_through=_NO_CLAMD),
    _file("RTF, an object in an object", _rtf(lambda a, b: rb"0105{\*\objdata " + a + b + b"}"), "a.rtf"),
    _file("RTF, an object without a star", _rtf(lambda a, b: a + b, rb"{\objdata "), "a.rtf"),
    _file("OneNote with a file", lambda p: section(named(NAME), stored(p)), "a.one"),
    _file("OneNote with a file, by another name", lambda p: section(named(NAME), stored(p)), "report.pdf"),
)  # fmt: skip
