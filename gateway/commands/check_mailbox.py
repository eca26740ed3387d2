"""`mailbox check`: send a challenge to a mailbox's public address, and say in plain words what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from gateway.core.clock import new_id, now
from gateway.core.errors import InvalidInput
from gateway.core.forwarder import Challenge, Remark
from gateway.core.message import Address
from gateway.core.notice import Rendered
from gateway.core.tokens import Tokens
from gateway.notify.challenge import ChallengeMail, compose_challenge
from gateway.notify.render import Templates
from gateway.parse import parse
from gateway.settings import Settings
from gateway.store import challenges
from gateway.store.challenges import Checked
from gateway.store.engine import Store

FRESH = timedelta(minutes=10)
"""So long a challenge is waited for; after that a forwarding that was mended meanwhile needs a new one."""

AUTHOR = "postmaster"
"""An address that exists at every gateway's domain: servers that ask back are told so, and people reach the operator."""

PASSING = frozenset({"not-yet", "answered-automatically", "google-asks", "waits-for-serve", "delayed", "not-returned"})
"""Remarks after which the challenge may come back all the same."""

Json = dict[str, Any]


class MailboxChecks:
    """Begins checks and tells of them. Blocking: it asks the database."""

    def __init__(self, store: Store, tokens: Tokens, templates: Templates, settings: Settings) -> None:
        self._store = store
        self._tokens = tokens
        self._templates = templates
        self._settings = settings

    def begin(self, account_id: str, address: str, *, anew: bool = False) -> Json:
        """Send a challenge, or go on waiting for one sent lately; `anew` sends another all the same.

        Raises UnknownThing, InvalidInput where there is nothing to check or no way to send.
        """
        mailbox = challenges.mailbox_to_check(self._store, account_id, address)
        self._is_possible(mailbox)
        if anew or not self._is_under_way(mailbox):
            challenges.close_expired(self._store, account_id, mailbox.mailbox_id, now())
            challenge, rendered = self._challenge(mailbox, now())
            challenges.order(self._store, account_id, challenge, rendered, challenge.sent_at)
        return told(self._store, self._settings, account_id, address)

    def state(self, account_id: str, address: str) -> Json:
        """What is known so far. Raises UnknownThing."""
        return told(self._store, self._settings, account_id, address)

    def _is_possible(self, mailbox: Checked) -> None:
        if not self._settings.relay.url:
            cure = 'set relay.url in the configuration, for example url = ["smtp+starttls://user:pass@host:587"]'
            raise InvalidInput(f"no relay is configured, so no challenge can leave; {cure}")
        if mailbox.is_account_own:
            raise InvalidInput(f"{mailbox.address} is an address of the gateway itself: nothing has to forward it here")

    def _is_under_way(self, mailbox: Checked) -> bool:
        check = challenges.forwarding_of(self._store, mailbox.account_id, mailbox.mailbox_id, now())["check"]
        if check is None or is_over(check):
            return False
        return bool(datetime.fromisoformat(check["sent_at"]) > now() - FRESH)

    def _challenge(self, mailbox: Checked, at: datetime) -> tuple[Challenge, Rendered]:
        challenge_id = new_id()
        token = self._tokens.challenge_token(mailbox.account_id, challenge_id)
        author = Address(f"{AUTHOR}@{self._settings.domain}", "Forwarding check")
        mail = ChallengeMail(
            token=token,
            language=mailbox.language,
            account_domain=f"{mailbox.account}.{self._settings.domain}",
            company_name=mailbox.company_name,
            author=author,
            mailbox=Address(mailbox.address, mailbox.name),
            inbound=_inbound(mailbox, self._settings),
            sent_at=at,
        )
        rendered = compose_challenge(mail, self._templates)
        # read as what comes back will be read, so that the two can be compared
        sent = parse(rendered.content)
        challenge = Challenge(
            id=challenge_id,
            token=token,
            mailbox_id=mailbox.mailbox_id,
            mailbox=mailbox.address,
            author=author.address,
            reverse_path=rendered.reverse_path or "",
            subject=sent.subject,
            message_id=rendered.message_id,
            body_digest=sent.body_digest,
            sent_at=at,
        )
        return challenge, rendered


