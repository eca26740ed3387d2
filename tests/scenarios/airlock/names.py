"""Names and declared types that say something else than the content is."""

from __future__ import annotations

from tests.scenarios.airlock.letters import (
    PIXEL,
    Disguise,
    attached,
    entity,
    in64,
    letter,
    lines64,
    multipart,
    text,
    whole,
)

_64 = "Content-Transfer-Encoding: base64"


def _file(name: str, *fields: str) -> Disguise:
    return attached(name, lambda p: entity(lines64(p), *fields, _64))


def _typed(kind: str, more: str = "") -> Disguise:
    return attached(f"declared {kind}{more}", lambda p: in64(p, "", f"{kind}{more}"))


def _inline(payload: bytes, tag: str) -> bytes:
    html = entity(b'<p>Our <img src="cid:logo@x"></p>\r\n', "Content-Type: text/html")
    picture = entity(
        lines64(payload),
        "Content-Type: image/png; name=logo.png",
        "Content-ID: <logo@x>",
        "Content-Disposition: inline",
        _64,
    )
    return letter(tag, multipart(html, picture, kind="related"))


def _second_cid(payload: bytes, tag: str) -> bytes:
    html = entity(b'<p>Our <img src="cid:logo@x"></p>\r\n', "Content-Type: text/html")
    fields = ("Content-Type: image/png", "Content-ID: <logo@x>", "Content-Disposition: inline", _64)
    return letter(
        tag, multipart(html, entity(lines64(PIXEL), *fields), entity(lines64(payload), *fields), kind="related")
    )


_RFC2231 = "Content-Disposition: attachment; filename*0=rep; filename*1*=%6Frt; filename*2=.exe"

NAMES: tuple[Disguise, ...] = (
    _file(
        "name turned by RTLO",
        "Content-Type: application/pdf",
        "Content-Disposition: attachment; filename*=UTF-8''report%E2%80%AEfdp.exe",
    ),
    _file(
        "double extension",
        "Content-Type: application/pdf",
        'Content-Disposition: attachment; filename="report.pdf.exe"',
    ),
    _file(
        "zero width in the extension",
        "Content-Type: application/pdf",
        "Content-Disposition: attachment; filename*=UTF-8''report.e%E2%80%8Bxe",
    ),
    _file("name in pieces of RFC 2231", "Content-Type: application/pdf", _RFC2231),
    _file(
        "name in words of RFC 2047",
        "Content-Type: application/pdf",
        'Content-Disposition: attachment; filename="=?utf-8?B?cmVwb3J0LmV4ZQ==?="',
    ),
    _file(
        "trailing dots and blanks",
        "Content-Type: application/pdf",
        'Content-Disposition: attachment; filename="report.exe. . "',
    ),
    _file(
        "alternate data stream",
        "Content-Type: application/pdf",
        'Content-Disposition: attachment; filename="report.exe::$DATA"',
    ),
    _file(
        "a path as name",
        "Content-Type: application/pdf",
        'Content-Disposition: attachment; filename="../../etc/report.pdf"',
    ),
    _file(
        "a hidden name behind a zero width",
        "Content-Type: text/plain",
        "Content-Disposition: attachment; filename*=UTF-8''%E2%80%8B.htaccess",
    ),
    _file(
        "name and filename differ",
        "Content-Type: application/pdf; name=report.pdf",
        "Content-Disposition: attachment; filename=report.exe",
    ),
    _file(
        "filename twice",
        "Content-Type: application/pdf",
        "Content-Disposition: attachment; filename=report.pdf; filename=report.exe",
    ),
    _file("no name at all", "Content-Type: application/octet-stream"),
    _file("no name, no type"),
    _file(
        "a name with NUL",
        "Content-Type: application/pdf",
        'Content-Disposition: attachment; filename="report.exe\0.pdf"',
    ),
    _file(
        "a name of 2000 characters",
        "Content-Type: application/pdf",
        f'Content-Disposition: attachment; filename="{"r" * 2000}.pdf"',
    ),
    _file("an 8-bit name", "Content-Type: application/pdf", "Content-Disposition: attachment; filename=Übersicht.pdf"),
    _file("disposition inline", "Content-Type: application/pdf", "Content-Disposition: inline; filename=a.pdf"),
    _file("disposition unknown", "Content-Type: application/pdf", "Content-Disposition: elsewhere; filename=a.pdf"),
    _typed("image/png"),
    _typed("text/calendar", "; method=REQUEST"),
    _typed("text/x-amp-html"),
    _typed("application/pkcs7-signature"),
    _typed("application/pgp-signature"),
    _typed("application/ms-tnef"),
    _typed("application/zip"),
    _typed("application/pdf"),
    _typed("message/rfc822"),
    _typed("message/delivery-status"),
    _typed("message/disposition-notification"),
    _typed("message/global"),
    _typed("message/x-unknown"),
    _typed("multipart/mixed"),
    _typed("multipart/mixed", "; boundary=absent"),
    _typed("text/rfc822-headers"),
    _typed("x/y z"),
    _typed("image"),
    whole("a text that is the file", lambda p: entity(p + b"\r\n", "Content-Type: text/plain")),
    whole(
        "a text that is the file, in base64",
        lambda p: entity(lines64(p), "Content-Type: text/plain; charset=utf-8", _64),
    ),
    whole("a page that is the file", lambda p: entity(lines64(p), "Content-Type: text/html; charset=utf-8", _64)),
    whole(
        "a page beside a text",
        lambda p: multipart(text(), entity(lines64(p), "Content-Type: text/html", _64), kind="alternative"),
    ),
    whole(
        "a third alternative",
        lambda p: multipart(
            text(),
            entity(b"<p>Hi</p>\r\n", "Content-Type: text/html"),
            in64(p, "", "text/calendar"),
            kind="alternative",
        ),
    ),
    whole(
        "a text in UTF-16",
        lambda p: entity(lines64(p.decode("ascii").encode("utf-16")), "Content-Type: text/plain; charset=utf-16", _64),
        no_file="a text in UTF-16 is not the file",
    ),
    Disguise("a picture in the text", _inline),
    Disguise("a second picture of the same Content-ID", _second_cid),
)
