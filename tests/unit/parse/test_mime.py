"""The MIME tree, transfer encodings, parts and their names, limits, the digest."""

from __future__ import annotations

import base64
import quopri
import time

import pytest

from gateway.core.errors import TooComplex
from gateway.core.message import Part
from gateway.parse import decode_part, parse
from gateway.parse.transfer import decode, encoding_of
from gateway.parse.usual import UNUSUAL

from .shapes import message, multipart

PLAIN = "Content-Type: text/plain\n\nhello"
HTML = "Content-Type: text/html\n\n<p>hi</p>"
PNG = "Content-Type: image/png\nContent-Transfer-Encoding: base64\n"


def kinds(parts: tuple[Part, ...]) -> list[tuple[str, str, bool]]:
    return [(p.path, p.declared_type, p.is_text) for p in parts]


def test_leaves_come_in_document_order_with_their_paths() -> None:
    inner = multipart(PLAIN, HTML, kind="alternative", boundary="b2").partition(b"\r\n")[2]
    content = multipart(inner, PNG + "Content-Disposition: attachment; filename=a.png\n\nAAAA")
    parsed = parse(content)
    assert kinds(parsed.parts) == [("1.1", "text/plain", True), ("1.2", "text/html", True), ("2", "image/png", False)]
    assert [p.n for p in parsed.parts] == [1, 2, 3]
    assert (parsed.text, parsed.html) == ("hello", "<p>hi</p>")
    assert decode_part(content, parsed.parts[2]) == b"\0\0\0"
    assert content[parsed.parts[0].start : parsed.parts[0].end] == b"hello"
    assert parsed.parts[2].is_attachment
    assert not parsed.defects


def test_attached_messages_are_leaves() -> None:
    inner = "Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/mixed; boundary=b2\n\n--b2\n\nx\n--b2--"
    assert kinds(parse(multipart(PLAIN, inner)).parts) == [("1", "text/plain", True), ("2", "message/rfc822", False)]
    assert kinds(parse(multipart("\nSubject: a", kind="digest")).parts) == [("1", "message/rfc822", False)]


def test_an_outer_delimiter_ends_an_inner_multipart() -> None:
    inner = 'Content-Type: multipart/mixed; boundary="b1x"\n\n--b1x\n\ninner'
    parsed = parse(multipart(inner, PLAIN))
    assert kinds(parsed.parts) == [("1.1", "text/plain", True), ("2", "text/plain", True)]
    assert parsed.text == "inner\nhello"
    assert set(parsed.defects) == {"no-close-delimiter", UNUSUAL}


@pytest.mark.parametrize(
    ("field", "body", "text", "defect"),
    [
        ("Content-Type: multipart/mixed", "--b\n\nx\n--b--", "--b\n\nx\n--b--", "ambiguous-boundary"),
        ('Content-Type: multipart/mixed; boundary=""', "--\n\nx", "--\n\nx", "ambiguous-boundary"),
        ("Content-Type: multipart/mixed; boundary=b", "no delimiter", "no delimiter", "multipart-without-parts"),
        ("Content-Type: multipart/mixed; boundary=b", "--b\n\nx\n", "x\n", "no-close-delimiter"),
        ("Content-Type: multipart/mixed; boundary=b; boundary=c", "--b\n\nx\n--b--\n", "x", "ambiguous-boundary"),
        ("Content-Type: multipart/mixed; boundary*=us-ascii''b", "--b\n\nx\n--b--\n", "x", "ambiguous-boundary"),
        ("Content-Type: multipart/mixed; boundary*0=b; boundary*1=c", "--bc\n\nx\n--bc--\n", "x", "ambiguous-boundary"),
        (
            "Content-Type: multipart/mixed; boundary==?us-ascii?q?b?=",
            "--=?us-ascii?q?b?=\n\nx\n",
            "x\n",
            "ambiguous-boundary",
        ),
        ("Content-Type: multipart/mixed; boundary=b", "--b\n\nx\n--b--\n--b\n\ny\n--b--", "x\ny", "ambiguous-boundary"),
        ("Content-Type: multipart/mixed; boundary=b", "--b--\n--b\n\nx\n--b--", "x", "ambiguous-boundary"),
        ("Content-Type: multipart/mixed; boundary=b (comment)", "--b \t\n\nx\n--b--", "x", ""),
        ("Content-Type: multipart/mixed; boundary=b", "--b\n--b\n\nx\n--b--", "x", ""),
        ("Content-Type: text/html charset=utf-8", "<p>x", "x", "malformed-content-type"),
        ("Content-Type: text", "x", "x", "malformed-content-type"),
        ("Content-Type: text/plain\r\nContent-Type: text/html", "<x", "<x", "ambiguous-content-type"),
        ("Content-Type: text/plain\r\nContent-Type: text/plain", "x", "x", "duplicate-content-type"),
        (
            "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64",
            "x",
            "x",
            "ambiguous-content-transfer-encoding",
        ),
        ("Content-Transfer-Encoding: rot13", "x", "x", "unknown-transfer-encoding"),
        (
            "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64",
            "--b\n\nx\n--b--",
            "x",
            "encoded-multipart",
        ),
        ("Content-Transfer-Encoding: base64", "aGVs*bG8=", "hello", "bad-base64"),
        ("Content-Transfer-Encoding: x-uuencode", "no begin", "no begin", "bad-x-uuencode"),
    ],
)
def test_broken_structure_is_read_and_noted(field: str, body: str, text: str, defect: str) -> None:
    parsed = parse(message(field, body=body))
    assert parsed.text == text
    assert not defect or defect in parsed.defects


