"""Google's question whether a user's mail may be forwarded to us: known by its proof, never by its looks."""

from __future__ import annotations

from gateway.core.decision import Facts
from gateway.core.reports import Sender

AUTHOR = "forwarding-noreply@google.com"
_SIGNER = "google.com"


def is_confirmation(facts: Facts) -> bool:
    """The author is Google's own address, and a signature of google.com holds. Names, subjects and links are nobody's proof."""
    author = facts.message.author
    if author is None or author.address.lower() != AUTHOR or facts.auth.sender is not Sender.VERIFIED:
        return False
    signers = (dict(r.properties) for r in facts.auth.results if r.method == "dkim" and r.result == "pass")
    return any(s.get("header.d", "").lower() == _SIGNER for s in signers)
