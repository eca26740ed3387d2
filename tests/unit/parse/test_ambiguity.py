"""Messages in which scanners and readers are known to find different files, and honest ones that resemble them.

The tricks are those of "Inbox Invasion" (CCS 2024), of MIME-tools' and amavis' advisories and of our own; the messages
are our own.
"""

from __future__ import annotations

import binascii
import contextlib
import time

import pytest

from gateway.core import ambiguity as a
from gateway.core.errors import TooComplex
from gateway.parse import parse

from .shapes import message, multipart

TEXT = "Content-Type: text/plain\n\nhello"
EXE = "Content-Type: application/x-msdownload; name=a.exe\nContent-Transfer-Encoding: base64\n\nTVqQAAM="
PARTS = f"--b\n{TEXT}\n--b\n{EXE}\n--b--\n"
OTHERS = f"--c\n{TEXT}\n--c\n{EXE}\n--c--\n"
UU = binascii.b2a_uu(b"MZ\x90\0 a program").decode()


def mixed(content_type: str, body: str = PARTS, *fields: str) -> bytes:
    """A message whose root has this Content-Type, written as it stands."""
    crlf = body.replace("\n", "\r\n").encode("latin-1")
    return message(f"Content-Type: {content_type}".encode("latin-1"), *fields, body=crlf)


def bounded(parameters: str, body: str = PARTS + OTHERS) -> bytes:
    return mixed(f"multipart/mixed; {parameters}", body)


def part(header: str, body: str = "TVqQAAM=") -> bytes:
    return multipart(TEXT, f"{header}\n\n{body}")


def named(disposition: str, content_type: str = "application/octet-stream") -> bytes:
    return part(f"Content-Type: {content_type}\nContent-Disposition: attachment; {disposition}")


def encoded(body: str, kind: str = "application/pdf; name=a.pdf") -> bytes:
    return part(f"Content-Type: {kind}\nContent-Transfer-Encoding: base64", body)


def nested(outer: str, inner: str, body: str) -> bytes:
    return mixed(f"multipart/mixed; boundary={outer}", body.replace("OUTER", outer).replace("INNER", inner))


