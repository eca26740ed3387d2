"""A message that breaks our code is kept, parked, shown, and taken again after the fix."""

from __future__ import annotations

import asyncio

import pytest

from gateway import app
from gateway.commands.rerun import rerun
from gateway.core.outcome import Accepted, Outcome
from tests.servers.gateway import Fault, RunningGateway, dotted, mail

STAGES = ["parse", "verify", "scan", "recall", "decide"]


def _rerun(gateway: RunningGateway, message_id: str) -> Outcome:
    """What `gateway parked rerun` does, beside a gateway that serves."""

    async def run() -> Outcome:
        async with app.Line(gateway.ground) as line:
            return await rerun(line, gateway.account_ids["acme"], message_id)

    return asyncio.run(run())


@pytest.mark.parametrize("stage", STAGES)
def test_it_is_parked_seen_and_taken_after_the_fix(gateway: RunningGateway, stage: str) -> None:
    gateway.start(Fault(stage, "raise", marker="broken", times=0))
    content = mail("broken", text="broken")
    reply = gateway.send(content)
    assert (reply.code, reply.text) == (250, f"2.0.0 {reply.trace} accepted")

    [parked] = gateway.messages(disposition="parked")
    assert (parked["reason"], parked["trace"]) == ("crashed", reply.trace)
    assert gateway.raw("acme", parked["id"]) == content
    trace = gateway.trace(reply.trace)
    assert trace["outcome"] == "parked"
    assert {"detail": f"InjectedFault in stage {stage}"} in [e["detail"] for e in trace["events"]]
    assert "secret internals" not in str(trace)

    assert gateway.send(mail("next")).code == 250
    assert [t["subject"] for t in gateway.tickets()] == ["Question next"]
    assert gateway.send(content).trace == reply.trace
    assert gateway.outbox()[0]["ticket"] == 1
    assert len(gateway.outbox()) == 1

    gateway.restart()
    assert isinstance(_rerun(gateway, parked["id"]), Accepted)
    assert [m["disposition"] for m in gateway.messages()] == ["ticketed", "ticketed"]
    assert {t["subject"] for t in gateway.tickets()} == {"Question next", "Question broken"}
    assert gateway.audit().problems == []


def test_a_large_message_that_crashes_is_parked_with_its_blob(gateway: RunningGateway) -> None:
    gateway.start(Fault("parse", "raise", marker="broken"))
    content = mail("broken", text="\r\n".join(["broken" * 10] * 6000))
    assert len(content) > 300_000
    assert gateway.send(content).code == 250
    [parked] = gateway.messages(disposition="parked")
    assert gateway.raw("acme", parked["id"]) == content
    assert isinstance(_rerun(gateway, parked["id"]), Accepted)
    assert gateway.audit().counts["unowned blobs"] == 0


def test_one_that_cannot_even_be_parked_is_deferred_and_nobody_else_is(gateway: RunningGateway) -> None:
    """The commit itself breaks, for the whole group and then for this member alone: 451, and the next try is taken."""
    gateway.start(Fault("group", "raise", marker="broken", times=4))
    content = mail("broken", text="broken")
    reply = gateway.send(content)
    assert reply.code == 451
    assert reply.text.endswith("temporary trouble on our side, please try again later")
    assert gateway.send(mail("next")).code == 250
    assert len(gateway.messages()) == 1


@pytest.mark.parametrize("stage", ["receive", "judge-recipient"])
def test_a_bug_beside_the_line_is_never_a_5xx_and_never_told(gateway: RunningGateway, stage: str) -> None:
    gateway.start(Fault(stage, "raise"))
    with gateway.session() as client:
        client.docmd("MAIL FROM:<anna@customer.test>")
        codes = [client.docmd(c) for c in ("RCPT TO:<support@acme.gw.test>", "DATA")]
        if stage == "receive":
            client.send(dotted(mail("any")))
            codes.append(client.getreply())
    assert codes[-1][0] in (451, 503)
    assert any(code == 451 for code, _ in codes)
    assert b"secret" not in b" ".join(text for _, text in codes)
    assert gateway.send(mail("next")).code == 250
