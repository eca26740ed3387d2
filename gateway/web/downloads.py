"""Octets of strangers, given out as files: never shown by a browser, never under a name that is more than a name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import StreamingResponse

_NAME_OCTETS = 180
"""Longest name in UTF-8: file systems take 255, and browsers add ` (1)`."""
_TOKEN = re.compile(r"[^A-Za-z0-9!#$&+.^_`|~ ()\[\]{}@,=-]")


PIECE_OCTETS = 64 * 1024
"""What is written at once: a slow reader of 25 MB must not make the server hold them a second time."""


def download(content: bytes, name: str, media_type: str = "application/octet-stream") -> Response:
    """An answer that browsers save: no sniffing, no script, no frame."""
    return _octets(content, content_disposition(name), media_type)


def picture(content: bytes, name: str, media_type: str) -> Response:
    """An image that a page may show in a message's text. `media_type` is by content, and never one that can hold a script."""
    return _octets(content, content_disposition(name, "inline"), media_type)


def _octets(content: bytes, disposition: str, media_type: str) -> Response:
    headers = {
        "Content-Disposition": disposition,
        "Content-Length": str(len(content)),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return StreamingResponse(_pieces(content), media_type=media_type, headers=headers)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), PIECE_OCTETS):
        yield content[start : start + PIECE_OCTETS]


def content_disposition(name: str, kind: str = "attachment") -> str:
    """`attachment` (or `inline`) with the name in both forms of RFC 6266 section 4.3: a plain one, and RFC 8187's where that
    says more.
    """
    clean = _clean(name)
    plain = _TOKEN.sub("_", unicodedata.normalize("NFKD", clean).encode("ascii", "ignore").decode()).strip()
    plain = plain if plain.strip("._ ") else "file"
    field = f'{kind}; filename="{plain}"'
    return field if plain == clean else f"{field}; filename*=UTF-8''{quote(clean, safe='')}"


def _clean(name: str) -> str:
    """The last segment of a path, without controls and what turns the writing direction, not hidden, not too long."""
    last = re.split(r"[/\\]", name)[-1]
    shown = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
    shown = shown.strip().lstrip(".").strip()
    while len(shown.encode()) > _NAME_OCTETS:
        stem, dot, extension = shown.rpartition(".")
        shown = f"{stem[:-1]}.{extension}" if dot and stem and len(extension) < 16 else shown[:-1]
    return shown or "file"
