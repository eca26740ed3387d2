"""`reject: text`: refused with 550 and this text (quarantined when a forwarder brought it)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

from gateway.core.decision import Disposition
from gateway.core.outcome import Reason
from gateway.policy.action import Order, Verdict
from gateway.policy.cures import quote
from gateway.policy.values import Text, mistake

LONGEST_TEXT = 300


def _reply_text(value: str) -> str:
    text = value.strip()
    wrong = next((c for c in text if not " " <= c <= "~"), None)
    if wrong is not None:  # RFC 5321 section 4.2: textstring is printable US-ASCII
        raise mistake(f"an SMTP reply is one line of ASCII: write it without {quote(wrong)} (U+{ord(wrong):04X})")
    if len(text) > LONGEST_TEXT:
        raise mistake(f"an SMTP reply has at most {LONGEST_TEXT} characters here, this has {len(text)}: shorten it")
    return text


class _Reject:
    name = "reject"
    Params = Annotated[Text, AfterValidator(_reply_text)]
    bare = False

    def orders(self, params: str) -> tuple[Order, ...]:
        verdict = Verdict(Disposition.REJECT, Reason.REJECTED_BY_RULE, params)
        return (Order(verdict, f"reject: {params}", ("disposition",)),)


ACTION: Any = _Reject()
