"""What Google's forwarding confirmation holds: who wants to forward, a code, and the link that confirms."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from gateway.core.message import ParsedMessage

SEARCHED_CHARACTERS = 20_000
_CODE = re.compile(r"(?<![\d])\d{8,9}(?!\d)", re.ASCII)
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
# `vf-` confirms; its twin `uf-` cancels, and is never shown. The host is the whole host.
_LINK = re.compile(
    r"(?<![\w.@/-])https://(?:mail-settings|mail)\.google\.com/mail/(?:u/\d/)?vf-[][A-Za-z0-9%_.~!*'()+-]{1,1000}"
)


@dataclass(frozen=True, slots=True)
class ForwardingRequest:
    """`asked_by` is the address whose mail is to be forwarded, `code` has 8 or 9 digits; each is empty where there is none."""

    asked_by: str
    code: str
    link: str


def read_confirmation(message: ParsedMessage) -> ForwardingRequest:
    """Read what the admins need. The message's author must be proven before: all of this can be imitated."""
    # full-width digits and parentheses in Asian subjects become plain ones
    subject = unicodedata.normalize("NFKC", message.subject)
    text = message.text[:SEARCHED_CHARACTERS]
    address = _ADDRESS.search(subject) or _ADDRESS.search(text)
    code = _CODE.search(_ADDRESS.sub(" ", subject))
    link = _LINK.search(text)
    return ForwardingRequest(address.group() if address else "", code.group() if code else "", _whole(link))


def _whole(link: re.Match[str] | None) -> str:
    return link.group().rstrip(".)'!") if link else ""
