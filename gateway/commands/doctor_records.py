"""What the world reads of us in DNS: where mail for us goes, who may send in our names, and by which keys."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from ipaddress import ip_address

from gateway.commands.findings import Finding, warned, well
from gateway.core.errors import DnsFailure
from gateway.core.ports import Resolver

AT_ONCE = 20
_KEY = re.compile(r"(?:^|;)\s*p\s*=([^;]*)")
_SPF = re.compile(r"v=spf1( |$)", re.IGNORECASE)
_DMARC = re.compile(r"v=DMARC1\s*(;|$)")
_WILDCARD = (
    "a wildcard does not cover names that have records of their own or below them (RFC 4592), as the DKIM key is"
)


@dataclass(frozen=True, slots=True)
class AccountNames:
    """An account's names in DNS: its gateway domain, its DKIM record, and domains of its own whose MX we are to be."""

    name: str
    domain: str
    dkim_name: str
    dkim_record: str
    own_domains: tuple[str, ...] = ()


async def own_address(resolver: Resolver, hostname: str) -> Finding:
    """Raises DnsFailure when nobody answers."""
    found = await _addresses(resolver, hostname)
    if not found:
        return warned(
            "dns", f"answers, but {hostname} has no address; publish: {hostname}. A (or AAAA) and its address"
        )
    return well("dns", f"answers: {hostname} is {', '.join(sorted(found))}")


async def examine(
    resolver: Resolver, hostname: str, domain: str, accounts: tuple[AccountNames, ...]
) -> AsyncIterator[Finding]:
    """Only warnings: some run behind a gateway of their own, and mail may come in all the same."""
    if domain.rpartition(".")[2] == "localhost":
        yield warned("own records", f"{domain} is known on this machine only; set `domain` to one of yours")
        return
    label = f"{secrets.token_hex(6)}.{domain}"
    for name, asked in ((domain, domain), (f"*.{domain}", label)):
        yield await _guarded(f"MX of {name}", _said(f"MX of {name}", _mx(resolver, asked, hostname, shown=name)))
        record = f"v=spf1 a:{hostname} -all"
        yield await _guarded(f"SPF of {name}", _said(f"SPF of {name}", _spf(resolver, asked, record, shown=name)))
    own = f"SPF of {hostname}"
    yield await _guarded(own, _said(own, _spf(resolver, hostname, "v=spf1 a -all", shown=hostname)))
    yield await _guarded(f"DMARC of {domain}", _dmarc(resolver, domain))
    yield await _guarded(f"PTR of {hostname}", _ptr(resolver, hostname))
    gate = asyncio.Semaphore(AT_ONCE)
    for finding in await asyncio.gather(*(_account(resolver, a, hostname, gate) for a in accounts)):
        yield finding


async def _guarded(check: str, finding: Awaitable[Finding]) -> Finding:
    try:
        return await finding
    except DnsFailure as error:
        return warned(check, f"not known: {error}")


async def _said(check: str, wrong: Awaitable[str]) -> Finding:
    text = await wrong
    return warned(check, text) if text else well(check, "is published")


async def _addresses(resolver: Resolver, host: str) -> set[str]:
    found = await asyncio.gather(resolver.records(host, "A"), resolver.records(host, "AAAA"))
    return {str(a) for answers in found for a in answers}


async def _mx(resolver: Resolver, asked: str, hostname: str, *, shown: str) -> str:
    """What to publish; empty when some exchange of the name is us, by its name or by its address."""
    hosts = {str(host).lower() for _, host in await resolver.records(asked, "MX")}
    if hostname in hosts:
        return ""
    ours = await _addresses(resolver, hostname)
    for host in sorted(hosts):
        if ours & await _addresses(resolver, host):
            return ""
    found = f"leads to {', '.join(sorted(hosts))}; " if hosts else ""
    return f"{found}publish: {shown}. MX 10 {hostname}."


async def _spf(resolver: Resolver, asked: str, record: str, *, shown: str) -> str:
    found = [t for t in await _texts(resolver, asked) if _SPF.match(t)]
    if len(found) > 1:
        return f"{len(found)} records, which count as none (RFC 7208 section 4.5); publish one only"
    if not found:
        return f'publish: {shown}. TXT "{record}" (and what your relay asks for, if mail leaves through one)'
    return ""


async def _texts(resolver: Resolver, name: str) -> list[str]:
    return [t.decode("utf-8", "replace") for t in await resolver.txt(name)]


async def _dmarc(resolver: Resolver, domain: str) -> Finding:
    check = f"DMARC of {domain}"
    if any(_DMARC.match(t) for t in await _texts(resolver, f"_dmarc.{domain}")):
        return well(check, "is published")
    return warned(check, f'publish: _dmarc.{domain}. TXT "v=DMARC1; p=quarantine"')


async def _ptr(resolver: Resolver, hostname: str) -> Finding:
    """Receivers want the address to lead back to the name we greet with (RFC 1912 section 2.1)."""
    check = f"PTR of {hostname}"
    wrong = []
    ours = sorted(await _addresses(resolver, hostname))
    for address in ours:
        names = await resolver.records(ip_address(address).reverse_pointer, "PTR")
        if hostname not in {str(n).lower() for n in names}:
            wrong.append(f"{address} leads to {', '.join(map(str, names)) or 'nothing'}")
    if not ours:
        return warned(check, f"{hostname} has no address, so nothing can lead back to it")
    if wrong:
        return warned(check, f"{'; '.join(wrong)}; ask who gave you the address to set its PTR to {hostname}.")
    return well(check, f"{', '.join(ours)} lead back to it")


async def _account(resolver: Resolver, account: AccountNames, hostname: str, gate: asyncio.Semaphore) -> Finding:
    check = f"account {account.name}"

    async def look() -> Finding:
        mx = [await _mx(resolver, d, hostname, shown=d) for d in (account.domain, *account.own_domains)]
        spf = await _spf(resolver, account.domain, f"v=spf1 a:{hostname} -all", shown=account.domain)
        wrong = [text for text in (*mx, spf, await _dkim(resolver, account)) if text]
        if not wrong:
            return well(check, "MX, SPF and DKIM are published")
        return warned(check, "; ".join([*wrong, *([_WILDCARD] if mx[0] or spf else [])]))

    async with gate:
        return await _guarded(check, look())


async def signing_key(resolver: Resolver, account: AccountNames) -> Finding:
    """Whether others can verify what the account signs."""
    check = f"DKIM of {account.domain}"
    return await _guarded(check, _said(check, _dkim(resolver, account)))


async def _dkim(resolver: Resolver, account: AccountNames) -> str:
    found = {_public_key(t) for t in await _texts(resolver, account.dkim_name)}
    if _public_key(account.dkim_record) in found:
        return ""
    other = "another key is there; " if found - {""} else ""
    return f'{other}publish: {account.dkim_name}. TXT "{account.dkim_record}"'


def _public_key(record: str) -> str:
    """The key of a DKIM record (RFC 6376 section 3.6.1), in which white space does not count."""
    found = _KEY.search(record)
    return re.sub(r"\s", "", found.group(1)) if found else ""
