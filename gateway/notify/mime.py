"""The body of our mail: `multipart/alternative` of text and HTML, perhaps with a file; all of it 7-bit (RFC 2045, 2046)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence

_BASE64_LINE = 57
"""Octets that become one line of 76 characters."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def alternative(text: str, html: str, seed: str) -> tuple[list[str], bytes]:
    """The words of Content-Type, and the body. `seed` makes the boundary: the same notice gives the same bytes.

    `=_` occurs in no quoted-printable and in no base64, so no part can hold the boundary.
    """
    words, pieces = multipart("alternative", [[_part("plain", text)], [_part("html", html)]], seed)
    return words, b"".join(pieces)


def with_file(text: str, html: str, name: str, file: str, seed: str) -> tuple[list[str], bytes]:
    """The same with a text file attached: `multipart/mixed`. `name` is plain ASCII."""
    words, body = alternative(text, html, seed)
    letter = f"Content-Type: {' '.join(words)}\r\n\r\n".encode("ascii") + body
    attached = _part("plain", file, f'Content-Disposition: attachment; filename="{name}"\r\n')
    words, pieces = multipart("mixed", [[letter], [attached]], f"{seed} mixed")
    return words, b"".join(pieces)


def multipart(subtype: str, parts: Sequence[Sequence[bytes]], seed: str) -> tuple[list[str], list[bytes]]:
    """The words of Content-Type, and the body in pieces: large ones are put together once, by whoever has them all."""
    boundary = "=_" + hashlib.sha256(seed.encode("utf-8")).hexdigest()[:32]
    mark = b"--" + boundary.encode("ascii")
    body = [piece for part in parts for piece in (mark + b"\r\n", *part, b"\r\n")]
    return [f"multipart/{subtype};", f'boundary="{boundary}"'], [*body, mark + b"--\r\n"]


def _part(subtype: str, text: str, more: str = "") -> bytes:
    encoding, body = _encoded(text)
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n{more}\r\n"
    return head.encode("ascii") + body


def _encoded(text: str) -> tuple[str, bytes]:
    """Quoted-printable, which people can read in the source, unless it is much the longer one: then base64."""
    lines = re.sub("\r\n?|[\x85\u2028\u2029]", "\n", text)
    washed = _CONTROLS.sub("", lines).rstrip("\n") + "\n"
    # Line ends are CR LF before anything is encoded (RFC 2045 sections 6.7 and 6.8): inside base64 too.
    octets = washed.replace("\n", "\r\n").encode("utf-8", "replace")
    printable = binascii.b2a_qp(octets, istext=True)
    packed_size = 4 * -(-len(octets) // 3) + 2 * -(-len(octets) // _BASE64_LINE)
    if 2 * len(printable) <= 3 * packed_size:
        return "quoted-printable", printable
    return "base64", base64.encodebytes(octets).replace(b"\n", b"\r\n")
