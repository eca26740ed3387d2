"""THE table of SMTP replies (RFC 5321 section 4.2, RFC 3463): nobody else writes a code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from gateway.core.outcome import Accepted, Deferred, Outcome, Parked, Reason, Refused


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply line. It checks itself: ASCII, one line, the class of the code equals that of the enhanced code."""

    code: int
    enhanced: str
    text: str

    def __post_init__(self) -> None:
        if not (self.text.isascii() and self.text.isprintable()):
            raise ValueError(f"a reply is one line of ASCII: {self.text!r}")
        if self.enhanced and self.enhanced[0] != str(self.code)[0]:
            raise ValueError(f"{self.code} and {self.enhanced} are of different classes")
        if not 200 <= self.code <= 599 or len(self.text) > 400:
            raise ValueError(f"not an SMTP reply: {self.code} {self.text!r}")

    def __str__(self) -> str:
        return " ".join(x for x in (str(self.code), self.enhanced, self.text) if x)


OK = Reply(250, "2.0.0", "OK")
RESET = Reply(250, "2.0.0", "Flushed")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
START_INPUT = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
BYE = Reply(221, "2.0.0", "Bye")
CANNOT_VERIFY = Reply(252, "2.1.5", "Cannot verify, but will take mail for it")
HELP = Reply(214, "2.0.0", "RFC 5321; write to postmaster for help")

_ACCEPTED = (250, "2.0.0", "accepted")

