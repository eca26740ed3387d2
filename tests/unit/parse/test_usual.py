"""What is written as everybody writes it costs no second scan; what clamd was seen to take apart otherwise has one."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from gateway.core.ambiguity import ambiguity_of
from gateway.core.errors import TooComplex
from gateway.parse import parse
from gateway.parse.usual import UNUSUAL

FILE = "Content-Type: a/b\nContent-Transfer-Encoding: base64\n\nAAAA"


def mixed(part: str, preamble: str = "", behind: str = "") -> bytes:
    head = "From: a@customer.example\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    text = "Content-Type: text/plain; charset=utf-8\n\nhello"
    return f"{head}{preamble}--b\n{text}\n--b{behind}\n{part}\n--b--\n".replace("\n", "\r\n").encode()


SEEN: dict[str, bytes] = {
    "a quotation mark too many": mixed('Content-Disposition: attachment; filename=a.pdf"\n' + FILE),
    "a semicolon at the end, and clamd took the next field for a parameter": mixed(
        "Content-Type: a/b; name=a;\nContent-Transfer-Encoding: base64\n\nAAAA"
    ),
    "a quoted pair": mixed('Content-Type: a/b; name="a\\"b"\nContent-Transfer-Encoding: base64\n\nAAAA'),
    "a comment": mixed("Content-Type: a/b (c)\nContent-Transfer-Encoding: base64\n\nAAAA"),
    "an encoding from before MIME": mixed("Content-Type: a/b\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n"),
    "an encoding with more behind it": mixed("Content-Type: a/b\nContent-Transfer-Encoding: base64 x\n\nAAAA"),
    "small hexadecimal digits": mixed("Content-Type: a/b\nContent-Transfer-Encoding: quoted-printable\n\n=3d"),
    "a sign that encodes nothing": mixed("Content-Type: a/b\nContent-Transfer-Encoding: quoted-printable\n\n=x"),
    "text in which a file may begin": mixed(f"Content-Type: text/plain\n\nhello\nbegin 644 a\n--b\n{FILE}"),
    "text that looks like a header": mixed(f"Content-Type: text/plain\n\nx\nContent-Type: a/b\n--b\n{FILE}"),
    "a preamble that looks like a header": mixed(FILE, preamble="Content-Type: a/b\n"),
    "a preamble that begins a file": mixed(FILE, preamble="begin 644 a\n"),
    "a tab behind the boundary": mixed(FILE, behind="\t"),
    "no header": mixed("\nAAAA"),
}


@pytest.mark.parametrize("content", SEEN.values(), ids=SEEN)
def test_what_clamd_took_apart_otherwise_is_unusual(content: bytes) -> None:
    assert UNUSUAL in parse(content).defects


def test_what_python_writes_is_usual() -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@customer.example", "x"
    mail.set_content("Hé = so\n")
    mail.add_alternative("<p>Hé</p>\n", subtype="html")
    mail.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="Übersicht (1).pdf")
    mail.add_attachment(mail.get_body().as_bytes(), maintype="application", subtype="octet-stream", filename="x.eml")  # type: ignore[union-attr]
    assert parse(mail.as_bytes().replace(b"\n", b"\r\n")).defects == ()


def test_the_usual_words_before_the_first_part_are_usual() -> None:
    words = "This is a multi-part message in MIME format. Your mail reader does not\nunderstand it.\n\n"
    assert parse(mixed(FILE, preamble=words)).defects == ()


def test_most_real_mail_with_files_is_usual(corpora: Path) -> None:
    usual: list[bool] = []
    for path in sorted((corpora / "messages").rglob("*.eml")):
        try:
            message = parse(path.read_bytes())
        except TooComplex:
            continue
        if any(p.is_attachment for p in message.parts) and not ambiguity_of(message.defects):
            usual.append(UNUSUAL not in message.defects)
    assert len(usual) > 20
    assert sum(usual) / len(usual) > 0.7
