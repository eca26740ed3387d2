"""The ARC validation suite and real sealed messages, through our own check."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from ruamel.yaml import YAML
from shapes import DictResolver, envelope, message, place

from gateway.core.ports import AuthEvidence
from gateway.verify.checks.arc import CHECK

CASES_IN_THE_SUITE = 171


async def judge(content: bytes, zone: dict[str, str], at: datetime):
    resolver = DictResolver({(name, "TXT"): [record] for name, record in zone.items()})
    evidence = AuthEvidence(
        envelope(content, at=at), message("jqd@d1.example.org"), place(), resolver, time.monotonic() + 10
    )
    (result,) = await CHECK.check(evidence)
    return result


def cases_of(text: str):
    """(name, message, keys, expected)."""
    reader = YAML(typ="safe")
    reader.allow_duplicate_keys = True  # three cases stand twice, word for word
    for suite in reader.load_all(text):
        for name, case in suite["tests"].items():
            # A chain that had failed before has an empty cv in the suite.
            yield name, case["message"], dict(suite["txt-records"] or ()), (case["cv"] or "Fail").lower()


async def test_every_case_of_the_validation_suite_is_judged_as_its_authors_say(corpora):
    text = (corpora / "arc" / "arc-draft-validation-tests.yml").read_text()
    seen, wrong = 0, []
    for name, text_of, zone, expected in cases_of(text):
        content = text_of.lstrip("\n").replace("\n", "\r\n").encode()
        found = await judge(content, zone, datetime(2026, 11, 21, tzinfo=UTC))
        seen += 1
        if found.result != expected:
            wrong.append((name, expected, found))
    assert not wrong
    assert seen == CASES_IN_THE_SUITE


@pytest.mark.parametrize(("name", "sealers"), [("001.txt", "google.com"), ("002.txt", "manchego.org, scamorza.org")])
async def test_every_real_sealed_message_passes(corpora, name, sealers):
    head, _, content = (corpora / "arc" / "more" / name).read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    zone = dict(line.decode().split(" ", 1) for line in head.splitlines())
    signed_at = int(re.search(rb"[;\s]t=(\d+)", content).group(1))
    found = await judge(content.replace(b"\n", b"\r\n"), zone, datetime.fromtimestamp(signed_at, UTC))
    assert (found.result, found.detail) == ("pass", f"sealed by {sealers}")
    assert dict(found.properties)["header.oldest-pass"] == "0"
    broken = await judge(content.replace(b"\n", b"\r\n") + b"buy now\r\n", zone, datetime.fromtimestamp(signed_at, UTC))
    assert (broken.result, "the body has changed" in broken.detail) == ("fail", True)
