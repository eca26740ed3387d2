"""The table of records that the page on installing asks for, as a zone: doctor asks for those, and for no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.commands.doctor_records import AccountNames, examine
from gateway.commands.findings import Health
from gateway.resolver import DnsResolver
from tests.conftest import ROOT

HOST, DOMAIN = "mx.gateway.example", "gateway.example"
KEY = "v=DKIM1; k=rsa; p=QUJD"
ACME = AccountNames("acme", f"acme.{DOMAIN}", f"gw1._domainkey.acme.{DOMAIN}", KEY)
ROWS = re.findall(
    rf"^\| `([^`]*{re.escape(DOMAIN)})` \| (.+?) \| ",
    (ROOT / "docs" / "operate" / "install.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def records(name: str, said: str) -> list[str]:
    """What a row of the table says, as lines of a zone file."""
    name = name.replace("<account>", "acme")
    if said.startswith("A, AAAA"):
        return [f"{name}. A 192.0.2.1", f"1.2.0.192.in-addr.arpa. PTR {name}."]
    if said == "the same MX and TXT as `*.` once more":
        return [r for n, s in ROWS if n.startswith("*.") for r in records(name, s)]
    if said == "TXT, as `gateway account show NAME` prints it":
        return [f'{name}. TXT "{KEY}"']
    kind, value = re.fullmatch(r"(MX|TXT) `(.+)`", said).groups()  # type: ignore[union-attr]
    value = value.replace(" include:<your relay>", "")
    return [f'{name}. TXT "{value}"' if kind == "TXT" else f"{name}. MX {value}"]


async def missing(rows: list[tuple[str, str]], tmp_path: Path) -> list[str]:
    zone = tmp_path / "zone"
    zone.write_text("\n".join([". 60 IN SOA ns. h. 1 1 1 1 1", *(r for row in rows for r in records(*row))]) + "\n")
    resolver = DnsResolver(("127.0.0.1",), 9, 0.2, zone)
    found = [f async for f in examine(resolver, HOST, DOMAIN, (ACME,))]
    return [f"{f.check}: {f.detail}" for f in found if f.status is not Health.OK]


async def test_who_publishes_the_table_is_asked_for_nothing_more(tmp_path: Path) -> None:
    assert len(ROWS) == 9
    assert await missing(ROWS, tmp_path) == []


@pytest.mark.parametrize("left_out", range(len(ROWS)), ids=lambda n: " ".join(ROWS[n]))
async def test_each_row_of_the_table_is_asked_for(left_out: int, tmp_path: Path) -> None:
    assert await missing([row for n, row in enumerate(ROWS) if n != left_out], tmp_path)
