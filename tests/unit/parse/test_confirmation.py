"""Google's forwarding confirmation in the forms that were seen; addresses and codes are made up."""

from __future__ import annotations

import base64

import pytest

from gateway.parse import parse
from gateway.parse.confirmation import read_confirmation
from tests.unit.parse.shapes import message

VF = "https://mail-settings.google.com/mail/vf-%5BANGjdJ_8xyz%5D-Ab1_c"
UF = "https://mail-settings.google.com/mail/uf-%5BANGjdJ_8xyz%5D-Ab1_d"
BODY = f"a@gmail.com has requested.\r\nConfirmation code: 99427480\r\n\r\nTo confirm:\r\n{VF}\r\n\r\nTo cancel:\r\n{UF}\r\n"


def encoded(subject: str) -> str:
    return f"Subject: =?utf-8?B?{base64.b64encode(subject.encode()).decode()}?="


@pytest.mark.parametrize(
    ("subject", "asked_by", "code"),
    [
        ("(#99427480) Gmail Forwarding Confirmation - Receive Mail from a@gmail.com", "a@gmail.com", "99427480"),
        (
            "（#745359589）Gmail の転送の確認 - a@gmail.com からメールを受信",
            "a@gmail.com",
            "745359589",
        ),  # as Google writes it
        ("（＃７４５３５９５８９）Gmail の転送の確認 - a@gmail.com", "a@gmail.com", "745359589"),
        (
            "Confirmación de reenvío de 123456789 (n.º Gmail) - Recibir correo de a@gmail.com",
            "a@gmail.com",
            "123456789",
        ),
        ("Gmail Forwarding Confirmation - Receive Mail from a@gmail.com)", "a@gmail.com", ""),
        ("Forwarding Confirmation - Receive Mail from 12345678@qq.example", "12345678@qq.example", ""),
        ("(#1234567) seven, (#1234567890) ten digits - a@gmail.com", "a@gmail.com", ""),
    ],
)
def test_who_asks_and_the_code_are_read_from_every_subject(subject: str, asked_by: str, code: str) -> None:
    found = read_confirmation(parse(message(encoded(subject), body="x\r\n")))
    assert (found.asked_by, found.code) == (asked_by, code)


@pytest.mark.parametrize(
    "link", [VF, VF.replace("mail-settings.", "mail."), VF.replace("%5B", "[").replace("%5D", "]")]
)
def test_the_link_is_the_one_that_confirms(link: str) -> None:
    found = read_confirmation(parse(message("Subject: x", body=BODY.replace(VF, f"{link}."))))
    assert found.link == link
    assert found.asked_by == "a@gmail.com"


def test_a_text_in_base64_is_read_as_well() -> None:
    fields = ("Subject: x", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64")
    assert read_confirmation(parse(message(*fields, body=base64.encodebytes(BODY.encode())))).link == VF


@pytest.mark.parametrize(
    "link",
    [
        UF,
        VF.replace("mail-settings.google.com", "mail-settings.google.com.evil.example"),
        VF.replace("mail-settings.google.com", "evil.example/mail-settings.google.com"),
        VF.replace("https://", "https://user@"),
        VF.replace("https", "http"),
        VF.replace("/mail/vf-", "/mail/x/vf-"),
    ],
)
def test_no_other_link_is_shown(link: str) -> None:
    assert read_confirmation(parse(message("Subject: x", body=f"click {link} now\r\n"))).link == ""
