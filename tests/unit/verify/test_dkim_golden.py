"""The golden DKIM folders and real signed messages, through our own check."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from shapes import DictResolver, envelope, message, place

from gateway.core.ports import AuthEvidence
from gateway.verify.checks.dkim import CHECK

NOT_PROVEN = {"fail", "permerror", "policy", "neutral"}
COVERS_PART_OF_THE_BODY = "09-limited_body"
"""Its first signature verifies and has an `l=` shorter than the body: for us that is `policy` (trust.md T18)."""


async def judge(content: bytes, resolver, at: datetime = datetime(2026, 11, 21, tzinfo=UTC)):
    evidence = AuthEvidence(
        envelope(content, at=at), message("joe@football.example.com"), place(), resolver, time.monotonic() + 10
    )
    return await CHECK.check(evidence)


def zone_of(path: Path) -> DictResolver:
    zone: dict = {}
    broken: set[str] = set()
    text = path.read_text() if path.exists() else ""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        name, colon, value = line.partition(":")
        if not colon:
            continue
        if value.strip() == "TEMPERROR":
            broken.add(name.strip())
        elif value.strip() != "PERMERROR":
            zone.setdefault((name.strip(), "TXT"), []).append(re.sub(r"\s+", " ", value).strip())
    return DictResolver(zone, broken)


CASES = ["01-rfc8463", "02-too_many_headers", "04-bad_dkim_signature_header", "05-dns_temp_error", "06-dns_perm_error",
         "07-algo_mismatch", "08-our_signature", "09-limited_body", "10-strict_domain_check_pass", "11-strict_domain_check_fail"]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_every_golden_signature_is_judged_as_its_authors_say(corpora, case):
    folder = corpora / "dkim"
    content = (folder / f"{case}.msg").read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    expected = json.loads((folder / f"{case}.result").read_text())["Results"]
    results = await judge(content, zone_of(folder / f"{case}.dns"))
    assert len(results) >= len(expected)
    for n, (want, got) in enumerate(zip(expected, results, strict=False)):
        if want["State"] == "SUCCESS":
            assert got.result == ("policy" if case == COVERS_PART_OF_THE_BODY and n == 0 else "pass"), got
            assert dict(got.properties)["header.d"] == want["Domain"]
        elif want["State"] == "TEMPFAIL":
            assert got.result == "temperror"
        else:
            assert got.result in NOT_PROVEN


async def test_a_message_that_begins_with_a_folded_line_has_no_signature(corpora):
    (found,) = await judge((corpora / "dkim" / "03-bad_message.msg").read_bytes(), DictResolver({}))
    assert found.result == "none"


async def test_every_real_signed_message_verifies(corpora):
    for path in sorted((corpora / "dkim" / "more").glob("0*.txt")):
        head, _, content = path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
        pairs = [line.split(b" ", 1) for line in head.splitlines()]
        resolver = DictResolver({(name.decode(), "TXT"): [record] for name, record in pairs})
        signed_at = re.search(rb"[;\s]t=(\d+)", content)
        at = datetime.fromtimestamp(int(signed_at.group(1)) if signed_at else 1.7e9, UTC)
        results = await judge(content.replace(b"\n", b"\r\n"), resolver, at)
        ours = [r for r in results if dict(r.properties)["header.d"] in head.decode()]
        assert ours, path.name
        assert all(r.result == "pass" for r in ours), (path.name, results)
