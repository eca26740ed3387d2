"""What a forwarder makes of reverse-paths, and which part of that names the mailbox it forwards."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from gateway.core.addresses import canonical
from gateway.core.forwarder import Form, Forwarder
from gateway.verify.dmarc import registrable
from gateway.verify.providers import is_below
from gateway.verify.rewriting import rewriting_of

_TENANTS = ("onmicrosoft.com", "onmicrosoft.de", "onmicrosoft.us", "partner.onmschina.cn")
"""Below these each name is one Microsoft tenant's."""

_VARIES = re.compile(r"(?:\d|(?<=\+)).*", re.DOTALL)
"""From the first digit, or behind a plus: numbers and tokens of a message."""


def form_of(reverse_path: str | None, recipients: Iterable[str], sent: str | None = None) -> Form:
    """The form of a reverse-path that arrived; `sent` is the one the message began with, where that is known."""
    if reverse_path is None:
        return Form.NULL
    rewriting = rewriting_of(reverse_path, recipients)
    if rewriting is not None and rewriting.by_forwarder:
        return Form(rewriting.form)
    if sent is None or canonical(sent) in (
        canonical(reverse_path),
        canonical((rewriting and rewriting.original) or ""),
    ):
        return Form.UNCHANGED
    return Form.REPLACED


def binding_of(form: Form, reverse_path: str | None, mailbox: str, recipients: Iterable[str], *, shared: bool) -> str:
    """The part of a rewritten reverse-path that names this mailbox, or its forwarder, as `Forwarder.reverse_path` keeps it.

    `shared`: the server serves strangers too. Then a domain alone names the mailbox only where it is that company's;
    what every customer of the provider gets is no name at all, and the result is empty.
    """
    local, _, domain = (reverse_path or "").lower().rpartition("@")
    local = local.strip('"')
    is_own = not shared or _is_of_company(domain, mailbox.lower().rpartition("@")[2])
    match form:
        case Form.GMAIL_CAF:
            return f"{local}@{domain}"
        case Form.MICROSOFT_SRS:
            user = local.partition("+srs=")[0]
            return f"{user}+srs=*@{domain}" if is_own or user not in ("", "bounces") else ""
        case Form.SRS0 | Form.SRS1:
            return f"@{domain}" if is_own else ""
        case Form.VERP:
            return _verp_binding(local, domain, recipients)
        case Form.REPLACED:
            return f"{_VARIES.sub('*', local)}@{domain}" if is_own else ""
    return ""


def _is_of_company(domain: str, mailbox_domain: str) -> bool:
    return is_below(domain, _TENANTS) or registrable(domain) == registrable(mailbox_domain)


def _verp_binding(local: str, domain: str, recipients: Iterable[str]) -> str:
    """`list-return-7-support=acme.example@…`: the list and our address stay, the number between them changes."""
    ours = ("=".join(r.lower().rpartition("@")[::2]) for r in recipients)
    found = next((text for text in ours if local.endswith(text)), "")
    return f"{_VARIES.sub('*', local.removesuffix(found))}{found}@{domain}" if found else ""


def is_bound(forwarder: Forwarder, reverse_path: str | None, recipients: Iterable[str]) -> bool:
    """Whether a reverse-path is of the learnt form, and bound to the mailbox as it was in the challenge."""
    if not forwarder.reverse_path or reverse_path is None:
        return False
    if not _pattern(forwarder.reverse_path.lower()).fullmatch(reverse_path.lower()):
        return False
    if forwarder.form is Form.REPLACED:
        return True
    return same_form(form_of(reverse_path, recipients), forwarder.form)


def same_form(one: Form, other: Form) -> bool:
    """Whether one forwarder may use both: SRS1 is what an SRS forwarder makes of a path that is SRS already."""
    srs = (Form.SRS0, Form.SRS1)
    return one is other or (one in srs and other in srs)


@lru_cache(maxsize=256)
def _pattern(binding: str) -> re.Pattern[str]:
    """`*` stands for what varies; a domain alone for every local part there."""
    wanted = "*" + binding if binding.startswith("@") else binding
    return re.compile("[^@]*".join(map(re.escape, wanted.split("*"))), re.DOTALL)