def told(store: Store, settings: Settings, account_id: str, address: str) -> Json:
    """A mailbox's forwarders, its last check with every remark, and what Google asks. Raises UnknownThing."""
    mailbox = challenges.mailbox_to_check(store, account_id, address)
    found = challenges.forwarding_of(store, account_id, mailbox.mailbox_id, now())
    inbound = _inbound(mailbox, settings)
    if found["check"] is not None:
        remarks = [asdict(r) for r in _remarks(found, mailbox.address, inbound)]
        found["check"]["remarks"] = [*found["check"]["remarks"], *remarks]
    return {"mailbox": mailbox.address, "inbound_address": inbound} | found


def _inbound(mailbox: Checked, settings: Settings) -> str:
    return f"{mailbox.inbound or 'support'}@{mailbox.account}.{settings.domain}"


def is_over(check: Json) -> bool:
    """Whether waiting longer would show nothing new: it came back, bounced, expired, or never left."""
    said = any(r["code"] not in PASSING for r in check["remarks"])
    return check["state"] != "open" or said or check["delivery"]["state"] in ("failed", "cancelled")


def _remarks(found: Json, mailbox: str, inbound: str) -> Iterator[Remark]:
    """What no message said: how far the challenge has come."""
    check = found["check"]
    if check["why_not"]:
        yield Remark(
            "not-learnt",
            is_good=False,
            text=f"nothing was learnt: {check['why_not']}",
            cure=f"let the server that forwards {mailbox} pass it on unchanged, or name it in the SPF record of the mailbox's "
            "domain; then check again",
        )
    if check["state"] in ("open", "expired") and check["forwarder"] is None:
        yield from _not_back(check, mailbox, inbound)
    if found["confirmations"] and not check["learnt"]:
        yield _google(found["confirmations"][0])


def _not_back(check: Json, mailbox: str, inbound: str) -> Iterator[Remark]:
    delivery = check["delivery"]
    said = delivery["last_reply"]
    if delivery["state"] in ("failed", "cancelled"):
        yield _bad(
            "not-sent", f"the challenge could not be sent: {said}", "mend what the other server names, then check again"
        )
    elif delivery["state"] == "pending" and not delivery["attempts"]:
        # also told by a `serve`, moments before its outbox looks
        cure = "look again in some seconds: `gateway serve` sends it (role outbox); where none runs, start one"
        yield _bad("waits-for-serve", "the challenge has not been sent yet", cure)
    elif delivery["state"] == "pending":
        cure = "nothing yet: it is tried again by itself, and `gateway outbox list` shows when"
        yield _bad("delayed", f"the relay has not taken the challenge yet: {said}", cure)
    else:
        cure = (
            f"look into the mailbox {mailbox}. If the challenge lies there, forward the mailbox to {inbound}, as a redirect. If "
            "it lies in the junk folder, allow the gateway's domain in the spam filter. If it is nowhere, look for the subject "
            f"“{check['subject']}” in the mail server's log"
        )
        yield _bad("not-returned", f"the relay took the challenge ({said}), and it has not come back", cure)


def _google(asked: Json) -> Remark:
    what = " and ".join(t for t in (asked["code"] and f"the code {asked['code']}", asked["link"]) if t)
    who = asked["asked_by"] or "a user"
    return _bad(
        "google-asks",
        f"Google asked at {asked['received_at']} whether mail of {who} may be forwarded here, and forwards nothing before",
        f"if that is your mailbox, confirm it: {what or 'with what the message says'}",
    )


def _bad(code: str, text: str, cure: str) -> Remark:
    return Remark(code, is_good=False, text=text, cure=cure)