@pytest.mark.parametrize(
    ("encoding", "octets", "expected", "sound"),
    [
        ("base64", b"aGVsbG8=", b"hello", True),
        ("base64", b"aGVs\r\nbG8=\r\n", b"hello", True),
        ("base64", b"aGVs bG8=\r\n", b"hello", True),
        ("base64", b"aGVsbG8", b"hello", False),
        ("base64", b"aGVsbG8h!", b"hello!", False),
        ("base64", b"aGVsb", b"hel", False),
        ("base64", b"aGVs\xff\x00bG8=", b"hello", False),
        ("base64", b"aGVsbG8=\r\naGVsbG8=", b"hellohello", False),
        ("base64", b"", b"", True),
        ("base64", b"====", b"", True),
        ("quoted-printable", b"a=3Db=\r\nc=\nd", b"a=bcd", True),
        ("quoted-printable", b"a= \t\r\nb", b"ab", True),
        ("quoted-printable", b"a=\rb\r\nc", b"ab\r\nc", True),
        ("quoted-printable", b"a=zz=", b"a=zz", True),
        ("7bit", b"a\r\n", b"a\r\n", True),
        ("nonsense", b"a", b"a", True),
        ("x-uuencode", b"text\nbegin 644 a.txt\n%:&5L;&\\ \n`\nend\n", b"hello", True),
        ("x-uuencode", b"begin 644 a.txt\n%:&5L;&\\\n\n\xff\xff\xff\n", b"hello", False),
    ],
)
def test_damaged_transfer_encodings_give_what_they_can(
    encoding: str, octets: bytes, expected: bytes, sound: bool
) -> None:
    assert decode(octets, encoding) == (expected, sound)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("BASE64", "base64"),
        ("7-bit", "7bit"),
        ("", "7bit"),
        ("8bit (ok)", "8bit"),
        ("quoted-printable;", "quoted-printable"),
        ("uuencode", "x-uuencode"),
    ],
)
def test_transfer_encodings_are_known_by_their_usual_misspellings(written: str, name: str) -> None:
    assert encoding_of(written) == name


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ("Content-Disposition: attachment; filename=a.pdf", ("a.pdf",)),
        ('Content-Disposition: attachment; filename="a \\"b\\".pdf"', ('a "b".pdf',)),
        ("Content-Disposition: attachment; filename=my file (1).pdf", ("my file (1).pdf",)),
        ("Content-Disposition: attachment; filename*=utf-8''na%C3%AFve.pdf", ("naïve.pdf",)),
        (
            "Content-Disposition: attachment; filename*0*=utf-8'en'na%C3; filename*1*=%AF; filename*2=ve.pdf",
            ("naïve.pdf",),
        ),
        ("Content-Disposition: attachment; filename*1=b.pdf; filename*0=a", ("ab.pdf",)),
        ("Content-Disposition: attachment; filename*=x.pdf", ("x.pdf",)),
        ('Content-Disposition: attachment; filename="=?utf-8?q?na=C3=AFve.pdf?="', ("naïve.pdf",)),
        ("Content-Type: image/png; name=b.png\nContent-Disposition: attachment; filename=a.png", ("a.png", "b.png")),
        ("Content-Disposition: attachment; filename=a.png; filename=b.png", ("a.png", "b.png")),
        ('Content-Disposition: attachment; filename="a\x01\u2028b.png"', ("a b.png",)),
        ('Content-Disposition: attachment; filename="never ends; x', ("never ends; x",)),
        ('Content-Disposition: attachment; ; x; filename = "a.png" junk; y=z', ("a.png",)),
        ('Content-Disposition: attachment; filename="a.png" junk', ("a.png",)),
        ('Content-Disposition: attachment; filename=""', ()),
        ("Content-Disposition: attachment; *=x; filename**=y", ()),
    ],
)
def test_every_plausible_file_name_is_kept(fields: str, names: tuple[str, ...]) -> None:
    parsed = parse(multipart(PLAIN, f"{fields}\n\nx"))
    assert parsed.parts[1].names == names
    assert set(parsed.defects) <= {UNUSUAL}


