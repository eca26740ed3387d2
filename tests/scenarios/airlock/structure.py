"""Where in a message a file can lie: depths, boundaries, header sections, containers of MIME's own."""

from __future__ import annotations

import base64
import textwrap
import zlib
from collections.abc import Callable

from tests.scenarios.airlock.letters import (
    COVER,
    Disguise,
    attached,
    entity,
    head,
    in64,
    letter,
    lines64,
    multipart,
    text,
    whole,
)

_ATTACHED = "Content-Disposition: attachment"


def _deep(levels: int) -> Callable[[bytes], bytes]:
    def root(payload: bytes) -> bytes:
        inner = multipart(text(), in64(payload), boundary="=_0")
        for level in range(1, levels):
            inner = multipart(inner, boundary=f"={level}_")
        return inner

    return root


def mail_with(payload: bytes) -> bytes:
    """A whole message that carries the payload."""
    return letter("inner", multipart(text(), in64(payload), boundary="=_inner"))


def _forwarded(times: int) -> Callable[[bytes], bytes]:
    def root(payload: bytes) -> bytes:
        inner = mail_with(payload)
        for n in range(times - 1):
            inner = letter(
                f"inner {n}", multipart(text(), entity(inner, "Content-Type: message/rfc822"), boundary=f"=_i{n}_")
            )
        return entity(inner, "Content-Type: message/rfc822", _ATTACHED)

    return root


def _eml(payload: bytes) -> bytes:
    return in64(mail_with(payload), "forwarded.eml", "application/octet-stream")


def _mht(payload: bytes) -> bytes:
    page = entity(b"<p>Hi</p>\r\n", "Content-Type: text/html", "Content-Location: http://x.example/")
    file = in64(payload, "", "application/octet-stream", "Content-Location: http://x.example/a.bin")
    saved = (
        b"From: <Saved by Blink>\r\nSnapshot-Content-Location: http://x.example/\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
    )
    return in64(
        saved + multipart(page, file, kind="related", boundary="----M"), "page.mht", "application/x-mimearchive"
    )


def _two_content_types(first: str, second: str) -> Callable[[bytes, str], bytes]:
    def build(payload: bytes, tag: str) -> bytes:
        body = multipart(text(), in64(payload)).partition(b"\r\n\r\n")[2]
        return head(tag, f"Content-Type: {first}", f"Content-Type: {second}") + b"\r\n" + body

    return build


def _with_boundary(written: str) -> Callable[[bytes, str], bytes]:
    def build(payload: bytes, tag: str) -> bytes:
        body = multipart(text(), in64(payload)).partition(b"\r\n\r\n")[2]
        return head(tag, f"Content-Type: multipart/mixed; {written}") + b"\r\n" + body

    return build


_OUTER = 'multipart/mixed; boundary="=_outer"'


def _behind_the_end(payload: bytes, tag: str) -> bytes:
    return letter(tag, multipart(text()) + b"--=_outer\r\n" + in64(payload) + b"\r\n--=_outer--\r\n")


def _preamble(payload: bytes, tag: str) -> bytes:
    body = multipart(text()).replace(b"\r\n\r\n", b"\r\n\r\n" + payload + b"\r\n", 1)
    return letter(tag, body)


def _preamble_part(payload: bytes, tag: str) -> bytes:
    return letter(tag, multipart(text()).replace(b"\r\n\r\n", b"\r\n" + in64(payload).join((b"\r\n", b"\r\n")), 1))


def _epilogue(payload: bytes, tag: str) -> bytes:
    return letter(tag, multipart(text()) + payload + b"\r\n")


def _prefix_boundary(payload: bytes) -> bytes:
    inner = multipart(text("inner"), in64(payload), boundary="=_outer.more")
    return multipart(text(), inner)


def _same_boundary(payload: bytes) -> bytes:
    return multipart(text(), multipart(text("inner"), in64(payload)))


def _no_close(payload: bytes) -> bytes:
    return multipart(text(), in64(payload)).removesuffix(b"--=_outer--\r\n")


