"""What a returned challenge shows, in plain words for the people who run the mailbox, each with its cure. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.core.forwarder import Challenge, Form, Forwarder, Remark
from gateway.core.message import ParsedMessage
from gateway.core.reports import AuthReport

JUNK_LEVEL = 5
"""Microsoft's spam confidence level from which mail goes to the junk folder."""

_FORWARDED = re.compile(r"\s*(?:fw|fwd|wg|tr|rv|i|vs|vb|pd|enc|doorst|转发|轉寄)\s*[:：]", re.IGNORECASE)
_SCL = re.compile(r"(?:^|;)\s*SCL:\s*(-?\d+)", re.IGNORECASE)
_JUNK_SUBJECT = re.compile(r"\s*(?:\[\W*spam\W*\]|\*+\s*spam\s*\*+|\{spam\??\}|spam:)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Seen:
    """A returned challenge and what was learnt from it. `dkim_kept`: our signature still holds; `loops`: a host took it
    again and again; `seen_before`: how often it had come back already.
    """

    challenge: Challenge
    message: ParsedMessage
    auth: AuthReport
    forwarder: Forwarder
    sent_text: str = ""
    dkim_kept: bool = True
    loops: bool = False
    seen_before: int = 0

    @property
    def is_new_message(self) -> bool:
        """The mail was not passed on, but quoted in another that somebody's mail program wrote."""
        forwarder = self.forwarder
        return not forwarder.keeps_author and not forwarder.keeps_message_id

    @property
    def is_exchange(self) -> bool:
        names = {name.lower() for name, _ in self.message.headers}
        marks = ("x-ms-", "thread-topic", "thread-index", "x-originatororg")
        return self.forwarder.provider == "microsoft" or any(name.startswith(marks) for name in names)

    def value(self, name: str) -> str:
        return next(iter(self.message.header_values(name)), "")


def remarks_of(seen: Seen) -> tuple[Remark, ...]:
    """Everything worth saying, the gravest first; one good word where there is nothing to mend."""
    found = tuple(remark for rule in _RULES for remark in rule(seen))
    if any(not remark.is_good for remark in found):
        return found
    through = f" through {seen.forwarder.name}" if seen.forwarder.name else ""
    text = f"mail to {seen.challenge.mailbox} comes back unchanged{through}: author, subject, text and files are as they were sent"
    return (Remark("all-good", is_good=True, text=text), *found)


def _loop(seen: Seen) -> Iterable[Remark]:
    if seen.loops:
        yield Remark(
            "loop",
            is_good=False,
            text="the message went round before it arrived: a server took it several times",
            cure="forward the mailbox to its inbound address only, and let nothing forward the inbound address back to it",
        )
    if seen.seen_before:
        yield Remark(
            "twice",
            is_good=False,
            text=f"the same message arrived {seen.seen_before + 1} times",
            cure=f"{seen.challenge.mailbox} is forwarded in more than one place (a rule and an alias, or two rules): "
            "leave only one of them",
        )


def _rewritten_message(seen: Seen) -> Iterable[Remark]:
    if not seen.is_new_message:
        return
    if seen.is_exchange:
        yield Remark(
            "exchange-forward",
            is_good=False,
            text="Exchange made a new message from the mailbox's user instead of passing the mail on: the customer is gone",
            cure="use *redirect* instead of *forward*: in Outlook a rule with “redirect the message to”, in the Exchange admin "
            "centre the mailbox's “Email forwarding” with “Keep a copy of forwarded email”, or a transport rule "
            "“Redirect the message to”",
        )
    else:
        kind = "as “forwarded”" if _FORWARDED.match(seen.message.subject) else "as a message of its own"
        yield Remark(
            "forwarded-as-new",
            is_good=False,
            text=f"the mail was sent on {kind}, with another author and Message-ID: the customer's address is gone",
            cure="let the server redirect the mail (alias, redirect, .forward, Sieve `redirect`) instead of a mail program or "
            "an add-on that forwards it",
        )


def _rewritten_author(seen: Seen) -> Iterable[Remark]:
    if seen.forwarder.keeps_author or seen.is_new_message:
        return
    shown = seen.message.author.address if seen.message.author else seen.message.from_shown
    text = f"the author was replaced by {shown or 'nothing'}: every customer would look alike"
    yield Remark("author-rewritten", is_good=False, text=text, cure=_author_cure(seen))


def _author_cure(seen: Seen) -> str:
    adds = seen.forwarder.adds
    if "x-google-group-id" in adds or (seen.value("X-Original-Sender") and "list-id" in adds):
        return (
            "the address is a Google Group: forward with Gmail routing (Admin console, Apps, Gmail, Default routing) or from a "
            "mailbox instead; as long as it stays a group, who wrote is as told by X-Original-From or X-Original-Sender, unverified"
        )
    if seen.value("X-Mailman-Version") or "list-id" in adds:
        return (
            "a mailing list brought it: in Mailman set “DMARC mitigation action” to “No mitigations” and “From is list” to no, "
            "or use an alias instead of a list"
        )
    if "x-original-from" in adds or seen.value("X-Original-From"):
        return (
            "switch off the forwarder's From rewriting; until then who wrote is as told by X-Original-From, unverified"
        )
    return "switch off From rewriting (“sender rewriting”, “DMARC protection”) for this address, or forward with an alias instead"


def _subject(seen: Seen) -> Iterable[Remark]:
    if seen.forwarder.keeps_subject or seen.is_new_message:
        return
    yield Remark(
        "subject-changed",
        is_good=False,
        text=f"the subject came back as “{seen.message.subject[:100]}”: customers' signatures break by that",
        cure="switch off the tag that the forwarder, its spam filter or its “external sender” warning puts before the subject",
    )


def _files_and_text(seen: Seen) -> Iterable[Remark]:
    if seen.forwarder.keeps_body or seen.is_new_message:
        return
    if not any(part.is_attachment for part in seen.message.parts):
        yield Remark(
            "attachment-removed",
            is_good=False,
            text="the small text file that was attached did not come back",
            cure="let the forwarder, or the filter before it, pass attachments for this address: they are checked here again",
        )
    elif seen.sent_text and seen.sent_text.strip() in seen.message.text:
        yield Remark(
            "footer-added",
            is_good=False,
            text="text was added to the message (a footer, a disclaimer or a warning): signatures of customers break by that",
            cure="exempt mail to this address from the disclaimer or the “external sender” warning",
        )
    else:
        yield Remark(
            "body-changed",
            is_good=False,
            text="the text or the file came back changed: signatures of customers break by that",
            cure="switch off what rewrites mail on its way: footers, link rewriting (“safe links”), conversion to plain text",
        )


def _signature(seen: Seen) -> Iterable[Remark]:
    changed = not (seen.forwarder.keeps_body and seen.forwarder.keeps_subject and seen.forwarder.keeps_author)
    if seen.dkim_kept or changed:
        return
    kept = [r.detail for r in seen.auth.results if r.method == "dkim" and r.result not in ("pass", "none")]
    why = f" ({kept[0]})" if kept and kept[0] else ""
    yield Remark(
        "dkim-broken",
        is_good=False,
        text=f"our own DKIM signature does not hold any more{why}, though the message looks as it was sent: those of customers "
        "will not hold either",
        cure="look for what re-encodes or re-folds mail on its way (a virus scanner, an appliance, 8-bit conversion), and let it "
        "pass mail untouched",
    )


def _junk(seen: Seen) -> Iterable[Remark]:
    if not is_junk(seen.message):
        return
    yield Remark(
        "junk",
        is_good=False,
        text="the forwarder marked the message as junk: rules often skip such mail, and customers' mail may be lost",
        cure=f"allow the sender {seen.challenge.author.rpartition('@')[2]} in the spam filter before the mailbox, and see that "
        "mail marked as junk is forwarded too",
    )


def is_junk(message: ParsedMessage) -> bool:
    """Whether a filter on the way called it spam. Whose word that is, the caller has to know."""
    if any(
        value.strip().lower().startswith("yes")
        for name in ("X-Spam-Flag", "X-Spam-Status", "X-Spam")
        for value in message.header_values(name)
    ):
        return True
    levels = [value.strip() for value in message.header_values("X-MS-Exchange-Organization-SCL")]
    levels += [m[1] for value in message.header_values("X-Forefront-Antispam-Report") for m in _SCL.finditer(value)]
    if any(re.fullmatch(r"-?\d{1,2}", level) and int(level) >= JUNK_LEVEL for level in levels):
        return True
    return bool(_JUNK_SUBJECT.match(message.subject))


def _recognition(seen: Seen) -> Iterable[Remark]:
    forwarder = seen.forwarder
    if not forwarder.networks:
        yield Remark(
            "no-client",
            is_good=False,
            text="the message did not come over SMTP: nothing tells by which server, and mail is judged without its path",
            cure="have the mailbox forwarded to its inbound address by SMTP",
        )
    elif forwarder.provider and not forwarder.reverse_path:
        yield Remark(
            "shared-sender",
            is_good=False,
            text=f"{forwarder.provider}'s servers send for many, and nothing in the envelope tells that it was this mailbox "
            f"which forwarded ({_told(forwarder.form)}): mail of strangers through {forwarder.provider} looks the same",
            cure="where the provider offers it, rewrite the sender (SRS) with a domain of your own, or forward with an account "
            "rule instead of an alias; mail is taken all the same, and customers who sign with DKIM are recognised",
        )
    if forwarder.networks and not forwarder.border:
        yield Remark(
            "no-border",
            is_good=True,
            text="the forwarder does not record from which address it takes mail: authors without DKIM stay unverified",
        )


def _told(form: Form) -> str:
    told = {
        Form.UNCHANGED: "the reverse-path is left as it was",
        Form.NULL: "the reverse-path is empty",
        Form.REPLACED: "the reverse-path is the provider's own",
    }
    return told.get(form, "the reverse-path is rewritten at the provider's own domain")


_RULES: tuple[Callable[[Seen], Iterable[Remark]], ...] = (
    _loop,
    _rewritten_message,
    _rewritten_author,
    _subject,
    _files_and_text,
    _signature,
    _junk,
    _recognition,
)
