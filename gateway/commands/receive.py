"""The pipe transport: a message that some other program hands over, for `.forward` or a Postfix pipe."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from ipaddress import ip_address

from gateway.commands.line import OpenLine
from gateway.core.addresses import BadAddress, parse_addr_spec, without_controls
from gateway.core.clock import now
from gateway.core.envelope import Client, Envelope
from gateway.core.errors import InvalidInput
from gateway.core.outcome import Outcome
from gateway.core.tokens import new_trace_id
from gateway.store.directory import AccountEntry

_LONGEST_NAME = 255
"""Of a HELO: octets of a domain, RFC 5321 section 4.5.3.1.2."""
_NO_CLIENT = frozenset({"", "unknown"})
"""What Postfix's ${client_address} is for its own mail, and for XFORWARD's `[UNAVAILABLE]`."""
_IPV6_TAG = re.compile(r"ipv6:(?=.*:)", re.IGNORECASE)
_LINE_END = re.compile(rb"\r\n|\r|\n")


class WrongCall(InvalidInput):
    """The mistake is in how we are called, and says nothing of the message: with the same one it may do better later."""


async def receive(
    line: OpenLine,
    content: bytes,
    *,
    sender: str | None,
    recipients: Sequence[str],
    client_ip: str | None = None,
    helo: str | None = None,
) -> Outcome:
    """Take one message as if it had come by SMTP. Raises InvalidInput for addresses that are not ours or are none, and
    WrongCall.
    """
    if not content.strip():
        raise WrongCall("there is no message on standard input; write: gateway receive ... < message.eml")
    is_known = (client_ip or "").lower() not in _NO_CLIENT
    client = client_of(client_ip, without_controls(helo or "")[:_LONGEST_NAME]) if is_known else None
    accounts = {account.id: account for account in [await _account_of(line, r) for r in recipients]}
    if len(accounts) != 1:
        raise WrongCall("--recipient: all recipients of one call belong to one account; call once per account")
    content = normalised(content)
    envelope = Envelope(
        trace_id=new_trace_id(),
        account=next(iter(accounts.values())).name,
        source="receive",
        received_at=now(),
        client=client,
        reverse_path=_reverse_path(sender),
        recipients=tuple(dict.fromkeys(recipients)),
        smtputf8=not "".join(recipients).isascii(),
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return await line.intake.take(envelope)


def client_of(ip: str | None, helo: str | None) -> Client | None:
    """The client that `--client-ip` and `--helo` describe, None for mail that came without one. Raises WrongCall.

    An IPv6 address may have the `IPv6:` of RFC 5321 section 4.1.3 in front, as Postfix gives it.
    """
    if not ip:
        if helo:
            raise WrongCall(
                f"--helo {helo!r}: a name alone proves nothing; name the client's address too: --client-ip IP"
            )
        return None
    try:
        return Client(str(ip_address(_IPV6_TAG.sub("", ip.strip("[] ")))), helo or "")
    except ValueError:
        raise WrongCall(f"--client-ip {ip!r} is no IP address; write for example 192.0.2.9 or 2001:db8::9") from None


def normalised(content: bytes) -> bytes:
    """CRLF line ends: pipes carry the line ends of the system, SMTP and DKIM know CRLF. An mbox `From ` line is dropped."""
    if content.startswith(b"From "):
        content = content.partition(b"\n")[2]
    return (
        content
        if content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r")
        else _LINE_END.sub(b"\r\n", content)
    )


async def _account_of(line: OpenLine, recipient: str) -> AccountEntry:
    try:
        spec = parse_addr_spec(recipient)
    except BadAddress as error:
        raise InvalidInput(
            f"--recipient {recipient!r}: {error}; write for example support@acme.gateway.example"
        ) from None
    account = await line.store_pool(line.directory.look_up, spec.domain)
    if account is None and not await line.store_pool(line.directory.has_accounts):
        raise WrongCall("nobody receives mail here yet; add an account: gateway account add NAME")
    if account is None:
        raise InvalidInput(
            f"--recipient {recipient}: no account receives mail at {spec.domain}; see `gateway account list`"
        )
    return account


def _reverse_path(sender: str | None) -> str | None:
    """None for the null reverse-path, given as nothing, as `<>`, or in the way of Postfix's pipe(8), whose `null_sender` is
    MAILER-DAEMON.
    """
    if sender is None or sender.upper() in ("", "<>", "MAILER-DAEMON"):
        return None
    try:
        return str(parse_addr_spec(sender, lenient=True))
    except BadAddress as error:
        if "@" not in sender:
            raise WrongCall(f"--sender {sender!r}: {error}; let the mail server give whole addresses") from None
        raise InvalidInput(f"--sender {sender!r}: {error}; write an address, or <> for a report") from None
