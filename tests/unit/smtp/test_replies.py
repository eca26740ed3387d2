"""THE table of replies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway
from gateway.core.outcome import Accepted, Deferred, Parked, Reason, Refused
from gateway.smtp import replies
from gateway.smtp.replies import TABLE, Reply, final_reply, reply_for

TRACE = "7F3KQ2MXA5BTW6DR"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_reply_that_checks_itself(reason: Reason) -> None:
    reply = reply_for(reason, trace_id=TRACE)
    assert re.fullmatch(rf"{reply.code} [245]\.\d\.\d{{1,2}} {TRACE} [ -~]+", str(reply))


def test_no_row_is_without_a_reason() -> None:
    assert set(TABLE) == set(Reason)


def test_no_reason_is_unused() -> None:
    root = Path(gateway.__file__).parent
    ours = [p for p in root.rglob("*.py") if p.name not in ("outcome.py", "replies.py")]
    code = "\n".join(p.read_text() for p in ours)
    assert [r.name for r in Reason if not re.search(rf"Reason\.{r.name}\b", code)] == []


def test_no_text_tells_of_our_insides() -> None:
    inside = re.compile(
        r"sql|postgres|database|clam|redis|python|exception|traceback|/|\bdisk\b|timeout", re.IGNORECASE
    )
    constants = [v for v in vars(replies).values() if isinstance(v, Reply)]
    for text in [row[2] for row in TABLE.values()] + [c.text for c in constants]:
        assert not inside.search(text), text


@pytest.mark.parametrize("text", ["Grüße", "two\nlines", "two\r\n250 OK", "bell\a", "nul\0", "x" * 401])
def test_a_reply_is_one_line_of_ascii(text: str) -> None:
    with pytest.raises(ValueError):
        Reply(250, "2.0.0", text)


@pytest.mark.parametrize(("code", "enhanced"), [(250, "5.0.0"), (550, "2.0.0"), (451, "5.3.0"), (199, ""), (600, "")])
def test_a_reply_whose_codes_disagree_is_none(code: int, enhanced: str) -> None:
    with pytest.raises(ValueError):
        Reply(code, enhanced, "text")


@given(st.text())
def test_words_of_others_are_washed(text: str) -> None:
    line = str(reply_for(Reason.ATTACHMENT, text, TRACE))
    assert line.isascii()
    assert line.isprintable()
    assert len(line) + 2 <= 512
    assert line.startswith(f"550 5.6.1 {TRACE} ")


@pytest.mark.parametrize("reason", list(Reason))
def test_5xx_comes_from_refused_4xx_from_deferred_and_nothing_kept_is_either(reason: Reason) -> None:
    code = TABLE[reason][0]
    for outcome, klass in ((Refused(reason), 5), (Deferred(reason), 4)):
        if code // 100 == klass:
            assert final_reply(outcome, TRACE).code == code
        else:
            with pytest.raises(ValueError, match="yz reply"):
                final_reply(outcome, TRACE)
    assert final_reply(Parked(reason, "m"), TRACE).code == 250
    assert str(final_reply(Accepted("F" * 16, "m", reason=reason), TRACE)) == f"250 2.0.0 {'F' * 16} accepted"


def test_the_table_says_what_the_interface_promises() -> None:
    promised = {
        Reason.UNKNOWN_RECIPIENT: (550, "5.1.1"), Reason.RELAYING_DENIED: (550, "5.7.1"),
        Reason.BAD_RECIPIENT: (553, "5.1.3"), Reason.BAD_SENDER: (553, "5.1.7"), Reason.VIRUS: (550, "5.7.1"),
        Reason.REJECTED_BY_RULE: (550, "5.7.1"), Reason.FORGED: (550, "5.7.26"), Reason.ATTACHMENT: (550, "5.6.1"),
        Reason.BAD_FRAMING: (550, "5.6.0"), Reason.BAD_SEQUENCE: (503, "5.5.1"), Reason.BAD_SYNTAX: (501, "5.5.4"),
        Reason.BAD_PARAMETER: (555, "5.5.4"), Reason.STORE_UNAVAILABLE: (451, "4.3.0"), Reason.INTERNAL: (451, "4.3.0"),
        Reason.SCANNER_DOWN: (451, "4.3.0"), Reason.DNS_UNAVAILABLE: (451, "4.4.3"), Reason.STORAGE_FULL: (452, "4.3.1"),
        Reason.TOO_MANY_RECIPIENTS: (452, "4.5.3"), Reason.SECOND_ACCOUNT: (452, "4.5.3"), Reason.TOO_BIG: (552, "5.3.4"),
        Reason.MAIL_LOOP: (554, "5.4.6"), Reason.SHUTTING_DOWN: (421, "4.3.2"), Reason.SMTPUTF8_NEEDED: (553, "5.6.7"),
    }  # fmt: skip
    assert {r: TABLE[r][:2] for r in promised} == promised
