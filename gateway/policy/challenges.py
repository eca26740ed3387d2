"""A challenge of ours that came back: it is nobody's mail, and what it shows is not always worth learning."""

from __future__ import annotations

from gateway.core.challenges import is_for_challenge
from gateway.core.decision import Disposition, Facts
from gateway.core.forwarder import Challenge, Forwarder
from gateway.core.outcome import Reason
from gateway.core.reports import Path, Sender
from gateway.policy.action import Verdict

UNPROVEN = (
    "what came back is not as we sent it, and nothing proves that the company's own server sent it: "
    "neither does the SPF of {domain} pass for the client, nor is it a mail exchanger of {domain}"
)


def verdict_of_challenge(facts: Facts) -> Verdict:
    """Kept, never a ticket: the challenge itself, or what came to its reverse-path."""
    if is_for_challenge(facts.envelope.recipients):
        return Verdict(Disposition.IGNORE, Reason.CHALLENGE_REPORT, "a report on a forwarding challenge of ours")
    return Verdict(Disposition.IGNORE, Reason.CHALLENGE_RETURNED, "a forwarding challenge of ours that came back")


def why_not_learnt(challenge: Challenge, facts: Facts, forwarder: Forwarder) -> str:
    """Why a challenge that came back teaches nothing; empty where it does.

    Whoever reads the mailbox knows the token. A copy of its text, sent from anywhere, must teach nothing: either all of the
    challenge came, and not its words only, or the mailbox's domain vouches for the client, the reverse-path or the author
    (servers that forward as a new message write the mailbox's own address into From). A provider's clients are vouched for
    by every customer of it, so that says nothing there.
    """
    auth, message = facts.auth, facts.message
    if facts.envelope.client is None:
        return "it came through a pipe, which shows no client"
    if message.message_id == challenge.message_id and (_is_whole(forwarder) or _is_signed_by_us(facts)):
        return ""
    if auth.path is Path.FORWARDER or (auth.client_vouched and not forwarder.provider):
        return ""
    domain = challenge.mailbox.rpartition("@")[2].lower()
    if auth.result_of("spf") == "pass" and _is_of(facts.envelope.reverse_path or "", domain):
        return ""
    if auth.sender is Sender.VERIFIED and message.author is not None and message.author.domain == domain:
        return ""
    return UNPROVEN.format(domain=domain)


def _is_whole(forwarder: Forwarder) -> bool:
    """Author, subject, and every part with its octets. Says as much as our signature, whose key need not be in DNS yet."""
    return forwarder.keeps_author and forwarder.keeps_subject and forwarder.keeps_body


def _is_of(address: str, domain: str) -> bool:
    found = address.rpartition("@")[2].lower()
    return found == domain or found.endswith("." + domain)


def _is_signed_by_us(facts: Facts) -> bool:
    ours = facts.place.account_domain
    signatures = [dict(r.properties) for r in facts.auth.results if r.method == "dkim" and r.result == "pass"]
    return any(s.get("header.d", "").lower() == ours for s in signatures)
