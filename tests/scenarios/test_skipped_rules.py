"""A pattern of the live policy cannot be run any more: mail goes on, and with every message somebody is told."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from gateway.policy import patterns
from gateway.policy.patterns import BadPattern
from tests.scenarios.test_replay import go_live
from tests.servers.inprocess import Client, Gateway, numbered

POLICY = """
rules:
  - {name: ill, if: {subject: {regex: 'x+y'}}, then: [quarantine]}
  - {name: well, then: [{tag: seen}]}
"""


def skipped() -> float:
    return REGISTRY.get_sample_value("gateway_policy_rules_skipped_total") or 0


async def test_mail_goes_on_without_the_rule_and_an_alarm_is_raised(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await go_live(gateway, POLICY)
    healthy, before = patterns.compiled, skipped()

    def compiled(pattern: str) -> object:
        if pattern == "x+y":
            raise BadPattern("RE2 has changed its mind")
        return healthy(pattern)

    monkeypatch.setattr(patterns, "compiled", compiled)
    reply = await client.mail(numbered("xxy"))

    assert (reply.code, gateway.messages()[0]["disposition"]) == (250, "ticketed")
    decided = next(e for e in gateway.trace(reply.trace)["events"] if e["stage"] == "decide")
    assert decided["detail"]["skipped"] == {"ill": "RE2 has changed its mind"}
    assert decided["detail"]["rules"] == ["well"]
    assert skipped() == before + 1
