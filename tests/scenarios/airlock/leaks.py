"""Finds the test virus in what leaves the gateway, in any form that somebody could make the file of again."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from typing import Any

from tests.scenarios.airlock.encodings import binhexed, yencoded
from tests.scenarios.airlock.letters import VIRUS

CORE = VIRUS[31:55]


def _base64_of(octets: bytes) -> Iterator[bytes]:
    """Its digits wherever it may begin in a group of three; those at the ends, which depend on neighbours, left out."""
    for before in range(3):
        yield base64.b64encode(bytes(before) + octets)[4 if before else 0 : -4]


FORMS: dict[str, bytes] = {
    "as it is": CORE,
    **{f"base64 {n}": form for n, form in enumerate(_base64_of(CORE))},
    "reversed": CORE[::-1],
    "hexadecimal": CORE.hex().encode(),
    "UTF-16": CORE.decode().encode("utf-16-le"),
    "uuencode": binascii.b2a_uu(VIRUS[:45])[1:41],
    "yEnc": yencoded(VIRUS).split(b"\r\n")[1][31:55],
    "BinHex": binhexed(VIRUS).split(b"\r\n")[3][:60],
}


def forms_in(octets: bytes) -> list[str]:
    """Those that `octets` have, broken over lines or not, in JSON or not."""
    unbroken = octets.translate(None, b"\r\n \t")
    return [name for name, form in FORMS.items() if form in octets or form.translate(None, b" ") in unbroken]


def forms_in_json(answer: bytes) -> list[str]:
    """Of an answer's strings, each unescaped."""
    found = set(forms_in(answer))
    for text in _strings(json.loads(answer)):
        found.update(forms_in(text.encode("utf-8", "surrogatepass")))
    return sorted(found)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def forms_in_mail(content: bytes) -> list[str]:
    """Of a notification: its octets, its fields and each of its parts decoded."""
    found = set(forms_in(content))
    message = message_from_bytes(content, policy=default)
    for value in message.values():
        found.update(forms_in(str(value).encode("utf-8", "surrogateescape")))
    for part in message.walk():
        if not part.is_multipart():
            found.update(forms_in(part.get_payload(decode=True)))  # type: ignore[arg-type]  # bytes: it is no multipart
    return sorted(found)


def _is_telling() -> None:
    """A form that the virus does not have in that encoding would find nothing ever."""
    zipped = zlib.compress(VIRUS)
    assert not forms_in(zipped)
    for made in (base64.encodebytes(b"xy" + VIRUS), binhexed(VIRUS), yencoded(VIRUS)):
        assert forms_in(made)


_is_telling()
