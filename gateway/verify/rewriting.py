"""The forms that forwarders and lists give to reverse-paths, and what they say of the one before."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A reverse-path that its sender did not write as it stands.

    `form` names the scheme, `by_forwarder` says that only a forwarder writes it (VERP and BATV are also the sender's
    own doing), `original` is the reverse-path it stands for, None where the scheme hides it.
    """

    form: str
    by_forwarder: bool
    original: str | None = None


_SRS0 = re.compile(r"srs0[=+-][^=]+=[^=]+=(?P<domain>[^=]+)=(?P<local>.+)", re.IGNORECASE)
_SRS1 = re.compile(r"srs1[=+-][^=]+=[^=]+=[=+-][^=]+=[^=]+=(?P<domain>[^=]+)=(?P<local>.+)", re.IGNORECASE)
_MICROSOFT = re.compile(r"[^+]*\+srs=[^=]+=[^=]+=(?P<domain>[^=]+)=(?P<local>.+)", re.IGNORECASE)
_BATV = re.compile(r"(?:prvs|btv1)=+(?P<first>[^=/]+)[=/]+(?P<rest>.+)", re.IGNORECASE)
_VERP = re.compile(r"[^=]*[+-][^+=]+=[^=]+\.[^=]+")
_CAF = "+caf_="


def rewriting_of(reverse_path: str | None, recipients: Iterable[str]) -> Rewriting | None:
    """Which known form a reverse-path has, None for an ordinary one. `recipients` are this transaction's."""
    local, _, domain = (reverse_path or "").rpartition("@")
    local = local.strip('"')
    if not local:
        return None
    if _CAF in local.lower():
        user = local[: local.lower().index(_CAF)]
        return Rewriting("gmail-caf", by_forwarder=True, original=f"{user}@{domain}")
    if re.match(r"srs[01][=+-]", local, re.IGNORECASE):
        form = local[:4].lower()
        return Rewriting(form, by_forwarder=True, original=_original((_SRS0 if form == "srs0" else _SRS1).match(local)))
    if "+srs=" in local.lower():
        return Rewriting("microsoft-srs", by_forwarder=True, original=_original(_MICROSOFT.match(local)))
    if batv := _BATV.match(local):
        return Rewriting("batv", by_forwarder=False, original=f"{_batv_local(batv)}@{domain}")
    return _verp(local, recipients)


def _original(match: re.Match[str] | None) -> str | None:
    return f"{match['local']}@{match['domain']}" if match else None


def _batv_local(match: re.Match[str]) -> str:
    """`prvs=<tag>=<local>`; older signers wrote `prvs=<local>/<tag>`. A tag is ten characters or fewer."""
    return match["first"] if "/" in match.group(0) and "=" not in match["rest"] else match["rest"]


def _verp(local: str, recipients: Iterable[str]) -> Rewriting | None:
    """`list+support=acme.example@…`. Newsletters do so for every reader: only our inbound address betrays a forwarder."""
    if not _VERP.fullmatch(local):
        return None
    ours = ("=".join(r.lower().rpartition("@")[::2]) for r in recipients)
    by_forwarder = any(local.lower().endswith((f"+{text}", f"-{text}")) for text in ours)
    return Rewriting("verp", by_forwarder=by_forwarder)
