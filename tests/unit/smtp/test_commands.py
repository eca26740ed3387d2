"""The arguments of MAIL and RCPT."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.outcome import Reason
from gateway.smtp.commands import BadCommand, MailCommand, read_mail, read_rcpt


@pytest.mark.parametrize(
    ("argument", "command"),
    [
        ("FROM:<>", MailCommand(None, 0, smtputf8=False)),
        ("from: <a@b.test>", MailCommand("a@b.test", 0, smtputf8=False)),
        ("FROM:\t<a@B.TEST>  SIZE=12\tBODY=7BIT", MailCommand("a@b.test", 12, smtputf8=False)),
        ("FROM:<a@b.test> SIZE=0012 SMTPUTF8", MailCommand("a@b.test", 12, smtputf8=True)),
        ('FROM:<"a> b"@c.test> SIZE=1', MailCommand('"a> b"@c.test', 1, smtputf8=False)),
        ("FROM:<> SMTPUTF8 BODY=8BITMIME", MailCommand(None, 0, smtputf8=True)),
        ("FROM:<ü@b.test> SMTPUTF8", MailCommand("ü@b.test", 0, smtputf8=True)),
    ],
)
def test_mail_is_read(argument: str, command: MailCommand) -> None:
    assert read_mail(argument) == command


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("", Reason.BAD_SYNTAX),
        ("FROM", Reason.BAD_SYNTAX),
        ("FROM <a@b.test>", Reason.BAD_SYNTAX),
        ("TO:<a@b.test>", Reason.BAD_SYNTAX),
        ("FROM:a@b.test", Reason.BAD_SYNTAX),
        ("FROM:<<a@b.test>>", Reason.BAD_SYNTAX),
        ('FROM:<"a@b.test>', Reason.BAD_SYNTAX),
        ("FROM:<a@b.test>X", Reason.BAD_SYNTAX),
        ("FROM:<a@b.test> SIZE", Reason.BAD_PARAMETER),
        ("FROM:<a@b.test> SIZE=1e3", Reason.BAD_PARAMETER),
        ("FROM:<a@b.test> SIZE=²", Reason.BAD_PARAMETER),
        ("FROM:<a@b.test> SIZE=" + "9" * 21, Reason.BAD_PARAMETER),
        ("FROM:<a@b.test> BODY=", Reason.BAD_PARAMETER),
        ("FROM:<a@b.test> =", Reason.BAD_PARAMETER),
        ("FROM:<a@b.test> RET=FULL", Reason.BAD_PARAMETER),
        ("FROM:<a@>", Reason.BAD_SENDER),
        ("FROM:<a>", Reason.BAD_SENDER),
        ("FROM:<ü@b.test>", Reason.SMTPUTF8_NEEDED),
        ("FROM:<\udcff@b.test> SMTPUTF8", Reason.SMTPUTF8_NEEDED),
    ],
)
def test_bad_mail_says_why(argument: str, reason: Reason) -> None:
    with pytest.raises(BadCommand) as caught:
        read_mail(argument)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("TO:<>", Reason.BAD_RECIPIENT),
        ("TO:<a@b.test> X=1", Reason.BAD_PARAMETER),
        ("TO:a@b.test", Reason.BAD_SYNTAX),
        ("TO:<ü@b.test>", Reason.SMTPUTF8_NEEDED),
    ],
)
def test_bad_rcpt_says_why(argument: str, reason: Reason) -> None:
    with pytest.raises(BadCommand) as caught:
        read_rcpt(argument, smtputf8=False)
    assert caught.value.reason is reason


def test_rcpt_is_read_without_being_judged() -> None:
    assert read_rcpt("to: <@route:x%y@z>", smtputf8=False) == "@route:x%y@z"
    assert read_rcpt("TO:<postmaster>", smtputf8=False) == "postmaster"
    assert read_rcpt("TO:<ü@b.test>", smtputf8=True) == "ü@b.test"


@given(st.text(max_size=60))
def test_no_argument_is_more_than_refused(text: str) -> None:
    for argument in (text, f"FROM:{text}", f"FROM:<{text}>", f"FROM:<a@b.test> {text}", f"TO:<{text}>"):
        for read in (read_mail, lambda a: read_rcpt(a, smtputf8=True)):
            with contextlib.suppress(BadCommand):
                read(argument)
