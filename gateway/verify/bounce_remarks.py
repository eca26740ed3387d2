"""Why a challenge was returned as undeliverable, in plain words with the cure. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.forwarder import Remark

_STATUS = re.compile(r"(?<![\w.])([245]\.\d{1,3}\.\d{1,3})(?![\w]|\.\d)")
_TOLD = re.compile(r"(?im)^(?:[ \t]*status:[ \t]*|.*?\b[245]\d\d[ -]#?)([245]\.\d{1,3}\.\d{1,3})(?![\w]|\.\d)")
_MICROSOFT_POLICY = re.compile(r"does not allow external forwarding|AS\(75(?:50|55)\)", re.IGNORECASE)
_LOOP = re.compile(r"mail (?:forwarding )?loop|too many hops|hop count exceeded|routing loop", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Reason:
    """`statuses` are RFC 3463 codes, `5.1.` for all below it."""

    statuses: tuple[str, ...]
    code: str
    text: str
    cure: str


_EXTERNAL_FORWARDING = _Reason(
    ("5.7.520",),
    "external-forwarding-forbidden",
    "Microsoft 365 took the mail and refused to forward it: automatic forwarding to addresses outside is forbidden by default",
    "in the Microsoft Defender portal (Email & collaboration, Policies & rules, Threat policies, Anti-spam) make a new outbound "
    "spam filter policy for this one mailbox, with “Automatic forwarding rules” set to “On – Forwarding is enabled”; leave "
    "the default policy as it is",
)
_LOOPS = _Reason(
    ("5.4.6", "5.4.14", "4.4.6", "5.4.12"),
    "loop",
    "the mail went round until a server gave up",
    "see that the mailbox is forwarded to its inbound address only, and that nothing forwards the inbound address back to it",
)
_REASONS = (
    _EXTERNAL_FORWARDING,
    _LOOPS,
    _Reason(
        ("5.1.1", "5.1.10", "5.1.0", "5.2.0"),
        "no-such-mailbox",
        "a server on the way knows no such address",
        "compare the mailbox's address and the address it is forwarded to, letter by letter",
    ),
    _Reason(
        ("5.1.2", "5.4.4", "5.4.310", "5.1.8"),
        "no-such-domain",
        "a domain on the way does not exist, or takes no mail",
        "check the MX record of the domain the bounce names, and the spelling of the inbound address's domain",
    ),
    _Reason(
        ("5.7.26", "5.7.23", "5.7.509", "5.7.515", "5.7.25", "5.7.27", "5.7.1350"),
        "authentication-refused",
        "a server on the way wants proof of who sends (SPF, DKIM, DMARC or the client's name) and did not find it",
        "run `gateway doctor`: it tells which record of ours is missing; if the refusal came from the address mail is "
        "forwarded to, the forwarder has to rewrite the reverse-path (SRS)",
    ),
    _Reason(
        ("5.7.705", "5.7.708", "5.7.750", "5.7.606", "5.7.511"),
        "sender-blocked",
        "the provider blocks the sending server or the tenant",
        "the bounce names where to ask for removal; until then send challenges through another relay (`relay.url`)",
    ),
    _Reason(
        ("5.7.54", "5.7.64"),
        "relaying-denied",
        "a server on the way does not deliver for that domain",
        "let the forwarder send mail for the inbound address's domain, and check that `relay.url` may send to the mailbox",
    ),
    _Reason(
        ("5.7.",),
        "refused-by-policy",
        "a server on the way refused the mail by its own rules",
        "look who answered: the mailbox's server has to take mail from our relay (allow the sender in its spam filter) and be "
        "allowed to forward to the inbound address; on Microsoft 365 look at the outbound spam filter policy first",
    ),
    _Reason(
        ("5.2.2", "4.2.2", "5.2.3"),
        "mailbox-full",
        "the mailbox is full, or the message too large for it",
        "make room, or forward without keeping a copy",
    ),
    _Reason(
        ("5.2.", "5.3."),
        "mailbox-refused",
        "the mailbox, or its server, takes no mail at present",
        "ask whoever runs the mailbox's server, with the text of the bounce",
    ),
    _Reason(
        ("5.6.",),
        "content-refused",
        "a server on the way refused the message for its content",
        "allow small text files from our sender in the filter before the mailbox",
    ),
    _Reason(
        ("4.",),
        "not-yet",
        "a server on the way could not take the mail so far, and will perhaps later",
        "nothing yet; if it stays so for hours, ask whoever runs the server that the text names (greylisting ends by itself)",
    ),
    _Reason(
        ("5.",),
        "undeliverable",
        "the mail could not be delivered",
        "read the text of the bounce: it names the server that refused, and why",
    ),
)
_UNKNOWN = _Reason(
    (), "undeliverable", "the mail came back as undeliverable, without a reason we know", _REASONS[-1].cure
)


def explain_bounce(report_text: str, statuses: Iterable[str] = ()) -> Remark:
    """What the bounce of a challenge means. `statuses` are enhanced status codes (RFC 3463) the caller has read already,
    `report_text` the report as a person reads it.

    Microsoft's refusal to forward stands first whatever else is said: reports wrap it in other servers' codes.
    """
    found = [*statuses, *_TOLD.findall(report_text), *_STATUS.findall(report_text)]
    if "5.7.520" in found or _MICROSOFT_POLICY.search(report_text):
        return _remark(_EXTERNAL_FORWARDING, "5.7.520")
    if _LOOP.search(report_text):
        return _remark(_LOOPS, next((s for s in found if s in _LOOPS.statuses), ""))
    # a report that says "failed" may quote the delays that came before
    for status in sorted(found, key=lambda one: one[0] != "5"):
        if reason := _reason(status):
            return _remark(reason, status)
    return _remark(_UNKNOWN, "")


def _reason(status: str) -> _Reason | None:
    """By the whole code, else by the longest beginning."""
    exact = next((r for r in _REASONS if status in r.statuses), None)
    return exact or next(
        (r for r in _REASONS if any(s.endswith(".") and status.startswith(s) for s in r.statuses)), None
    )


def _remark(reason: _Reason, status: str) -> Remark:
    text = f"{reason.text} ({status})" if status else reason.text
    return Remark(reason.code, is_good=False, text=text, cure=reason.cure)
