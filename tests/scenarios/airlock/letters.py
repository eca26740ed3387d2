"""A letter in pieces, and the payloads that disguises wrap: the industry's test virus, and a harmless twin of its length."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass

# In two pieces, so that no virus scanner of a developer's machine takes this file away.
VIRUS = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-" + b"STANDARD-ANTIVIRUS-" + b"TEST-FILE!$H+H*"
HARMLESS = b"0,5 l of oil, one filter and two seals were put in on Monday, thanks"
assert len(VIRUS) == len(HARMLESS) == 68

COVER = "Please see the file."
_PIXEL_HEAD = b"\x89PNG\r\n\x1a\n"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


PIXEL = (
    _PIXEL_HEAD
    + _chunk(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\0\0\0\0")
    + _chunk(b"IDAT", zlib.compress(b"\0\0"))
    + _chunk(b"IEND", b"")
)

Build = Callable[[bytes, str], bytes]


@dataclass(frozen=True)
class Disguise:
    """`build` gives a whole message around a payload; its second argument makes it unlike every other.

    `lets_through`: what a policy that accepts encrypted and unscannable files lets out, and why no clamd finds the virus in
    it. `no_file`: why what leaves is the virus to nobody's program. `refused`: what SMTP says of it, whatever it carries.
    """

    name: str
    build: Build
    lets_through: str = ""
    no_file: str = ""
    refused: str = ""

    def __str__(self) -> str:
        return self.name


def head(tag: str, *fields: str) -> bytes:
    """The header section without its blank line."""
    lines = ["From: Anna <anna@customer.test>", "To: support@acme.test", f"Subject: Disguise {tag}"]
    lines += [f"Message-ID: <{tag}@customer.test>", "Date: Mon, 02 Feb 2026 10:00:00 +0000", "MIME-Version: 1.0"]
    return "".join(f"{line}\r\n" for line in (*lines, *fields)).encode()


def lines64(octets: bytes, width: int = 76) -> bytes:
    text = base64.b64encode(octets)
    return b"".join(text[at : at + width] + b"\r\n" for at in range(0, len(text), width))


def entity(body: bytes, *fields: str | bytes) -> bytes:
    written = (f if isinstance(f, bytes) else f.encode() for f in fields)
    return b"".join(f + b"\r\n" for f in written) + b"\r\n" + body


def in64(
    octets: bytes, name: str = "report.pdf", kind: str = "application/octet-stream", *fields: str | bytes
) -> bytes:
    """An attachment as everybody's programs write it."""
    shown = (f'Content-Disposition: attachment; filename="{name}"',) if name else ("Content-Disposition: attachment",)
    return entity(lines64(octets), f"Content-Type: {kind}", *shown, "Content-Transfer-Encoding: base64", *fields)


def text(words: str = COVER) -> bytes:
    return entity(f"{words}\r\n".encode(), "Content-Type: text/plain; charset=utf-8")


def multipart(*parts: bytes, kind: str = "mixed", boundary: str = "=_outer", parameters: str = "") -> bytes:
    mark = f"--{boundary}".encode()
    body = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
    return entity(body, f'Content-Type: multipart/{kind}; boundary="{boundary}"{parameters}')


def letter(tag: str, root: bytes, *fields: str) -> bytes:
    """`root` is an entity: its fields end the header section."""
    return head(tag, *fields) + root


def with_file(file: bytes, *more: bytes) -> Callable[[str], bytes]:
    return lambda tag: letter(tag, multipart(text(), file, *more))


def attached(name: str, file: Callable[[bytes], bytes], **said: str) -> Disguise:
    """A disguise that is all within one part behind a cover letter; `file` makes that entity."""
    return Disguise(name, lambda payload, tag: letter(tag, multipart(text(), file(payload))), **said)


def whole(name: str, root: Callable[[bytes], bytes], **said: str) -> Disguise:
    """A disguise that is the message's own content."""
    return Disguise(name, lambda payload, tag: letter(tag, root(payload)), **said)
