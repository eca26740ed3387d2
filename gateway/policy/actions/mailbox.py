"""`mailbox: ADDRESS`: the ticket belongs to that mailbox: its team by default, its name on notices, its language."""

from __future__ import annotations

from typing import Any

from gateway.core.addresses import canonical
from gateway.core.decision import ToMailbox
from gateway.policy.action import Order
from gateway.policy.values import MailboxAddress


class _Mailbox:
    name = "mailbox"
    Params = MailboxAddress
    bare = False

    def orders(self, params: str) -> tuple[Order, ...]:
        return (Order(ToMailbox(canonical(params)), f"mailbox: {params}", ("mailbox",)),)


ACTION: Any = _Mailbox()
