"""Bytes in, `ParsedMessage` out: the one reading of a message that DMARC, routing, rules and pages share. Pure."""

from __future__ import annotations

from gateway.core.message import Part
from gateway.parse.message import parse
from gateway.parse.references_in_html import referenced
from gateway.parse.sanitise import sanitised
from gateway.parse.taken import as_read, as_taken
from gateway.parse.transfer import decode

__all__ = ["as_read", "as_taken", "decode_part", "parse", "referenced", "sanitised"]


def decode_part(content: bytes, part: Part) -> bytes:
    """The body of a part with its transfer encoding undone, as far as that can be done; never raises."""
    return decode(content, part.encoding, part.start, part.end)[0]
