"""The writer of header fields (RFC 5322 section 2.2, RFC 2047): the only way a value enters a header of ours.

CPython's email package is not used for this: a decoded encoded-word that holds CR LF, set on one of its messages,
becomes a header of its own (CVE-2024-6923 and later). Here a field is words joined by single spaces, folded between
words, and a word with a control character in it is an error, not a header.
"""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Iterable, Sequence

from gateway.core.addresses import BadAddress, parse_addr_spec, without_controls
from gateway.core.errors import InvalidInput
from gateway.core.message import Address

LINE_OCTETS = 998
"""RFC 5322 section 2.1.1, without the CR LF."""
_FOLD_AT = 76
_NAME_CHARS = 100
_TEXT_CHARS = 200
_ENCODED_TEXT_CHARS = 50
"""With the 12 of `=?utf-8?B??=` and a field's name still a line of 76 characters (RFC 2047 section 2)."""
_REFERENCES = 20
_MESSAGE_ID_CHARS = 250

_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PLAIN_TEXT = re.compile(r"[!-~]{1,60}( [!-~]{1,60})*")
_PLAIN_NAME = re.compile(r"[ -~]+")
_MESSAGE_ID = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")
_BIDI = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Direction marks: in a display name or a subject they serve to show `exe.fdp` as `pdf.exe`, never a reader."""

# RFC 2047 section 5 (3): what Q leaves as it is inside a phrase; used for texts too, it is the stricter of the two.
_Q_SAFE = frozenset((string.ascii_letters + string.digits + "!*+-/").encode())
_Q = {byte: chr(byte) if byte in _Q_SAFE else f"={byte:02X}" for byte in range(256)} | {0x20: "_"}


def one_line(text: str, limit: int = _TEXT_CHARS) -> str:
    """`text` without control and direction characters, on one line, single-spaced, cut to `limit` characters."""
    washed = " ".join(without_controls(text[: 8 * limit]).translate(_BIDI).split())
    return washed if len(washed) <= limit else washed[: limit - 1].rstrip() + "…"


def field(name: str, words: Iterable[str]) -> bytes:
    """A header field, folded between `words` (RFC 5322 section 2.2.3), with its CR LF.

    Raises ValueError for a name or a word that may not stand in a header: whoever calls has not washed his values.
    """
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError(f"not the name of a header field: {name!r}")
    lines, line = [], f"{name}:"
    for number, word in enumerate(words):
        if not word.strip() or _CONTROLS.search(word):
            raise ValueError(f"not fit for the header field {name}: {word!r}")
        # Never fold before the first word: a line with nothing but the name trips widely used DKIM verifiers.
        if number and len(line) + 1 + len(word) > _FOLD_AT:
            lines.append(line)
            line = ""
        line = f"{line} {word}"
    encoded = [part.encode("utf-8") for part in (*lines, line)]
    if any(len(part) > LINE_OCTETS for part in encoded):
        raise ValueError(f"the header field {name} does not fit into lines of {LINE_OCTETS} octets")
    return b"\r\n".join(encoded) + b"\r\n"


def text(value: str, limit: int = _TEXT_CHARS) -> list[str]:
    """The words of an unstructured field: as they are when plain ASCII, else as encoded-words of UTF-8."""
    washed = one_line(value, limit)
    if not washed:
        return []
    if _PLAIN_TEXT.fullmatch(washed) and "=?" not in washed:
        return washed.split(" ")
    return _encoded_words(washed)


def mailbox(address: Address) -> list[str]:
    """The words of one `"Name" <local@domain>`, or of the bare addr-spec without a name. Raises InvalidInput."""
    spec = exact_address(address.address)
    name = one_line(address.name, _NAME_CHARS)
    return [*_phrase(name), f"<{spec}>"] if name else [spec]


def exact_address(address: str) -> str:
    """`address` as it may stand in a header and in RCPT: what was validated is what is written, octet for octet.

    A domain of other scripts becomes its A-labels. Raises InvalidInput where the grammar would read another local part
    than the one given, or none.
    """
    try:
        spec = str(parse_addr_spec(address))
    except BadAddress as error:
        raise InvalidInput(f"cannot write to {without_controls(address)[:120]!r}: {error}") from error
    if spec.rpartition("@")[0] != address.rpartition("@")[0]:
        raise InvalidInput(f"cannot write to {without_controls(address)[:120]!r}: it would be read as {spec!r}")
    return spec


def message_ids(thread: Sequence[str]) -> list[str]:
    """Those of `thread` that are Message-IDs, in brackets, oldest first: the first and the newest when they are many."""
    bare = [one.strip().removeprefix("<").removesuffix(">") for one in thread]
    good = list(dict.fromkeys(one for one in bare if len(one) <= _MESSAGE_ID_CHARS and _MESSAGE_ID.fullmatch(one)))
    kept = good if len(good) <= _REFERENCES else [good[0], *good[1 - _REFERENCES :]]
    return [f"<{one}>" for one in kept]


def _phrase(name: str) -> list[str]:
    if not _PLAIN_NAME.fullmatch(name) or "=?" in name:
        return _encoded_words(name)
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']


def _encoded_words(value: str) -> list[str]:
    """RFC 2047: each word ends at a whole character, so that every one of them decodes by itself."""
    mark, encode = ("Q", _q) if len(_q(value)) <= len(_b(value)) else ("B", _b)
    chunks, chunk = [], ""
    for char in value:
        if chunk and len(encode(chunk + char)) > _ENCODED_TEXT_CHARS:
            chunks.append(chunk)
            chunk = ""
        chunk += char
    return [f"=?utf-8?{mark}?{encode(part)}?=" for part in (*chunks, chunk)]


def _q(value: str) -> str:
    return "".join(_Q[byte] for byte in value.encode("utf-8"))


def _b(value: str) -> str:
    return base64.b64encode(value.encode("utf-8")).decode("ascii")
