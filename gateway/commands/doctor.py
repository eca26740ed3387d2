"""Is everything well around us: one finding for each thing looked at, with the cure. Nothing is changed, no mail is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gateway.commands import doctor_certificate, doctor_ground, doctor_records, doctor_scanners, doctor_services
from gateway.commands.findings import Finding, failed, warned
from gateway.core.errors import DnsFailure, InvalidInput
from gateway.resolver import DnsResolver
from gateway.settings import Settings


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """From the ground up; what stands on something that failed is left out, so that the first `fail` is the cause."""
    for finding in await asyncio.to_thread(doctor_ground.examine, settings):
        yield finding
    async for finding in doctor_scanners.examine(settings):
        yield finding
    for finding in await doctor_services.relays(settings):
        yield finding
    for finding in doctor_certificate.examine(settings):
        yield finding
    for finding in await doctor_services.listeners(settings):
        yield finding
    async for finding in _dns(settings, await asyncio.to_thread(doctor_ground.account_names, settings)):
        yield finding


async def _dns(settings: Settings, names: tuple[doctor_records.AccountNames, ...]) -> AsyncIterator[Finding]:
    dns = settings.dns
    try:
        resolver = DnsResolver(dns.nameservers or None, dns.port, dns.timeout_seconds, dns.zone_file)
    except InvalidInput as error:
        yield failed("dns", str(error))
        return
    try:
        yield await doctor_records.own_address(resolver, settings.hostname)
    except DnsFailure as error:
        yield failed("dns", f"{error}; check dns.nameservers, and that this machine may send to port {dns.port}")
        yield warned("own records", "not looked up: DNS does not answer")
        return
    async for finding in doctor_records.examine(resolver, settings.hostname, settings.domain, names):
        yield finding
