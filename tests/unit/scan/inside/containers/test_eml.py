"""What lies in an attached message."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest

from gateway.parse.limits import PARTS
from gateway.scan.inside.containers import eml
from gateway.scan.inside.entry import Budget
from tests.unit.scan.inside.containers.reading import names, read, share_of

HEADER = b"From: a@customer.example\r\nTo: b@shop.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n"


def leaf(fields: str, body: bytes) -> bytes:
    return fields.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


def mixed(*parts: bytes, header: bytes = HEADER, boundary: bytes = b"B") -> bytes:
    lines = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return (
        header + b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n" + lines + b"--" + boundary + b"--"
    )


TEXT = leaf("Content-Type: text/plain", b"hello")
EXE = leaf(
    'Content-Type: application/pdf; name="a.pdf"\nContent-Transfer-Encoding: base64\n'
    'Content-Disposition: attachment; filename="a.exe"',
    base64.b64encode(b"MZ\x90\0"),
)


def test_files_are_given_decoded_and_shown_text_is_not_one():
    found, reason = read(eml, mixed(TEXT, leaf("Content-Type: image/gif; name=a.gif", b"GIF89a")))
    assert ([(e.name, e.content) for e in found], reason) == ([("a.gif", b"GIF89a")], "")


def test_text_that_is_attached_is_a_file():
    attached = leaf("Content-Type: text/html\nContent-Disposition: attachment; filename=a.html", b"<script>x</script>")
    assert names(eml, mixed(TEXT, attached)) == ["a.html"]


def test_a_file_with_names_of_different_types_is_given_under_each():
    found, reason = read(eml, mixed(TEXT, EXE))
    assert [(e.name, e.content) for e in found] == [("a.exe", b"MZ\x90\0"), ("a.pdf", b"MZ\x90\0")]
    assert reason == "ambiguous structure of an attached message"  # programs read the name differently


def test_a_message_in_the_message_is_one_file_for_the_walk_to_enter():
    inner = mixed(TEXT, EXE, boundary=b"inner")
    found, reason = read(eml, mixed(TEXT, leaf("Content-Type: message/rfc822; name=fwd.txt", inner)))
    assert ([e.name for e in found], reason) == (["fwd.txt", "fwd.txt.eml"], "")
    assert found[0].content == inner


def test_a_message_too_bare_to_be_known_by_its_content_is_entered_here():
    """Mail programs go by the declared type, so a header of one field hides nothing."""
    bare = b"Content-Type: application/octet-stream; name=a.exe\r\n\r\nMZ"
    found, reason = read(eml, mixed(TEXT, leaf("Content-Type: message/rfc822", bare)))
    assert ([e.name for e in found], reason) == (["part 2.eml", "a.exe"], "")
    assert found[1].content == b"MZ"


def test_bare_messages_in_bare_messages_end():
    inner = b"X: y\r\n\r\nhello"
    for _ in range(20):
        inner = b"Content-Type: message/rfc822\r\n\r\n" + inner
    _, reason = read(eml, inner)
    assert reason == "more than 5 containers within each other"


def test_a_leaf_without_a_name_has_one_of_its_declared_type():
    assert names(eml, mixed(TEXT, leaf("Content-Type: application/zip", b"PK"))) == ["part 2.zip"]


def test_a_fragment_of_a_message_cannot_be_judged():
    part = leaf("Content-Type: message/partial; id=x; number=1; total=2", b"From: a@b.example\r\n\r\nTVqQ")
    found, reason = read(eml, mixed(TEXT, EXE.replace(b"a.pdf", b"b.exe"), part))
    assert reason == "a fragment of a message"
    assert "a.exe" in [e.name for e in found]


AMBIGUOUS = {
    "two types": leaf("Content-Type: text/plain\nContent-Type: text/html", b"x"),
    "two encodings": leaf("Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit", b"TVqQ"),
    "an unknown encoding": leaf("Content-Type: image/png; name=a.png\nContent-Transfer-Encoding: zip", b"x"),
    "an encoded multipart": leaf(
        "Content-Type: multipart/mixed; boundary=C\nContent-Transfer-Encoding: base64", b"--C\r\n\r\nx\r\n--C--"
    ),
    "two boundaries": leaf("Content-Type: multipart/mixed; boundary=C; boundary=D", b"--C\r\n\r\nx\r\n--C--"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_structure_that_programs_read_differently_cannot_be_judged(case: str):
    gif = leaf("Content-Type: image/gif; name=a.gif", b"GIF89a")
    found, reason = read(eml, mixed(TEXT, gif, AMBIGUOUS[case]))
    assert reason == "ambiguous structure of an attached message"
    assert "a.gif" in [e.name for e in found]


@pytest.mark.parametrize("name", [b"GIF89a", b"MZ", b"ID3", b"%PDF-1.4", b"{\\rtf1", b"BZh91AY&SY"])
def test_clamd_took_a_message_for_a_picture_whose_first_field_was_called_like_one(name: bytes) -> None:
    found, reason = read(eml, mixed(TEXT, EXE, header=name + b": x\r\n" + HEADER))
    assert {entry.name for entry in found} == {"a.pdf", "a.exe"}
    assert reason == "a message that begins like another file"


def test_an_author_that_cannot_be_told_is_no_ambiguous_structure():
    """Returned messages often have such; who wrote an attached message proves nothing anyway."""
    header = b"From: MAILER-DAEMON\r\nFrom: a@b.example, c@d.example\r\nSubject: x\r\n"
    assert names(eml, mixed(TEXT, header=header)) == []


def test_a_message_over_the_limits_of_the_parser_names_the_limit():
    _, reason = read(eml, mixed(*[TEXT] * (PARTS + 1)))
    assert reason == f"body parts: more than {PARTS}"


def test_real_messages_are_read_as_mail_is(corpora: Path):
    found = sorted((corpora / "messages").rglob("*.eml"))
    assert found
    for path in found:
        read(eml, path.read_bytes())


def test_more_files_than_may_be_is_given_up():
    content = mixed(*[leaf("Content-Type: image/gif; name=a.gif", b"GIF89a")] * 20)
    found, reason = read(eml, content, share_of(content, Budget(time.monotonic() + 30, files=5)))
    assert len(found) == 5
    assert "files" in reason
