"""`doctor`: is everything well, and what to do where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gateway.cli import show
from gateway.cli.desk import settings_of
from gateway.cli.options import AsJson
from gateway.core.errors import InvalidInput

if TYPE_CHECKING:
    from gateway.commands.findings import Finding
    from gateway.settings import Settings

_WORDS = {
    "ok": show.Words("ok  ", "green"),
    "warn": show.Words("warn", "yellow"),
    "fail": show.Words("FAIL", "bold red"),
}
_WIDTH = 6


def doctor(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Test all that the gateway stands on: database, blobs, scanner, relay, certificate, clock, disk, ports, DNS records.

    A line for each, with the cure where something is wrong. Nothing is changed and no mail is sent. Exit 1 if any fails.
    """
    import asyncio

    from gateway.commands.findings import Health, failed, well

    found: list[Finding] = []
    try:
        settings = settings_of(ctx)
    except InvalidInput as error:
        found += [failed("configuration", problem) for problem in str(error).splitlines()]
        _print(found, as_json=as_json)
    else:
        where = f"good: {settings.hostname} for *@<account>.{settings.domain}, data in {settings.data_dir}"
        found = [well("configuration", where)]
        _print(found, as_json=as_json)
        found += asyncio.run(_examined(settings, as_json=as_json))
    if as_json:
        show.document([{"check": f.check, "status": f.status.value, "detail": f.detail} for f in found])
    if any(f.status is Health.FAIL for f in found):
        raise typer.Exit(1)


async def _examined(settings: Settings, *, as_json: bool) -> list[Finding]:
    """Each is printed as soon as it is known: some wait for others to answer."""
    from gateway.commands.doctor import examine

    found = []
    async for finding in examine(settings):
        found.append(finding)
        _print([finding], as_json=as_json)
    return found


def _print(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        return
    for finding in findings:
        status = _WORDS[finding.status.value]
        body = (show.Words(finding.check, "bold"), show.Words(f": {finding.detail}"))
        show.page([show.Line((status,), body, width=_WIDTH)])
