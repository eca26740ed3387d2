"""Transfer encodings, sound and odd, and the encodings from before MIME."""

from __future__ import annotations

import base64
import binascii
import quopri

from tests.scenarios.airlock.letters import Disguise, attached, entity, in64, letter, lines64, multipart, text, whole

_TYPE = "Content-Type: application/octet-stream"
_NAME = 'Content-Disposition: attachment; filename="report.pdf"'


def _encoded(encoding: str, body: bytes) -> bytes:
    return entity(body, _TYPE, _NAME, f"Content-Transfer-Encoding: {encoding}")


def _b64(body: bytes) -> bytes:
    return _encoded("base64", body)


def _junk_between(octets: bytes) -> bytes:
    return (
        b"".join(bytes([c]) + (b"*" if at % 5 == 4 else b"") for at, c in enumerate(base64.b64encode(octets))) + b"\r\n"
    )


def _pieces_padded(octets: bytes) -> bytes:
    return b"".join(base64.b64encode(octets[at : at + 10]) + b"\r\n" for at in range(0, len(octets), 10))


def _urlsafe(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets + b"\xfb\xff\xfe") + b"\r\n"


def _qp_all(octets: bytes) -> bytes:
    return b"".join(b"=%02X" % c + (b"=\r\n" if at % 20 == 19 else b"") for at, c in enumerate(octets)) + b"\r\n"


def _qp_lower(octets: bytes) -> bytes:
    return _qp_all(octets).lower()


def _qp_soft_breaks(octets: bytes) -> bytes:
    return b"=  \r\n".join(octets[at : at + 3].replace(b"=", b"=3D") for at in range(0, len(octets), 3)) + b"\r\n"


def _qp_bare_lf(octets: bytes) -> bytes:
    return b"=\n".join(octets[at : at + 7] for at in range(0, len(octets), 7)) + b"\r\n"


def uuencoded(octets: bytes, name: str = "report.pdf") -> bytes:
    lines = [binascii.b2a_uu(octets[at : at + 45]).rstrip(b"\n") for at in range(0, len(octets), 45)]
    return b"\r\n".join([f"begin 644 {name}".encode(), *lines, b"`", b"end"]) + b"\r\n"


def yencoded(octets: bytes, name: str = "report.pdf") -> bytes:
    body = b""
    for c in ((octet + 42) & 255 for octet in octets):
        body += b"=" + bytes([(c + 64) & 255]) if c in b"\0\n\r=." else bytes([c])
    start = f"=ybegin line=128 size={len(octets)} name={name}\r\n".encode()
    return start + body + f"\r\n=yend size={len(octets)} crc32={binascii.crc32(octets):08x}\r\n".encode()


_HQX = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"


def binhexed(octets: bytes, name: bytes = b"report.pdf") -> bytes:
    start = bytes([len(name)]) + name + b"\0" + b"TEXTttxt" + b"\0\0" + len(octets).to_bytes(4, "big") + bytes(4)
    forks = start + binascii.crc_hqx(start + b"\0\0", 0).to_bytes(2, "big")
    forks += octets + binascii.crc_hqx(octets + b"\0\0", 0).to_bytes(2, "big") + b"\0\0"
    forks = forks.replace(b"\x90", b"\x90\0")
    bits = "".join(f"{c:08b}" for c in forks)
    bits += "0" * (-len(bits) % 6)
    digits = bytes(_HQX[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))
    lined = b":" + digits + b":"
    body = b"\r\n".join(lined[at : at + 64] for at in range(0, len(lined), 64))
    return b"(This file must be converted with BinHex 4.0)\r\n\r\n" + body + b"\r\n"


def _in_text(file: bytes) -> bytes:
    return entity(b"Please see the file.\r\n\r\n" + file, "Content-Type: text/plain; charset=utf-8")


def _two_encodings(first: str, second: str) -> list[str]:
    return [_TYPE, _NAME, f"Content-Transfer-Encoding: {first}", f"Content-Transfer-Encoding: {second}"]


