"""In whose name a notification speaks, and where an answer to it goes."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.message import Address
from gateway.core.notice import Notice, NoticeMailbox
from gateway.core.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Identity:
    """What From and Reply-To will say."""

    sender: Address
    reply_to: Address


def identity(notice: Notice, *, tokens: Tokens, proven: bool = False) -> Identity:
    """`proven`: a message from the mailbox's own address passes DMARC of the mailbox's domain.

    Without that proof From is an address of the account, whose domain we sign. Reply-To is the mailbox in every mail
    to a customer; an agent's answer comes to a token address, straight to our own MX.
    """
    mailbox = Address(notice.mailbox.address, notice.mailbox.name)
    if notice.kind.to_customer:
        return Identity(in_name_of(notice.mailbox, notice.account_domain, proven=proven), reply_to=mailbox)
    sender = Address(f"notice@{notice.account_domain}", _author_via_mailbox(notice))
    if notice.agent_number is None:
        return Identity(sender, reply_to=mailbox)
    local = tokens.answer_local(notice.account_id, notice.ticket_number, notice.agent_number)
    return Identity(sender, reply_to=Address(f"{local}@{notice.account_domain}", notice.mailbox.name))


def in_name_of(mailbox: NoticeMailbox, account_domain: str, *, proven: bool = False) -> Address:
    """Who writes to people outside: the mailbox itself where that is `proven`, else the account's address for it."""
    return Address(mailbox.address if proven else f"{mailbox.inbound}@{account_domain}", mailbox.name)


def _author_via_mailbox(notice: Notice) -> str:
    if notice.author is None:
        return notice.mailbox.name
    return f"{notice.author.name.strip() or notice.author.address} via {notice.mailbox.name}"