def _blanks_behind_delimiters(payload: bytes) -> bytes:
    return multipart(text(), in64(payload)).replace(b"--=_outer\r\n", b"--=_outer \t \r\n")


def _bare(line_end: bytes) -> Callable[[bytes, str], bytes]:
    def build(payload: bytes, tag: str) -> bytes:
        whole_message = letter(tag, multipart(text(), in64(payload)))
        start, blank, body = whole_message.partition(b"\r\n\r\n")
        return start + blank + body.replace(b"\r\n", line_end)

    return build


def _in_the_header(payload: bytes, tag: str) -> bytes:
    """Without a blank line: where does the header section end?"""
    start = head(tag, f"Content-Type: {_OUTER}")
    return start + b"--=_outer\r\n" + text() + b"\r\n--=_outer\r\n" + in64(payload) + b"\r\n--=_outer--\r\n"


def _broken_header(payload: bytes, tag: str) -> bytes:
    body = multipart(text(), in64(payload)).partition(b"\r\n\r\n")[2]
    return head(tag) + b"this line is no field\r\nContent-Type: " + _OUTER.encode() + b"\r\n\r\n" + body


def _blank_before_colon(payload: bytes, tag: str) -> bytes:
    body = multipart(text(), in64(payload)).partition(b"\r\n\r\n")[2]
    return head(tag) + b"Content-Type : " + _OUTER.encode() + b"\r\n\r\n" + body


def _in_a_field(payload: bytes, tag: str) -> bytes:
    return letter(tag, text(), "X-File: " + payload.decode("ascii"))


def _in_the_subject(payload: bytes, tag: str) -> bytes:
    word = base64.b64encode(payload[:40]).decode()
    return letter(tag, text(), f"X-Note: =?utf-8?B?{word}?=")


def _beginning(first_line: bytes) -> Callable[[bytes, str], bytes]:
    return lambda payload, tag: first_line + b"\r\n" + letter(tag, multipart(text(), in64(payload)))


