"""What comes to the reverse-path of a challenge: reports of new and of old servers, and absence notices."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shapes import envelope

from gateway.parse import parse
from gateway.verify.challenge_report import remark_on_report

PLAIN = b"From: MAILER-DAEMON@acme.test\r\nSubject: failure notice\r\n%s\r\n\r\n%s\r\n"
REPORT = (
    b"From: postmaster@acme.test\r\nSubject: Undeliverable\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
    b"--b\r\nContent-Type: message/delivery-status\r\nContent-Transfer-Encoding: %s\r\n\r\n%s\r\n--b--\r\n"
)
STATUS = b"Reporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; y@z\r\nAction: failed\r\nStatus: 5.7.520\r\n"
IN_BASE64 = b"U3RhdHVzOiA1LjcuNTIwDQo="


def said(content: bytes, reverse_path: str | None = None) -> str:
    return remark_on_report(replace(envelope(content), reverse_path=reverse_path), parse(content)).code


@pytest.mark.parametrize("status", [REPORT % (b"7bit", STATUS), REPORT % (b"base64", IN_BASE64)])
@pytest.mark.parametrize("reverse_path", [None, "postmaster@acme.test"])
def test_the_machines_part_of_a_report_is_read_whatever_its_text_says(status: bytes, reverse_path: str | None) -> None:
    assert said(status, reverse_path) == "external-forwarding-forbidden"


def test_a_report_of_an_old_server_is_plain_text_from_the_null_reverse_path() -> None:
    assert said(PLAIN % (b"X: y", b"<y@z>: 550 5.1.1 no such user")) == "no-such-mailbox"


@pytest.mark.parametrize("reverse_path", [None, "support@acme.test"])
def test_an_absence_notice_is_no_bounce_though_its_reverse_path_be_null(reverse_path: str | None) -> None:
    """RFC 5230 section 5.1 has vacation answers sent from the null reverse-path."""
    notice = PLAIN % (b"Auto-Submitted: auto-replied (vacation)", b"I am away until 5.1.1 o'clock")
    assert said(notice, reverse_path) == "answered-automatically"


def test_what_a_person_writes_to_it_is_no_bounce_either() -> None:
    assert said(PLAIN % (b"X: y", b"550 5.1.1"), "carol@customer.test") == "answered-automatically"
