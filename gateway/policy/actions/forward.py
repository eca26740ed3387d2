"""`forward: [address]`: the message itself to people outside, in the mailbox's name; addresses of all rules add up."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from gateway.core.addresses import canonical
from gateway.core.decision import Forward
from gateway.policy.action import Order
from gateway.policy.cures import quote
from gateway.policy.forwarding import LABEL, MOST, why_not
from gateway.policy.values import EmailAddress, Known, as_list, mistake


def _outside(value: str, info: ValidationInfo) -> str:
    """Raises for what would come back: a mailbox of the account, or a domain whose mail this gateway takes."""
    known = info.context
    if not isinstance(known, Known):
        return value
    if canonical(value) in {canonical(m) for m in known.mailboxes}:
        cure = "to give its tickets to others write {route: team} or {notify: [address]}"
        raise mistake(f"{quote(value)} is a mailbox of this account, and its mail would come back: {cure}")
    domain = canonical(value).rpartition("@")[2]
    if domain in known.gateway_domains:
        raise mistake(f"mail at {domain} comes to this gateway and would come back: name an address elsewhere")
    return value


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        raise mistake("write the addresses themselves: forward: [boss@partner.example]")
    return as_list(value)


def _few(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) > MOST:
        cure = "write one address of a mailing list for all of them"
        raise mistake(f"a message is forwarded to at most {MOST} addresses, these are {len(value)}: {cure}")
    return tuple({canonical(a): a for a in reversed(value)}.values())[::-1]


_Address = Annotated[EmailAddress, AfterValidator(_outside)]


class _Forward:
    name = "forward"
    Params = Annotated[
        tuple[_Address, ...],
        BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...]),
        AfterValidator(_few),
    ]
    bare = False

    def orders(self, params: tuple[str, ...]) -> tuple[Order, ...]:
        return tuple(Order(Forward(a), f"{LABEL}{a}", unless=partial(why_not, a)) for a in params)


ACTION: Any = _Forward()