CASES: dict[str, tuple[str, bytes]] = {
    # -- Content-Type
    "two types": (a.CONTENT_TYPE, part("Content-Type: text/plain\nContent-Type: application/x-msdownload")),
    "two types, one a multipart": (
        a.CONTENT_TYPE,
        mixed("text/plain", PARTS, "Content-Type: multipart/mixed; boundary=b"),
    ),
    "two boundaries in two fields": (
        a.CONTENT_TYPE,
        mixed("multipart/mixed; boundary=b", PARTS + OTHERS, "Content-Type: multipart/mixed; boundary=c"),
    ),
    "a list of types": (a.CONTENT_TYPE, mixed("text/plain, multipart/mixed; boundary=b")),
    "a quoted type": (a.CONTENT_TYPE, mixed('"multipart/mixed"; boundary=b')),
    "a comment in the type": (a.CONTENT_TYPE, mixed("multipart(x)/mixed; boundary=b")),
    "a comment before the type": (a.CONTENT_TYPE, mixed("(x) multipart/mixed; boundary=b")),
    "a blank in the type": (a.CONTENT_TYPE, mixed("multipart /mixed; boundary=b")),
    "a fold in the type": (a.CONTENT_TYPE, mixed("multi\r\n part/mixed; boundary=b")),
    "an encoded-word for a type": (a.CONTENT_TYPE, mixed("=?us-ascii?q?multipart/mixed?=; boundary=b")),
    "no subtype": (a.CONTENT_TYPE, mixed("multipart/; boundary=b")),
    "no type": (a.CONTENT_TYPE, mixed("; boundary=b")),
    "no semicolon": (a.CONTENT_TYPE, mixed("multipart/mixed boundary=b")),
    # -- parts that nobody finds, or everybody elsewhere
    "text with a boundary": (a.UNREAD_PARTS, mixed("text/plain; boundary=b")),
    "another boundary than the delimiters'": (a.UNREAD_PARTS, mixed("multipart/mixed; boundary=c")),
    "no boundary": (a.UNREAD_PARTS, mixed("multipart/mixed")),
    "an inner boundary that is the outer one": (
        a.UNREAD_PARTS,
        nested("b", "b", f"--b\nContent-Type: multipart/mixed; boundary=b\n\n{EXE}\n\n--b\n{EXE}\n--b--\n--b--\n"),
    ),
    # -- headers
    "a blank before the colon": (a.HEADER, part("Content-Type : application/x-msdownload; name=a.exe")),
    "a colon on the next line": (a.HEADER, part("Content-Type\n : application/x-msdownload; name=a.exe")),
    "NUL in the type": (a.HEADER, part("Content-Type: text/plain\0; name=a.exe")),
    "CR in the type": (a.HEADER, message(b"Content-Type: text/plain;\r name=a.exe")),
    "CR that begins a field": (a.HEADER, message(b"X-A: b\rContent-Disposition: attachment; filename=a.exe")),
    "fields behind a line that is none": (
        a.HEADER,
        part("Content-Description: x\nthis is no field\nContent-Type: application/x-msdownload"),
    ),
    "a field that is none": (a.HEADER, part("X: y\n\x01Content-Type: application/x-msdownload\nX-Z: y")),
    "fields behind the end of the header": (
        a.HEADER,
        part("X: y\nno field\nand none\nContent-Type: application/x-msdownload"),
    ),
    "a field before the header": (a.HEADER, part(" Content-Disposition: attachment; filename=a.exe\nX: y")),
    "a folded line of blanks": (a.HEADER, part("X: y\n \nContent-Type: application/x-msdownload")),
    "blank lines before the header": (a.HEADER, b"\r\n" + mixed("multipart/mixed; boundary=b")),
    # -- boundary
    "two boundaries": (a.BOUNDARY, bounded("boundary=b; boundary=c")),
    "two boundaries, case aside": (a.BOUNDARY, bounded("boundary=b; BOUNDARY=c")),
    "the same boundary twice": (a.BOUNDARY, bounded("boundary=b; boundary=b", PARTS)),
    "a boundary in RFC 2231 form": (a.BOUNDARY, bounded("boundary*=us-ascii''%62")),
    "a boundary in pieces": (a.BOUNDARY, bounded("boundary*0=b; boundary*1=c", "--bc\n\nx\n--bc--\n")),
    "a boundary plain and in RFC 2231 form": (a.BOUNDARY, bounded("boundary=b; boundary*=us-ascii''c")),
    "an empty boundary": (a.BOUNDARY, bounded('boundary=""')),
    "an encoded-word for a boundary": (a.BOUNDARY, bounded('boundary="=?us-ascii?q?b?="')),
    "8-bit characters in the boundary": (a.BOUNDARY, bounded('boundary="b\xe9"', "--b\xe9\n\nx\n--b\xe9--\n")),
    "NUL in the boundary": (a.BOUNDARY, bounded('boundary="b\0c"')),
    "a quoted pair in the boundary": (a.BOUNDARY, bounded('boundary="\\b"')),
    "a boundary that ends in a blank": (a.BOUNDARY, bounded('boundary="b "')),
    "a boundary that begins with a blank": (a.BOUNDARY, bounded('boundary=" b"')),
    "a boundary without its second quote": (a.BOUNDARY, bounded('boundary="b')),
    "a boundary with words behind its quotes": (a.BOUNDARY, bounded('boundary="b"c')),
    "a boundary of two words": (a.BOUNDARY, bounded("boundary=b c")),
    "a boundary with a parameter glued on": (a.BOUNDARY, bounded("boundary=b charset=utf-8")),
    "a comment before the boundary": (a.BOUNDARY, bounded("(boundary=c;) boundary=b")),
    "a comment behind the boundary": (a.BOUNDARY, bounded("boundary=b(c)")),
    "a comment before the equals sign": (a.BOUNDARY, bounded("boundary(c)=b")),
    "a boundary in another parameter": (a.BOUNDARY, bounded('x="; boundary=c"', OTHERS)),
    # -- delimiters
    "parts behind the close delimiter": (a.BOUNDARY, bounded("boundary=b", f"--b\n{TEXT}\n--b--\n--b\n{EXE}\n--b--\n")),
    "a header right behind the close delimiter": (a.BOUNDARY, bounded("boundary=b", f"--b\n{TEXT}\n--b--\n{EXE}\n")),
    "a delimiter with more behind it": (a.BOUNDARY, bounded("boundary=b", f"--b\n{TEXT}\n--bx\n{EXE}\n--b--\n")),
    "the same with another field first": (
        a.BOUNDARY,
        bounded("boundary=b", f"--b\n{TEXT}\n--bx\nX: y\n{EXE}\n--b--\n"),
    ),
    "a close delimiter with more behind it": (a.BOUNDARY, bounded("boundary=b", f"--b\n{TEXT}\n--b--x\n--b\n{EXE}\n")),
    "a delimiter behind a bare CR": (a.BOUNDARY, bounded("boundary=b", f"--b\n{TEXT}\r--b\n{EXE}\n--b--\n")),
    "a delimiter before a bare CR": (a.BOUNDARY, bounded("boundary=b", f"--b\n{TEXT}\n--b\r{EXE}\n--b--\n")),
    "an inner delimiter outside its multipart": (
        a.BOUNDARY,
        nested(
            "b",
            "bx",
            "--OUTER\nContent-Type: multipart/mixed; boundary=INNER\n\n--INNER\n\nx\n--INNER--\n"
            f"--OUTER\n{TEXT}\n--INNER\n{EXE}\n--OUTER--\n",
        ),
    ),
    "more such lines than are looked at": (
        a.BOUNDARY,
        bounded("boundary=b", "--bx\nContent-Type: a/b\n" * 3000 + PARTS),
    ),
    # -- transfer encodings
    "two encodings": (
        a.TRANSFER_ENCODING,
        part("Content-Type: a/b\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64"),
    ),
    "two encodings in one field": (a.TRANSFER_ENCODING, part("Content-Transfer-Encoding: base64 7bit")),
    "a comment before the encoding": (a.TRANSFER_ENCODING, part("Content-Transfer-Encoding: (x) base64")),
    "a list of encodings": (a.UNKNOWN_ENCODING, part("Content-Transfer-Encoding: base64, 7bit")),
    "a quoted encoding": (a.UNKNOWN_ENCODING, part('Content-Transfer-Encoding: "base64"')),
    "an encoding nobody knows": (a.UNKNOWN_ENCODING, part("Content-Transfer-Encoding: x-gzip64")),
    "yEnc for an encoding": (a.UNKNOWN_ENCODING, part("Content-Transfer-Encoding: x-yenc")),
    "an encoding misspelt": (a.UNKNOWN_ENCODING, part("Content-Transfer-Encoding: quoted printable")),
    "an encoding some know": (a.UNKNOWN_ENCODING, part("Content-Transfer-Encoding: x-base64")),
    "an encoded multipart": (
        a.ENCODED_MULTIPART,
        mixed("multipart/mixed; boundary=b", PARTS, "Content-Transfer-Encoding: base64"),
    ),
    "a quoted-printable multipart": (
        a.ENCODED_MULTIPART,
        mixed("multipart/mixed; boundary=b", PARTS, "Content-Transfer-Encoding: quoted-printable"),
    ),
    "an encoded message": (
        a.ENCODED_MESSAGE,
        part("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64", "U3ViamVjdDogeA0KDQp5"),
    ),
    "an encoded fragment": (
        a.ENCODED_MESSAGE,
        part("Content-Type: message/partial; id=x; number=1\nContent-Transfer-Encoding: quoted-printable", "x"),
    ),
    # -- base64
    "two pieces of base64": (a.BASE64_BEHIND_PADDING, encoded("JVBERi0=\nTVqQAAMA")),
    "base64 behind padding in its line": (a.BASE64_BEHIND_PADDING, encoded("JVBERi0=TVqQAAMA")),
    "padding within a group": (a.BASE64_BEHIND_PADDING, encoded("JV=BERi0")),
    "named text that goes on": (a.BASE64_BEHIND_PADDING, encoded("aGVsbG8=\nTVqQAAMA", "text/plain; name=a.txt")),
    "text that goes on in base64": (a.BASE64_BEHIND_PADDING, encoded("aGVsbG8=\nTVqQAAMAAAAEAAAA", "text/html")),
    "other characters in base64": (a.BASE64_WITH_OTHERS, encoded("JVBE!Ri0t")),
    "the URL alphabet in base64": (a.BASE64_WITH_OTHERS, encoded("JVBE-_0t")),
    # -- names
    "two names": (a.FILE_NAME, named("filename=a.exe", "image/png; name=a.png")),
    "the same parameter twice": (a.FILE_NAME, named("filename=a.pdf; filename=a.exe")),
    "a name plain and in RFC 2231 form": (a.FILE_NAME, named("filename=a.pdf; filename*=utf-8''a.exe")),
    "two pieces with one number": (a.FILE_NAME, named("filename*0=a.pdf; filename*0=b.exe")),
    "a whole name beside its pieces": (a.FILE_NAME, named("filename*=utf-8''a.pdf; filename*0=b.exe")),
    "a piece that misses": (a.FILE_NAME, named("filename*0=a.exe; filename*2=.pdf")),
    "a name that should be quoted": (a.FILE_NAME, named("filename=a.exe of me.pdf")),
    "a name without its second quote": (a.FILE_NAME, named('filename="a.exe; x=.pdf')),
    "a name with more behind its quotes": (a.FILE_NAME, named('filename="a.exe".pdf')),
    "NUL in a name": (a.FILE_NAME, named("filename*=utf-8''a.exe%00.pdf")),
    "NUL in an encoded-word": (a.FILE_NAME, named('filename="=?utf-8?q?a.exe=00.pdf?="')),
    "a dot at the end of a name": (a.FILE_NAME, named("filename=\"a.exe.\"; filename*=utf-8''a.pdf")),
    "unseen characters in a name": (a.FILE_NAME, named("filename*=utf-8''a.e%E2%80%8Bxe; filename=a.pdf")),
    "two dispositions": (
        a.DISPOSITION,
        part("Content-Disposition: inline; filename=a.pdf\nContent-Disposition: attachment; filename=a.exe"),
    ),
    # -- files in the text
    "uuencode": (a.UUENCODE, message(body=f"Hi\r\nbegin 644 a.exe\r\n{UU}`\r\nend\r\n")),
    "uuencode without an end": (a.UUENCODE, message(body=f"begin 755 a.exe\n{UU}")),
    "uuencode behind blank lines": (a.UUENCODE, message(body=f"begin 644 a.exe\n\n\r\n{UU}")),
    "uuencode in base64's clothes": (a.UUENCODE, message(body="begin-base64 644 a.exe\nTVqQAAM=\n====\n")),
    "uuencode behind prose that resembles it": (
        a.UUENCODE,
        message(body=f"begin 644 files at home\nnow\nbegin 644 a.exe\n{UU}"),
    ),
    "uuencode in text said to be quoted-printable": (
        a.UUENCODE,
        message("Content-Transfer-Encoding: quoted-printable", body=f"begin 644 a.exe\nM=20=4D{UU}"),
    ),
    "uuencode in text said to be base64": (
        a.UUENCODE,
        message("Content-Transfer-Encoding: base64", body=f"aGk=\nbegin 644 a.exe\n{UU}"),
    ),
    "uuencode in quoted-printable": (
        a.UUENCODE,
        message("Content-Transfer-Encoding: quoted-printable", body=f"begin=20644=20a.exe\n{UU.replace('=', '=3D')}"),
    ),
    "uuencode in an attached text": (
        a.UUENCODE,
        multipart(TEXT, f"Content-Type: text/plain\nContent-Disposition: attachment\n\nbegin 644 a.exe\n{UU}"),
    ),
    "a file with blanks behind soft breaks (clamd takes the break for text)": (
        a.QUOTED_WITH_BLANKS,
        part("Content-Type: a/b\nContent-Transfer-Encoding: quoted-printable", "ab= \ncd"),
    ),
    "yEnc": (a.YENC, message(body="=ybegin line=128 size=12 name=a.exe\r\n)*+,-\r\n=yend size=12\r\n")),
    "yEnc in parts": (a.YENC, message(body="=ybegin part=1 line=128 size=9 name=a\n=ypart begin=1 end=9\n)*+\n")),
    "BinHex": (
        a.BINHEX,
        message(body='(This file must be converted with BinHex 4.0)\r\n\r\n:#R0KEA"XC5jdH(3!-J!!N!2@!*!%!3!:\r\n'),
    ),
}

