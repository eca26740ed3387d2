"""Providers whose servers send for many strangers: their network tells the provider, never the customer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """`hosts` are the domains its servers are named in, `spf` the name whose record lists its whole network; empty where
    it publishes none that is its own.
    """

    name: str
    hosts: tuple[str, ...]
    spf: str = ""


PROVIDERS = (
    Provider("google", ("google.com", "googlemail.com"), "_spf.google.com"),
    Provider("microsoft", ("outlook.com", "hotmail.com", "exchangelabs.com"), "spf.protection.outlook.com"),
    Provider("yahoo", ("yahoo.com", "yahoodns.net"), "_spf.mail.yahoo.com"),
    Provider("apple", ("icloud.com", "me.com", "apple.com"), "icloud.com"),
    Provider("amazon", ("amazonses.com", "amazonaws.com"), "amazonses.com"),
    Provider("fastmail", ("messagingengine.com",), "spf.messagingengine.com"),
    Provider("zoho", ("zoho.com", "zoho.eu", "zohomail.com", "zohomail.eu"), "zoho.com"),
    Provider("proton", ("protonmail.ch", "proton.ch", "proton.me"), "_spf.protonmail.ch"),
    Provider("yandex", ("yandex.net", "yandex.ru"), "_spf.yandex.net"),
    Provider("mail.ru", ("mail.ru",), "_spf.mail.ru"),
    Provider("ionos", ("kundenserver.de", "perfora.net", "ionos.com"), "_spf.kundenserver.de"),
    Provider("gmx", ("gmx.net", "gmx.com", "web.de"), "gmx.net"),
    Provider("strato", ("rzone.de",)),
    Provider("ovh", ("ovh.net",), "mx.ovh.com"),
    Provider("gandi", ("gandi.net",), "_mailcust.gandi.net"),
    Provider("infomaniak", ("infomaniak.ch", "infomaniak.com"), "spf.infomaniak.ch"),
    Provider("namecheap", ("registrar-servers.com", "privateemail.com"), "spf.efwd.registrar-servers.com"),
    Provider("godaddy", ("secureserver.net",), "secureserver.net"),
    Provider("hostinger", ("hostinger.com", "titan.email"), "_spf.mail.hostinger.com"),
    Provider("rackspace", ("emailsrvr.com",), "emailsrvr.com"),
    Provider("cloudflare", ("cloudflare-email.com", "cloudflare-email.net"), "_spf.mx.cloudflare.net"),
    Provider("forwardemail", ("forwardemail.net",), "spf.forwardemail.net"),
    Provider("improvmx", ("improvmx.com",), "spf.improvmx.com"),
    Provider("migadu", ("migadu.com",), "spf.migadu.com"),
    Provider("mailgun", ("mailgun.net", "mailgun.org"), "mailgun.org"),
    Provider("sendgrid", ("sendgrid.net",), "sendgrid.net"),
    Provider("mimecast", ("mimecast.com",), "_netblocks.mimecast.com"),
    Provider("proofpoint", ("pphosted.com", "ppe-hosted.com")),
    Provider("symantec", ("messagelabs.com",), "spf.messagelabs.com"),
    Provider("barracuda", ("barracudanetworks.com",), "spf.ess.barracudanetworks.com"),
)

_BY_NAME = {provider.name: provider for provider in PROVIDERS}


def is_below(name: str, domains: Iterable[str]) -> bool:
    """Whether a host name (lower case) is one of `domains`, or below one."""
    return any(name == domain or name.endswith("." + domain) for domain in domains)


def provider_of(names: Iterable[str]) -> str:
    """The provider that one of these host names or ARC sealers belongs to; empty for none."""
    wanted = [name.lower().rstrip(".") for name in names if name]
    return next((p.name for p in PROVIDERS if any(is_below(name, p.hosts) for name in wanted)), "")


def spf_name_of(provider: str) -> str:
    """The name whose SPF record lists the provider's network, empty where there is none."""
    found = _BY_NAME.get(provider)
    return found.spf if found else ""