def _behind_filler(size: int, line: bytes) -> Callable[[bytes], bytes]:
    filler = line * (size // len(line))
    return lambda p: multipart(entity(filler, "Content-Type: text/plain; charset=utf-8"), in64(p))


def _long_header(payload: bytes, tag: str) -> bytes:
    fields = [f"X-Filler-{n}: {'x' * 900}" for n in range(120)]
    return letter(tag, multipart(text(), in64(payload)), *fields)


def _many_fields(payload: bytes, tag: str) -> bytes:
    return letter(tag, multipart(text(), in64(payload)), *(f"X-F{n}: {n}" for n in range(900)))


def _folded_field(payload: bytes) -> bytes:
    folded = "Content-Type: application/octet-stream;" + "".join(f"\r\n x{n}=y;" for n in range(60)) + "\r\n name=a.pdf"
    return entity(lines64(payload), folded, _ATTACHED, "Content-Transfer-Encoding: base64")


def _signed(payload: bytes) -> bytes:
    inner = multipart(text(), in64(payload), boundary="=_inner")
    signature = in64(b"\x30\x80" + bytes(80), "smime.p7s", "application/pkcs7-signature")
    kind = 'signed; protocol="application/pkcs7-signature"; micalg=sha-256'
    return multipart(inner, signature, kind="X").replace(b"multipart/X", f"multipart/{kind}".encode(), 1)


def der(tag: int, *inner: bytes) -> bytes:
    body = b"".join(inner)
    size = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    return bytes([tag]) + size + body


def _opaque_signed(payload: bytes) -> bytes:
    """CMS SignedData with the message inside it (RFC 8551 section 3.5.2)."""
    content = der(0x30, bytes.fromhex("06092a864886f70d010701"), der(0xA0, der(0x04, multipart(text(), in64(payload)))))
    data = der(0x30, b"\x02\x01\x01", der(0x31), content, der(0x31))
    signed = der(0x30, bytes.fromhex("06092a864886f70d010702"), der(0xA0, data))
    return in64(signed, "smime.p7m", "application/pkcs7-mime; smime-type=signed-data")


def _pgp_literal(payload: bytes) -> bytes:
    """RFC 9580 sections 4.2.1 and 5.9: a literal data packet, for everybody to read."""
    body = b"b\x0areport.pdf" + bytes(4) + payload
    return b"\xcb\xff" + len(body).to_bytes(4, "big") + body


def _pgp_armour(payload: bytes) -> bytes:
    """Compressed by ZLIB, in ASCII armour (sections 5.6 and 6.2)."""
    packed = b"\x02" + zlib.compress(_pgp_literal(payload))
    packet = b"\xc8\xff" + len(packed).to_bytes(4, "big") + packed
    return b"-----BEGIN PGP MESSAGE-----\r\n\r\n" + lines64(packet) + b"-----END PGP MESSAGE-----\r\n"


def _pgp_mime(payload: bytes) -> bytes:
    """RFC 3156 section 4, though nothing is encrypted."""
    version = entity(b"Version: 1\r\n", "Content-Type: application/pgp-encrypted")
    data = entity(_pgp_armour(payload), 'Content-Type: application/octet-stream; name="encrypted.asc"')
    return multipart(version, data, kind="encrypted", parameters='; protocol="application/pgp-encrypted"')


def _partial(payload: bytes, tag: str) -> bytes:
    inner = mail_with(payload)
    return letter(tag, entity(inner, f'Content-Type: message/partial; id="{tag}@x"; number=1; total=2'))


def _partial_inside(payload: bytes) -> bytes:
    return entity(mail_with(payload), 'Content-Type: message/partial; id="x@y"; number=1; total=2')


def _external(payload: bytes) -> bytes:
    inner = entity(lines64(payload), "Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64")
    return entity(inner, 'Content-Type: message/external-body; access-type=URL; URL="http://192.0.2.1/a"')


def _digest(payload: bytes) -> bytes:
    inner = entity(mail_with(payload))
    return multipart(inner, kind="digest")


def _bounce(payload: bytes) -> bytes:
    status = entity(
        b"Reporting-MTA: dns; x.test\r\n\r\nFinal-Recipient: rfc822; a@b.test\r\nAction: failed\r\nStatus: 5.0.0\r\n",
        "Content-Type: message/delivery-status",
    )
    returned = entity(mail_with(payload), "Content-Type: message/rfc822")
    return multipart(text(), status, returned, kind="report", parameters="; report-type=delivery-status")


def _wrapped(payload: bytes) -> bytes:
    """Over many text parts, the file last."""
    return multipart(*(text(line) for line in textwrap.wrap(COVER * 40, 20)), in64(payload))


_NO_PGP = "clamd reads no OpenPGP"

STRUCTURE: tuple[Disguise, ...] = (
    whole("multipart at depth 5", _deep(5)),
    whole("multipart at depth 20", _deep(20), lets_through="clamd gives up at 17 levels"),
    whole("multipart at depth 31", _deep(31), lets_through="clamd gives up at 17 levels"),
    whole("the file last of many parts", _wrapped),
    whole("a message forwarded", lambda p: multipart(text(), _forwarded(1)(p))),
    whole("a message forwarded three times", lambda p: multipart(text(), _forwarded(3)(p))),
    whole("a message forwarded twelve times", lambda p: multipart(text(), _forwarded(12)(p))),
    whole("the message is a forwarded message", _forwarded(1)),
    attached("forwarded as .eml", _eml),
    attached(
        "message/rfc822 in base64",
        lambda p: entity(lines64(mail_with(p)), "Content-Type: message/rfc822", "Content-Transfer-Encoding: base64"),
    ),
    attached(
        "message/global in base64",
        lambda p: entity(lines64(mail_with(p)), "Content-Type: message/global", "Content-Transfer-Encoding: base64"),
    ),
    attached(
        "a multipart in base64",
        lambda p: entity(
            lines64(multipart(text(), in64(p), boundary="i").partition(b"\r\n\r\n")[2]),
            "Content-Type: multipart/mixed; boundary=i",
            "Content-Transfer-Encoding: base64",
        ),
    ),
    attached("a page saved with its files", _mht),
    whole("a digest", _digest),
    whole("a delivery report", _bounce),
    whole("signed by S/MIME", _signed),
    attached("opaque signed S/MIME", _opaque_signed, lets_through="clamd reads no CMS"),
    attached("OpenPGP", lambda p: in64(_pgp_literal(p)), lets_through=_NO_PGP),
    attached("OpenPGP in armour", lambda p: in64(_pgp_armour(p), "a.asc", "text/plain"), lets_through=_NO_PGP),
    whole("OpenPGP as MIME", _pgp_mime, lets_through=_NO_PGP),
    Disguise("a fragment that is the message", _partial, refused="fragment"),
    attached("a fragment in it", _partial_inside, refused="fragment"),
    attached("an external body", _external),
    Disguise("two Content-Types, multipart first", _two_content_types(_OUTER, "text/plain")),
    Disguise("two Content-Types, multipart last", _two_content_types("text/plain", _OUTER)),
    Disguise("two boundaries", _with_boundary('boundary="=_outer"; boundary="other"')),
    Disguise("two boundaries, the true one last", _with_boundary('boundary="other"; boundary="=_outer"')),
    Disguise("a boundary of RFC 2231", _with_boundary("boundary*=us-ascii''=_outer")),
    Disguise("a boundary in pieces", _with_boundary('boundary*0="=_ou"; boundary*1="ter"')),
    Disguise("a boundary in an encoded word", _with_boundary('boundary="=?us-ascii?Q?=3D=5Fouter?="')),
    Disguise("a boundary behind a comment", _with_boundary('(boundary=x) boundary="=_outer"')),
    Disguise("no boundary", _with_boundary("charset=us-ascii")),
    Disguise("another boundary than that of the parts", _with_boundary("boundary=another")),
    whole("a boundary that begins another", _prefix_boundary),
    whole("the same boundary within", _same_boundary),
    whole("no close delimiter", _no_close),
    whole("blanks behind the delimiters", _blanks_behind_delimiters),
    Disguise("parts behind the close delimiter", _behind_the_end),
    Disguise("the file in the preamble", _preamble, no_file="no program shows a preamble"),
    Disguise("a part in the preamble", _preamble_part),
    Disguise("the file in the epilogue", _epilogue),
    Disguise("body lines ended by LF", _bare(b"\n")),
    Disguise("body lines ended by CR", _bare(b"\r"), refused="bare CR"),
    Disguise("no blank line before the parts", _in_the_header),
    Disguise("a broken line before Content-Type", _broken_header),
    Disguise("a blank before the colon of Content-Type", _blank_before_colon),
    Disguise("the file in a header field", _in_a_field, no_file="a field is no file"),
    Disguise("the file in an encoded word", _in_the_subject),
    Disguise("a header of 110 KB", _long_header),
    Disguise("900 fields", _many_fields),
    attached("a Content-Type folded 60 times", _folded_field),
    whole("behind 3 MB of text", _behind_filler(3_000_000, b"x" * 70 + b"\r\n")),
    whole("behind 200,000 empty lines", _behind_filler(400_000, b"\r\n")),
    Disguise("begins like a GIF", _beginning(b"GIF89a: a picture to whoever guesses by the first octets")),
    Disguise("begins like a program", _beginning(b"MZ: a program")),
    Disguise("begins like a PDF", _beginning(b"%PDF-1.4: a document")),
    Disguise("begins like bzip2", _beginning(b"BZh91AY&SY: an archive")),
    Disguise("begins like RTF", _beginning(b"{\\rtf1: a document")),
    Disguise("begins like a mailbox", _beginning(b"From anna@customer.test Mon Feb  2 10:00:00 2026")),
    Disguise("begins with an unknown field", _beginning(b"Zz: y")),
)