HONEST: dict[str, bytes] = {
    "a plain message": message(),
    "nothing but parts": multipart(TEXT, EXE),
    "a boundary with blanks inside, quoted": multipart(TEXT, EXE, boundary="gc0p4Jq0M2Yt08jU534c0p Xy z"),
    "a boundary that should be quoted": bounded("boundary=----=_Part_1/2:3.4", "------=_Part_1/2:3.4\n\nx\n"),
    "a boundary in capitals": bounded('BOUNDARY="b"; charset=utf-8', PARTS),
    "a boundary called boundary": bounded('boundary="boundary=_b"', "--boundary=_b\n\nx\n--boundary=_b--\n"),
    "brackets in another parameter": bounded('boundary=b; start="<a(1)@x>"', PARTS),
    "an inner boundary that goes on from the outer one": nested(
        "_==",
        "_==.REL",
        "--OUTER\nContent-Type: multipart/related; boundary=INNER\n\n--INNER\nContent-Type: text/html\n\nx\n"
        f"--INNER\n{EXE}\n--INNER--\n\n--OUTER\n{EXE}\n--OUTER--\n",
    ),
    "an inner boundary that is the beginning of the outer one": nested(
        "bx",
        "b",
        f"--OUTER\nContent-Type: multipart/related; boundary=INNER\n\n--INNER\n{TEXT}\n--INNER--\n--OUTER\n{EXE}\n--OUTER--\n",
    ),
    "hyphens below hyphens": multipart("\nSELECT 1\n--b1 and then\nall of it\n--b12\nend", boundary="b1"),
    "a header of text behind the close delimiter": bounded(
        "boundary=b", f"--b\n{TEXT}\n--b--\nContent-Type: text/plain\n\n"
    ),
    "a list's footer behind the close delimiter": bounded("boundary=b", f"--b\n{TEXT}\n--b--\n\n____\nOur list: us\n"),
    "a multipart without a body": mixed("multipart/alternative; boundary=b", ""),
    "a multipart cut short": mixed("multipart/mixed; boundary=b", f"--b\n{TEXT}\n--b\nContent-Type: image/pn"),
    "text called a multipart": mixed("multipart/mixed; boundary=b", "Dear all,\n\n-- \nCarol\n"),
    "text with a boundary and no delimiter": mixed("text/plain; boundary=b", "Dear all"),
    "a missing semicolon in text": mixed("text/html charset=utf-8", "<p>x"),
    "the same type twice": part("Content-Type: a/b\nContent-Type:  a/b"),
    "a folded line of blanks in plain mail": message(
        "To: a@b.example,\r\n \r\n c@d.example", "Content-Type: text/plain"
    ),
    "the same with HTML beside it": multipart(TEXT, "Content-Type: text/html\n\n<p>", fields=("X: y\r\n ",)),
    "a broken line in plain mail": message("Subject: a", "b", "Content-Type: text/plain; charset=utf-8"),
    "a comment behind the encoding": part("Content-Type: a/b\nContent-Transfer-Encoding: base64 (ok)"),
    "a semicolon behind the encoding": part("Content-Type: a/b\nContent-Transfer-Encoding: base64;"),
    "capitals in the encoding": part("Content-Type: a/b\nContent-Transfer-Encoding: BASE64"),
    "an empty encoding": message("Content-Transfer-Encoding:"),
    "a charset for an encoding": message("Content-Transfer-Encoding: utf-8"),
    "a slip for an encoding": message("Content-Transfer-Encoding: 8bits"),
    "a multipart in 8bit": mixed("multipart/mixed; boundary=b", PARTS, "Content-Transfer-Encoding: 8bit"),
    "an attached message": part("Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit", "Subject: x\n\ny"),
    "an international message, encoded": part("Content-Type: message/global\nContent-Transfer-Encoding: base64"),
    "an encoded report": part("Content-Type: message/delivery-status\nContent-Transfer-Encoding: quoted-printable"),
    "blanks at the end of a line of quoted-printable": part(
        "Content-Type: a/b\nContent-Transfer-Encoding: quoted-printable", "a=\nb \n=3D \n"
    ),
    "base64 without its padding": encoded("JVBERi0"),
    "blank lines behind padding": encoded("JVBERi0=\n\n \n"),
    "a footer behind text in base64": message(
        "Content-Transfer-Encoding: base64", body="aGVsbG8=\n____\nOur list: us at x.example\n"
    ),
    "a name without an extension beside it": named("filename=a.pdf", "application/pdf; name=a"),
    "two spellings of an extension": named("filename=a.JPG", "image/jpeg; name=a.jpeg"),
    "two names of one kind": named("filename=a.pdf", "application/pdf; name=b.pdf"),
    "a date in a name": named("filename=12.03.2026 letter.pdf"),
    "a version in a name": named("filename=\"report 1.2\"; filename*=utf-8''report%201.2.pdf"),
    "a name with blanks that should be quoted": named("filename=my file (1).pdf"),
    "a name in pieces": named("filename*0=a.p; filename*1=df"),
    "a name in pieces that begin with one": named("filename*1=a.p; filename*2=df"),
    "prose that begins": message(body="begin 644 a.exe\nand go on\nbegin 7 days later\nend\n"),
    "quoted uuencode": message(body=f"> begin 644 a.exe\n> {UU}"),
    "a talk about yEnc": message(body="It says =ybegin line=128 name=x\n=ybegin is how it begins\n"),
    "a talk about BinHex": message(body="(This file must be converted with BinHex 4.0)\nsays the first line.\n"),
}


