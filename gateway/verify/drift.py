"""A known forwarder that begins to behave otherwise: told with before and after, never a reason to refuse. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from gateway.core.addresses import canonical
from gateway.core.envelope import Envelope
from gateway.core.forwarder import Drift, Form, Forwarder
from gateway.core.message import ParsedMessage
from gateway.core.networks import unmapped
from gateway.core.place import Mailbox, Place
from gateway.verify.envelope_form import form_of, is_bound, same_form
from gateway.verify.known import Recognition

_ORIGINALS = ("x-original-from", "x-original-sender")


def drifts_of(
    learnt: Recognition, envelope: Envelope, message: ParsedMessage, place: Place, spf: str
) -> tuple[Drift, ...]:
    """What the forwarder that brought this message does otherwise; `spf` is the result for the reverse-path.

    Who is only like a forwarder raises nothing: `Recognition.moved` asks for its bound reverse-path and a passing SPF.
    """
    if known := learnt.known:
        forwarder = known.forwarder
        mailbox = next(m for m in place.mailboxes if forwarder in m.forwarders)
        return drift_of(forwarder, mailbox, envelope, message, spf)
    return moved(learnt.moved, envelope) if learnt.moved else ()


def moved(forwarder: Forwarder, envelope: Envelope) -> tuple[Drift, ...]:
    """Its reverse-path, bound to the mailbox as learnt, passes SPF from a network it was never met in."""
    if envelope.client is None:
        return ()
    address = unmapped(ip_address(envelope.client.ip))
    after = ip_network(f"{address}/{24 if address.version == 4 else 64}", strict=False)
    return (Drift(forwarder.id, "network", ", ".join(forwarder.networks), str(after)),)


def drift_of(
    forwarder: Forwarder, mailbox: Mailbox, envelope: Envelope, message: ParsedMessage, spf: str
) -> tuple[Drift, ...]:
    """What the known forwarder, which brought this message, does otherwise than it did with the challenge.

    `mailbox` is the one it was learnt for, `spf` the result for the reverse-path.
    """
    return (*_envelope(forwarder, envelope, spf), *_author(forwarder, mailbox, message))


def _envelope(forwarder: Forwarder, envelope: Envelope, spf: str) -> Iterator[Drift]:
    """A rewrite that began is the forwarder's only where SPF passes: a customer's mail may have been forwarded before.

    One that ended is seen only in forms that every reverse-path gets; SRS leaves those of its own domains alone.
    """
    if envelope.reverse_path is None or is_bound(forwarder, envelope.reverse_path, envelope.recipients):
        return
    seen = form_of(envelope.reverse_path, envelope.recipients)
    learnt = forwarder.form
    if same_form(seen, learnt) and not forwarder.reverse_path:
        return
    began = seen is not Form.UNCHANGED and spf == "pass"
    ended = (
        seen is Form.UNCHANGED
        and learnt in (Form.REPLACED, Form.GMAIL_CAF, Form.VERP)
        and spf not in ("pass", "temperror")
    )
    if began or ended:
        before = f"{learnt.value} {forwarder.reverse_path}".strip()
        yield Drift(forwarder.id, "reverse-path", before, seen.value)


def _author(forwarder: Forwarder, mailbox: Mailbox, message: ParsedMessage) -> Iterator[Drift]:
    """The mailbox itself as the author, or an author of its domain beside the name of another."""
    author = message.author
    if not forwarder.keeps_author or author is None:
        return
    originals = [value for name, value in message.headers if name.lower() in _ORIGINALS]
    is_mailbox = canonical(author.address) == canonical(mailbox.address)
    if is_mailbox or (originals and author.domain == mailbox.domain):
        yield Drift(forwarder.id, "author", "kept", f"replaced by {author.address}")
