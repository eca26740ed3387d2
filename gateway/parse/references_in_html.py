"""Which parts of the message its HTML shows: the pictures it names by Content-ID (RFC 2392)."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import unquote

_IMG = re.compile(r"""<img((?:\s+[a-z-]+="[^"]*+")*+)""", re.IGNORECASE)
_SRC = re.compile(r"""\ssrc="\s*cid:([^"]*)\"""", re.IGNORECASE)


def referenced(html: str) -> frozenset[str]:
    """The Content-IDs, without angle brackets, that `<img>` elements show. `html` is what `sanitised` gave: there every
    attribute is quoted, and no text looks like a tag.
    """
    found = (_SRC.search(tag[1]) for tag in _IMG.finditer(html))
    return frozenset(unquote(unescape(src[1])).strip() for src in found if src)