def found(content: bytes) -> set[str]:
    return set(parse(content).defects) & set(a.AMBIGUOUS)


@pytest.mark.parametrize(("defect", "content"), CASES.values(), ids=CASES)
def test_what_programs_read_differently_is_ambiguous(defect: str, content: bytes) -> None:
    assert defect in found(content), parse(content).defects


@pytest.mark.parametrize("content", HONEST.values(), ids=HONEST)
def test_what_honest_programs_write_is_not(content: bytes) -> None:
    assert not found(content)


def test_every_ambiguity_has_a_case() -> None:
    assert {defect for defect, _ in CASES.values()} == set(a.AMBIGUOUS)


def test_fifty_other_defects_do_not_hide_an_ambiguity() -> None:
    noise = "".join(f"Content-{n}: a\nContent-{n}: b\n" for n in range(60))
    content = multipart(f"{noise}\nx", "Content-Type: a/b; name=a.pdf\nContent-Disposition: x; filename=a.exe\n\nx")
    assert found(content) == {a.FILE_NAME}


FLOODS = {
    "begins": message(body=b"begin 644 x\n" * 400_000),
    "begins and blanks": message(body=b"begin 644 x\n" + b"\n" * 4_000_000),
    "ybegins": message(body=b"=ybegin " * 500_000),
    "binhex": message(body=b"(This file must be converted with BinHex\n" * 100_000),
    "glued base64": encoded("A=" * 2_000_000),
    "padding": encoded("A" + "=" * 4_000_000 + "A"),
    "comments": bounded("boundary=b" + "(" * 200_000),
    "quotes": bounded('boundary=b; x="' + '"' * 200_000),
    "blanks": bounded("boundary=b; x=" + " " * 200_000),
    "semicolons and blanks": bounded(";" + " " * 100_000 + ";" + "\t" * 100_000),
    "lines that are no field": message(*(["no", "X: y"] * 900)),
    "fields that are none": message(body=b"Content-Type" * 400_000),
    "delimiters that are none": bounded("boundary=b", "--bx\nX: y\n" * 9_000 + PARTS),
    "multiparts full of those": mixed(
        "multipart/mixed; boundary=b",
        "".join(
            f"--b\nContent-Type: multipart/mixed; boundary=c{n}x\n\n" + f"--c{n}xy\nX: {'y' * 90}\n" * 2_000
            for n in range(20)
        ),
    ),
}


@pytest.mark.parametrize("content", FLOODS.values(), ids=FLOODS)
def test_looking_for_ambiguity_costs_linear_time(content: bytes) -> None:
    begun = time.process_time()
    with contextlib.suppress(TooComplex):
        parse(content)
    assert time.process_time() - begun < 1.5