def test_names_with_differing_extensions_are_a_defect() -> None:
    parsed = parse(
        multipart(PLAIN, "Content-Type: image/png; name=a.png\nContent-Disposition: attachment; filename=a.exe\n\nx")
    )
    assert parsed.parts[1].names == ("a.exe", "a.png")
    assert parsed.defects == ("ambiguous-file-name",)


@pytest.mark.parametrize(
    ("fields", "html", "inline"),
    [
        ("Content-ID: <i@x>", "", True),
        ("Content-Disposition: inline", "", True),
        ("Content-Disposition: attachment", "", False),
        ("Content-Disposition: attachment\nContent-ID: <i@x>", "", False),
        ("Content-Disposition: attachment\nContent-ID: <I@x>", '<img src="cid:i@X">', True),
        ("X: y", "", False),
    ],
)
def test_pictures_in_the_text_are_inline(fields: str, html: str, inline: bool) -> None:
    parsed = parse(multipart(f"Content-Type: text/html\n\n{html}", f"Content-Type: image/png\n{fields}\n\nx"))
    assert parsed.parts[1].inline is inline


def test_only_pictures_are_inline_and_a_content_id_is_bare() -> None:
    parsed = parse(
        multipart(PLAIN, "Content-Type: application/pdf\nContent-ID: <p@x>\nContent-Disposition: inline\n\nx")
    )
    assert (parsed.parts[1].inline, parsed.parts[1].content_id) == (False, "p@x")


def test_reports_are_automatic() -> None:
    report = multipart(
        PLAIN, "Content-Type: message/delivery-status\n\nStatus: 5.1.1", kind="report", fields=("Subject: x",)
    )
    parsed = parse(report)
    assert (parsed.automatic, parsed.is_report) == ("report", True)


def _nested(levels: int) -> bytes:
    content = b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n"
    for level in range(1, levels):
        content += b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (level - 1, level)
    return content + b"--b%d\r\n\r\nx\r\n" % (levels - 1)


def test_multiparts_32_deep_are_read() -> None:
    assert parse(_nested(32)).text == "x\n"


@pytest.mark.parametrize(
    "content",
    [
        _nested(33),
        _nested(3000),
        multipart(*["\nx"] * 1001),
        multipart(*[f"Content-Type: multipart/mixed; boundary=c{n}\n\n" + f"--c{n}\n\n" * 40 for n in range(30)]),
        message("Content-Type: multipart/mixed; boundary=a", body=b"--ax\n" * 20_000),
        message("Content-Type: multipart/mixed; boundary=" + "a" * 300),
        message("Content-Type: text/plain" + "".join(f"; a{n}=b" for n in range(101))),
        multipart(*["X: " + "y" * 200_000 + "\n\nx"] * 6),
    ],
    ids=[
        "33-deep",
        "3000-deep",
        "parts",
        "parts-in-parts",
        "false-delimiters",
        "boundary",
        "parameters",
        "part-headers",
    ],
)
def test_mime_bombs_are_too_complex(content: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(TooComplex):
        parse(content)
    assert time.process_time() - begun < 1


def test_the_digest_is_the_same_for_another_transfer_encoding() -> None:
    text = "Grüße\r\naus Bonn\r\n\r\n".encode()
    pdf = bytes(range(256)) * 4

    def content(text_encoding: str, encoded: bytes, pdf_lines: int) -> bytes:
        lines = base64.b64encode(pdf)
        cut = b"\n".join(lines[n : n + pdf_lines] for n in range(0, len(lines), pdf_lines))
        return multipart(
            f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {text_encoding}\n\n".encode()
            + encoded,
            b"Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n" + cut,
        )

    digests = {
        parse(content("8bit", text, 76)).body_digest,
        parse(content("base64", base64.b64encode(text), 60)).body_digest,
        parse(content("quoted-printable", quopri.encodestring(text), 72)).body_digest,
        parse(content("8bit", text.rstrip(), 76).replace(b"\r\n", b"\n")).body_digest,
    }
    assert len(digests) == 1


def test_the_digest_tells_parts_apart() -> None:
    assert parse(multipart("\nab", "\nc")).body_digest != parse(multipart("\na", "\nbc")).body_digest
