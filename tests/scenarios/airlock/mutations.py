"""Mail with the virus in it, a few characters of which are out of place: what scanners and mail programs are apt to read
differently, found by chance instead of by knowledge.
"""

from __future__ import annotations

import quopri
import random

from tests.scenarios.airlock.encodings import uuencoded
from tests.scenarios.airlock.letters import VIRUS, entity, in64, letter, lines64, multipart, text

_TYPE = 'Content-Type: application/octet-stream; name="report.pdf"'
_NAME = 'Content-Disposition: attachment; filename="report.pdf"'


def _file(encoding: str, body: bytes) -> bytes:
    return entity(body, _TYPE, _NAME, f"Content-Transfer-Encoding: {encoding}")


_IN_HEX = b"".join(b"=%02X" % c + (b"=\r\n" if at % 20 == 19 else b"") for at, c in enumerate(VIRUS)) + b"\r\n"
_SOUND: tuple[bytes, ...] = (
    letter("sound", multipart(text(), in64(VIRUS))),
    letter("sound", multipart(text(), _file("base64", lines64(VIRUS, 20)), boundary="b")),
    letter("sound", multipart(text(), _file("quoted-printable", _IN_HEX))),
    letter("sound", multipart(text(), _file("quoted-printable", quopri.encodestring(VIRUS).replace(b"\n", b"\r\n")))),
    letter("sound", multipart(text(), _file("7bit", VIRUS + b"\r\n"))),
    letter("sound", multipart(text(), multipart(text("in"), in64(VIRUS), boundary="inner"), boundary="outer")),
    letter("sound", _file("base64", lines64(VIRUS))),
    letter("sound", multipart(text(), _file("x-uuencode", uuencoded(VIRUS)))),
    letter("sound", multipart(text(), in64(VIRUS, "", "image/png; name=x.png", "Content-ID: <a@b>"))),
)
_CHARACTERS = (
    *(bytes([c]) for c in b" \t=;\"()\\\0-\n:,x*'/?\x80\x0b\x0c\x1a.<%"),
    *(b"\r\n", b"\r\n ", b"\r\n\r\n", b"--", b"=\r\n", b"=3D", b"\xc2\xa0"),
)
_LINES = (
    b"", b" ", b"--", b".", b"X: y", b"begin 644 a", b"From x@y Mon Feb  2 10:00:00 2026", b"name=z.txt;", b"Subject: 2",
    b"Content-Type: text/html", b"Content-Type:", b"Content-Transfer-Encoding: 8bit", b"Content-Transfer-Encoding:",
    b"Content-Encoding: gzip", b"Content-Length: 3", b"Content-Disposition: inline", b"Content-Description: x",
    b"Content-Location: a", b"Mime-Version: 2.0", b"Message-ID: <z@z>",
)  # fmt: skip


def mutated(chance: random.Random) -> bytes:
    message = chance.choice(_SOUND)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
        message = (_in_characters if chance.random() < 0.7 else _in_lines)(message, chance)
    return message


def _in_characters(message: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(message.find(b"MIME-Version"), len(message))
    new = chance.choice(_CHARACTERS) if chance.random() < 0.8 else b""
    return message[:at] + new + message[at + chance.choice((0, 0, 1)) :]


def _in_lines(message: bytes, chance: random.Random) -> bytes:
    lines = message.split(b"\r\n")
    one, other = (chance.randrange(6, len(lines)) for _ in range(2))
    kind = chance.random()
    if kind < 0.3:
        lines.insert(other, lines[one])
    elif kind < 0.5:
        del lines[one]
    elif kind < 0.7:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines.insert(one, chance.choice(_LINES))
    return b"\r\n".join(lines)
