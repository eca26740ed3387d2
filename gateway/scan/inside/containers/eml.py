"""Messages in messages (message/rfc822, message/global, saved web pages), read with the parser that reads mail itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.core.ambiguity import AMBIGUOUS
from gateway.core.errors import TooComplex
from gateway.core.message import ParsedMessage, Part
from gateway.parse import parse
from gateway.scan.filetypes import look, types_of_declared, types_of_name
from gateway.scan.inside.entry import DEPTH, ENTRY_BYTES, Entry, Share, Unscannable
from gateway.scan.inside.names import telling

TYPES = frozenset({"eml", "mht"})

_BEGINS_LIKE_ANOTHER = re.compile(
    rb"BM|MM|MZ|PK|BZh|[CFZ]WS|GIF|ID3|EGGA|ITSF|OggS|RIF[FX]|Rar!|SZDD|xar!|0707|begin |%PDF-|%!PS|\{\\rt|\[aliases\]|#@~\^|\.RMF"
)
"""What makes a picture, a program or an archive of a file for clamd, and is the name of a field to mail programs."""


def entries(content: bytes, share: Share) -> Iterator[Entry]:
    """The leaves that are no shown text; an attached message is a leaf again. Raises Unscannable, for structure that mail
    programs read differently once all entries are given.
    """
    messages = [(content, 1)]
    unsure = ""
    while messages:
        octets, depth = messages.pop()
        message, bodies = _parsed(octets, share)
        for part in message.parts:
            if not part.is_attachment:
                continue
            body = bodies.pop(part.n)
            share.take(len(body))
            for name in _names(part):
                share.file()
                yield Entry(name, body[:ENTRY_BYTES], cut=len(body) > ENTRY_BYTES, declared=part.declared_type)
            if _is_unseen_message(part, body):
                messages.append((body, depth + 1))
        unsure = unsure or _unsure(message, octets)
        if messages and depth > DEPTH:
            raise Unscannable(f"more than {DEPTH} containers within each other")
    if unsure:
        raise Unscannable(unsure)


def _parsed(content: bytes, share: Share) -> tuple[ParsedMessage, dict[int, bytes]]:
    share.check_time()
    bodies: dict[int, bytes] = {}
    try:
        return parse(content, bodies.__setitem__), bodies
    except TooComplex as limit:
        raise Unscannable(str(limit)) from limit


def _is_unseen_message(part: Part, body: bytes) -> bool:
    """Declared as a message, with too little of a header to look like one: nobody else will read it, mail programs do."""
    return types_of_declared(part.declared_type) == ("eml",) and TYPES.isdisjoint(look(body).types)


def _unsure(message: ParsedMessage, octets: bytes) -> str:
    if _BEGINS_LIKE_ANOTHER.match(octets):
        return "a message that begins like another file"
    if any(part.declared_type == "message/partial" for part in message.parts):
        return "a fragment of a message"
    if not AMBIGUOUS.keys().isdisjoint(message.defects):
        return "ambiguous structure of an attached message"
    return ""


def _names(part: Part) -> tuple[str, ...]:
    """A message is one whatever it is called; a leaf without a name has one of its declared type."""
    declared = types_of_declared(part.declared_type)
    if not part.names:
        return (f"part {part.path}.{declared[0]}" if declared else f"part {part.path}",)
    if declared == ("eml",) and not any("eml" in types_of_name(name) for name in part.names):
        return telling((*part.names, f"{part.names[0]}.eml"))
    return telling(part.names)
