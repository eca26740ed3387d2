"""What DNS says that a mailbox's check depends on: where its mail goes, and whether others can verify ours."""

from __future__ import annotations

from gateway.commands import doctor_records
from gateway.commands.doctor_records import AccountNames
from gateway.commands.findings import Finding, warned, well
from gateway.core.addresses import BadAddress, normal_domain
from gateway.core.errors import DnsFailure
from gateway.core.ports import Resolver
from gateway.notify.sign import public_record
from gateway.store import listing
from gateway.store.engine import Store
from gateway.store.secret import Secret


def names_of(store: Store, keys: Secret, account_id: str, domain: str) -> AccountNames:
    """What the account wants published; `domain` is its own at the gateway."""
    account = listing.account(store, account_id)
    pem = keys.decrypt(listing.sealed_dkim_key(store, account_id), f"dkim:{account_id}")
    record_name = f"{account['dkim_selector']}._domainkey.{domain}"
    return AccountNames(account["name"], domain, record_name, public_record(pem))


async def examine(resolver: Resolver, names: AccountNames, mailbox: str) -> list[Finding]:
    """Findings for people; DNS that does not answer is one of them."""
    return [await _exchangers(resolver, mailbox.rpartition("@")[2]), await doctor_records.signing_key(resolver, names)]


async def _exchangers(resolver: Resolver, domain: str) -> Finding:
    check = f"MX of {domain}"
    try:
        hosts = [str(host) for _, host in sorted(await resolver.records(normal_domain(domain), "MX"))]
    except (DnsFailure, BadAddress) as error:
        return warned(check, f"not known: {error}")
    if not hosts:
        return warned(
            check, f"there is none: mail for {domain} goes to the host of that name, if it has an address at all"
        )
    return well(check, f"mail for {domain} goes to {', '.join(hosts)}")
