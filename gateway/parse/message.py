"""The straight line from content to `ParsedMessage`."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.message import Address, ParsedMessage, Part
from gateway.parse import automatic
from gateway.parse.ambiguous_body import note_ambiguous_body
from gateway.parse.author import author, author_domains
from gateway.parse.body import choose, texts
from gateway.parse.charsets import header_octets_text
from gateway.parse.dates import read_date
from gateway.parse.defects import Defects
from gateway.parse.digest import BodyDigest
from gateway.parse.fields import Header, read_message_header
from gateway.parse.mailboxes import mailboxes
from gateway.parse.mime import Leaf, read_tree
from gateway.parse.parts import part_of
from gateway.parse.quotes import without_quotes
from gateway.parse.references import message_ids, references
from gateway.parse.transfer import decode
from gateway.parse.words import decode_words, decoded

_SINGLE = ("date", "from", "sender", "reply-to", "to", "cc", "message-id", "in-reply-to", "references", "subject")
"""Fields that RFC 5322 section 3.6 allows once."""

_SPECIALS = frozenset('()<>@,:;"[]\\')


def parse(content: bytes, see: Callable[[int, bytes], None] | None = None) -> ParsedMessage:
    """The canonical reading of a message. Bad mail gives defects; raises only TooComplex (see `limits`).

    `see` is called with number and decoded octets of each attachment: whoever wants these too need not decode again.
    """
    defects = Defects()
    header = read_message_header(content, defects)
    _note_duplicates(header, defects)
    tree = read_tree(content, header, defects)
    parts, text, html, digest = _body(content, tree.leaves, defects, see)
    fields = tuple((f.name, decoded(f.value, defects)) for f in header.fields)
    from_author = author(header, defects)
    precedence = automatic.precedences(header)
    listed = automatic.is_list(header, precedence)
    is_report = tree.root == "multipart/report"
    date = header.values("date")
    date_at = read_date(decoded(date[0], defects)) if date else None
    if date and date_at is None:
        defects.add("bad-date")
    return ParsedMessage(
        message_id=_message_id(header, defects),
        author=from_author,
        from_shown=_from_shown(fields, from_author),
        author_domains=(from_author.domain,) if from_author else author_domains(header),
        originator=next(iter(_addresses(header, "sender", defects)), None),
        reply_to=_addresses(header, "reply-to", defects),
        to=_addresses(header, "to", defects),
        cc=_addresses(header, "cc", defects),
        subject=next((value for name, value in fields if name.lower() == "subject"), ""),
        date=date_at,
        references=references(_ids_text(header, "references", defects), _ids_text(header, "in-reply-to", defects)),
        automatic=automatic.automatic(header, listed=listed, report=is_report, precedence=precedence),
        is_list=listed,
        is_report=is_report,
        received_count=len(header.values("received")),
        headers=fields,
        text=text,
        text_new=without_quotes(text),
        html=html,
        parts=parts,
        body_digest=digest,
        defects=defects.found(),
    )


def _note_duplicates(header: Header, defects: Defects) -> None:
    for name in _SINGLE:
        if len(header.values(name)) > 1:
            defects.add(f"duplicate-{name}")


def _body(
    content: bytes, leaves: list[Leaf], defects: Defects, see: Callable[[int, bytes], None] | None
) -> tuple[tuple[Part, ...], str, str | None, str]:
    """Parts, text, HTML and digest. Each leaf is decoded once; only what is shown is kept."""
    chosen = choose(content, leaves, defects)
    shown = {*chosen.text, *chosen.html}
    bodies: dict[int, bytes] = {}
    digest = BodyDigest()
    for index, leaf in enumerate(leaves):
        octets, sound = decode(content, leaf.encoding, leaf.start, leaf.end)
        if not sound:
            defects.add(f"bad-{leaf.encoding}")
        note_ambiguous_body(content, leaf, octets, sound=sound, defects=defects)
        digest.add(octets)
        if index in shown:
            bodies[index] = octets
        elif see:
            see(index + 1, octets)
    text, html = texts(leaves, chosen, bodies, defects)
    lowered = html.lower() if html else ""
    parts = tuple(
        part_of(index + 1, leaf, is_text=index in shown, html=lowered, defects=defects)
        for index, leaf in enumerate(leaves)
    )
    return parts, text, html, digest.hexdigest()


def _texts(header: Header, name: str, defects: Defects) -> list[str]:
    return [header_octets_text(value, defects) for value in header.values(name)]


def _ids_text(header: Header, name: str, defects: Defects) -> list[str]:
    """Python's email package encodes a Message-ID that does not fit a line: decoded it is the id that was meant."""
    return [decode_words(text, defects) if "=?" in text else text for text in _texts(header, name, defects)]


def _addresses(header: Header, name: str, defects: Defects) -> tuple[Address, ...]:
    return tuple(mailbox for value in header.values(name) for mailbox in mailboxes(value, defects))


def _message_id(header: Header, defects: Defects) -> str | None:
    return next((found for text in _texts(header, "message-id", defects) for found in message_ids(text)), None)


def _from_shown(fields: tuple[tuple[str, str], ...], one: Address | None) -> str:
    """A certain author is shown by the address that was judged; an uncertain one by what the fields say."""
    if one:
        name = f'"{one.name}"' if _SPECIALS & set(one.name) else one.name
        return f"{name} <{one.address}>" if name else one.address
    return ", ".join(value for name, value in fields if name.lower() == "from")