ENCODINGS: tuple[Disguise, ...] = (
    attached("base64", in64),
    attached("base64 in lines of four", lambda p: _b64(lines64(p, 4))),
    attached("base64 in lines of five", lambda p: _b64(lines64(p, 5))),
    attached("base64 of one line of each digit", lambda p: _b64(lines64(p, 1))),
    attached(
        "base64 with blanks and tabs",
        lambda p: _b64(b" \t".join(base64.b64encode(p)[at : at + 3] for at in range(0, 92, 3)) + b"\r\n"),
    ),
    attached("base64 with junk between", lambda p: _b64(_junk_between(p))),
    attached("base64 behind a line of prose", lambda p: _b64(b"-- the file: --\r\n" + lines64(p))),
    attached("base64 concatenated, padded each", lambda p: _b64(_pieces_padded(p))),
    attached("base64 behind padding", lambda p: _b64(lines64(b"Hello") + lines64(p))),
    attached("base64 before padding and prose", lambda p: _b64(lines64(p) + b"==\r\nand this is the end\r\n")),
    attached("base64 without its padding", lambda p: _b64(base64.b64encode(p).rstrip(b"=") + b"\r\n")),
    attached("base64 with too much padding", lambda p: _b64(base64.b64encode(p) + b"====\r\n")),
    attached("base64 urlsafe", lambda p: _b64(_urlsafe(p))),
    attached("base64 lines ended by LF", lambda p: _b64(lines64(p, 8).replace(b"\r\n", b"\n"))),
    attached("base64 with NUL between", lambda p: _b64(lines64(p, 8).replace(b"\r\n", b"\0\r\n"))),
    attached("base64 of base64", lambda p: in64(lines64(p), "report.b64"), no_file="a text of base64 is a text"),
    attached("BASE64 in capitals, with a comment", lambda p: _encoded("BaSe64 (as ever)", lines64(p))),
    attached("encoding in quotes", lambda p: _encoded('"base64"', lines64(p))),
    attached("encoding with a parameter", lambda p: _encoded("base64; x=y", lines64(p))),
    attached("encoding folded", lambda p: _encoded("\r\n base64", lines64(p))),
    attached("encoding x-base64", lambda p: _encoded("x-base64", lines64(p))),
    attached("encoding unknown, body in base64", lambda p: _encoded("zzz", lines64(p))),
    attached(
        "encoding 7bit, body in base64", lambda p: _encoded("7bit", lines64(p)), no_file="a text of base64 is a text"
    ),
    attached("two encodings, the true one first", lambda p: entity(lines64(p), *_two_encodings("base64", "7bit"))),
    attached("two encodings, the true one last", lambda p: entity(lines64(p), *_two_encodings("7bit", "base64"))),
    attached("two words of encoding", lambda p: _encoded("7bit base64", lines64(p))),
    attached("8bit", lambda p: _encoded("8bit", p + b"\r\n")),
    attached("binary, no line end", lambda p: _encoded("binary", p)),
    attached("no encoding named", lambda p: entity(p + b"\r\n", _TYPE, _NAME)),
    attached("quoted-printable, every octet", lambda p: _encoded("quoted-printable", _qp_all(p))),
    attached("quoted-printable in small hex", lambda p: _encoded("quoted-printable", _qp_lower(p))),
    attached("quoted-printable, soft breaks with blanks", lambda p: _encoded("quoted-printable", _qp_soft_breaks(p))),
    attached("quoted-printable, soft breaks of LF", lambda p: _encoded("quoted-printable", _qp_bare_lf(p))),
    attached("quoted-printable by the book", lambda p: _encoded("quoted-printable", quopri.encodestring(p))),
    attached("x-uuencode", lambda p: _encoded("x-uuencode", uuencoded(p))),
    attached("uuencode by its other name", lambda p: _encoded("uuencode", uuencoded(p))),
    attached(
        "uuencode as a text file",
        lambda p: entity(uuencoded(p), "Content-Type: text/plain; name=a.txt", _NAME),
    ),
    whole("uuencode in the text", lambda p: _in_text(uuencoded(p))),
    whole("uuencode in a text of no MIME", lambda p: b"\r\nHello\r\n\r\n" + uuencoded(p)),
    whole(
        "begin-base64 in the text", lambda p: _in_text(b"begin-base64 644 report.pdf\r\n" + lines64(p) + b"====\r\n")
    ),
    attached("yEnc, attached", lambda p: entity(yencoded(p), "Content-Type: text/plain", _NAME)),
    attached("encoding x-yenc", lambda p: _encoded("x-yenc", yencoded(p))),
    whole("yEnc in the text", lambda p: _in_text(yencoded(p))),
    whole("BinHex in the text", lambda p: _in_text(binhexed(p))),
    attached(
        "BinHex, application/mac-binhex40",
        lambda p: entity(binhexed(p), "Content-Type: application/mac-binhex40; name=report.hqx"),
    ),
    attached(
        "hexadecimal", lambda p: _encoded("7bit", p.hex().encode() + b"\r\n"), no_file="a text of hexadecimal is a text"
    ),
    whole(
        "the whole message in base64", lambda p: entity(lines64(p), _TYPE, _NAME, "Content-Transfer-Encoding: base64")
    ),
    Disguise(
        "the encoding in a second header section",
        lambda p, tag: letter(
            tag, multipart(text(), entity(lines64(p), _TYPE, _NAME, "", "Content-Transfer-Encoding: base64"))
        ),
    ),
)
