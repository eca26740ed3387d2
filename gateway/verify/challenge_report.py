"""What came to the reverse-path of a challenge: a delivery report (RFC 3464), or an automatic answer. Pure."""

from __future__ import annotations

from gateway.core.envelope import Envelope
from gateway.core.forwarder import Remark
from gateway.core.message import ParsedMessage
from gateway.parse import decode_part
from gateway.verify.bounce_remarks import explain_bounce

_READ_OCTETS = 65_536
_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")

ANSWERED = Remark(
    "answered-automatically",
    is_good=True,
    text="the mailbox's server took the challenge, and somebody's program answered it (an absence notice, for example)",
)


def remark_on_report(envelope: Envelope, message: ParsedMessage) -> Remark:
    """Why the challenge was not delivered; or that it was answered, which says nothing of forwarding."""
    if not _is_bounce(envelope, message):
        return ANSWERED
    parts = (p for p in message.parts if p.declared_type in _STATUS_TYPES)
    status = " ".join(decode_part(envelope.content, p)[:_READ_OCTETS].decode("utf-8", "replace") for p in parts)
    return explain_bounce(f"{message.subject}\n{message.text[:_READ_OCTETS]}\n{status}")


def _is_bounce(envelope: Envelope, message: ParsedMessage) -> bool:
    """Old servers write no multipart/report; absence notices come from the null reverse-path too (RFC 5230 section 5.1)."""
    if message.is_report:
        return True
    replied = any(v.strip().lower().startswith("auto-replied") for v in message.header_values("Auto-Submitted"))
    return envelope.reverse_path is None and not replied