TABLE: dict[Reason, tuple[int, str, str]] = {
    Reason.ACCEPTED: _ACCEPTED,
    Reason.DUPLICATE: _ACCEPTED,
    Reason.IGNORED_BY_RULE: _ACCEPTED,
    Reason.SENDERS_CONTACTS_ONLY: _ACCEPTED,
    Reason.ANSWERS_ONLY: _ACCEPTED,
    Reason.NEW_ONLY: _ACCEPTED,
    Reason.DELIVERY_REPORT: _ACCEPTED,
    Reason.OWN_MAIL: _ACCEPTED,
    Reason.CHALLENGE_RETURNED: _ACCEPTED,
    Reason.CHALLENGE_REPORT: _ACCEPTED,
    Reason.FORWARDING_CONFIRMATION: _ACCEPTED,
    Reason.QUARANTINED_BY_RULE: _ACCEPTED,
    Reason.PROBATION: _ACCEPTED,
    Reason.CRASHED: _ACCEPTED,
    Reason.TOO_COMPLEX: _ACCEPTED,
    Reason.ENDED_PROCESSES: _ACCEPTED,
    Reason.FORGED: (550, "5.7.26", "the author's domain does not vouch for this message (DMARC)"),
    Reason.UNVERIFIED: (550, "5.7.1", "mail whose author is not proven is not taken here"),
    Reason.INDETERMINATE: (451, "4.4.3", "the author's domain could not be asked, please try again later"),
    Reason.VIRUS: (550, "5.7.1", "a virus was found in this message"),
    Reason.UNSCANNABLE: (550, "5.7.1", "this message cannot be scanned for viruses"),
    Reason.AMBIGUOUS: _ACCEPTED,
    Reason.ATTACHMENT: (550, "5.6.1", "an attachment of this message is not taken here"),
    Reason.BLOCKED: (550, "5.7.1", "mail like this is not taken here"),
    Reason.SPAM: (550, "5.7.1", "this message looks like spam"),
    Reason.REJECTED_BY_RULE: (550, "5.7.1", "the recipient's rules do not take this message"),
    Reason.MAIL_LOOP: (554, "5.4.6", "mail loop: too many Received fields"),
    Reason.STORE_UNAVAILABLE: (451, "4.3.0", "temporary trouble on our side, please try again later"),
    Reason.SCANNER_DOWN: (451, "4.3.0", "temporary trouble on our side, please try again later"),
    Reason.INTERNAL: (451, "4.3.0", "temporary trouble on our side, please try again later"),
    Reason.NO_ACCOUNTS: (451, "4.3.5", "nobody receives mail here yet, please try again later"),
    Reason.STORAGE_FULL: (452, "4.3.1", "no room at present, please try again later"),
    Reason.DNS_UNAVAILABLE: (451, "4.4.3", "the author's domain could not be asked, please try again later"),
    Reason.UNKNOWN_RECIPIENT: (550, "5.1.1", "no such recipient here"),
    Reason.RELAYING_DENIED: (550, "5.7.1", "relaying denied"),
    Reason.BAD_RECIPIENT: (553, "5.1.3", "this is no address we can read"),
    Reason.BAD_SENDER: (553, "5.1.7", "this is no address we can read"),
    Reason.SMTPUTF8_NEEDED: (553, "5.6.7", "an address that is not ASCII needs SMTPUTF8"),
    Reason.SECOND_ACCOUNT: (452, "4.5.3", "one account a transaction, please send this recipient again"),
    Reason.TOO_MANY_RECIPIENTS: (452, "4.5.3", "too many recipients, please send the rest again"),
    Reason.TOO_BIG: (552, "5.3.4", "this message is larger than we take"),
    Reason.BAD_FRAMING: (550, "5.6.0", "bare CR, bare LF in the header or NUL in the framing; lines end with CRLF"),
    Reason.BAD_SEQUENCE: (503, "5.5.1", "this command is out of sequence"),
    Reason.BAD_SYNTAX: (501, "5.5.4", "this command cannot be read"),
    Reason.BAD_PARAMETER: (555, "5.5.4", "this parameter is not known here"),
    Reason.UNKNOWN_COMMAND: (500, "5.5.2", "this command is not known"),
    Reason.NOT_IMPLEMENTED: (502, "5.5.1", "this command is not offered here"),
    Reason.SHUTTING_DOWN: (421, "4.3.2", "shutting down, please come again"),
    Reason.CLIENT_GONE: (451, "4.3.0", "the connection broke before the end of the message"),
    Reason.TOO_MANY_CONNECTIONS: (421, "4.7.0", "too many connections, please come again later"),
    Reason.OVER_CLIENT_RATE: (451, "4.7.1", "too much mail in this time from your network, please try again later"),
    Reason.OVER_ACCOUNT_RATE: (451, "4.7.1", "too much mail in this time for this account, please try again later"),
    Reason.TOO_MANY_ERRORS: (421, "4.7.0", "too many errors"),
    Reason.HARVESTING: (421, "4.7.0", "too many unknown recipients"),
    Reason.IDLE: (421, "4.4.2", "nothing was heard for too long"),
    Reason.TOO_SLOW: (421, "4.4.2", "the message comes too slowly"),
    Reason.SESSION_TOO_LONG: (421, "4.4.2", "this session has lasted long enough, please connect again"),
    Reason.EARLY_TALKER: (554, "5.5.1", "you spoke before it was your turn"),
    Reason.BARE_LINE_FEED: (500, "5.5.2", "commands end with CR LF"),
    Reason.WRONG_PROTOCOL: (502, "5.5.1", "this is a mail server"),
    Reason.BAD_PROXY_HEADER: (421, "4.5.0", "the PROXY header cannot be read"),
    Reason.TLS_REQUIRED: (530, "5.7.0", "send STARTTLS first"),
    Reason.TLS_UNAVAILABLE: (454, "4.7.0", "TLS is not available now"),
}


def reply_for(reason: Reason, text: str = "", trace_id: str = "") -> Reply:
    """The reply of a reason; `text` takes the place of the table's words, `trace_id` goes before them."""
    code, enhanced, usual = TABLE[reason]
    words = _washed(text) or usual
    return Reply(code, enhanced, f"{trace_id} {words}" if trace_id else words)


def final_reply(outcome: Outcome, trace_id: str) -> Reply:
    """The reply to the final dot: it carries the trace id as the second word of its text line.

    Raises ValueError for a reason whose row is of another class: a 250 for what was not kept would lose it.
    """
    match outcome:
        case Accepted(trace_id=first):
            return reply_for(Reason.ACCEPTED, trace_id=first)
        case Parked():
            return reply_for(Reason.ACCEPTED, trace_id=trace_id)
        case Refused(reason=reason, text=text):
            return _of_class(5, reply_for(reason, text, trace_id))
        case Deferred(reason=reason):
            return _of_class(4, reply_for(reason, trace_id=trace_id))
        case _:
            assert_never(outcome)


def _of_class(wanted: int, reply: Reply) -> Reply:
    if reply.code // 100 != wanted:
        raise ValueError(f"a {wanted}yz reply is due, not {reply}")
    return reply


def _washed(text: str) -> str:
    """What others wrote may reach a reply (a file's name): printable ASCII, one line, capped."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text.strip())[:300]
