"""A message that breaks our code is kept, parked, shown, and taken again after the fix."""

from __future__ import annotations

import asyncio

import pytest

from gateway.commands.rerun import rerun
from gateway.core.outcome import Accepted, Outcome
from gateway.line import Line
from tests.servers.gateway import Fault, RunningGateway, dotted, mail

STAGES = ["parse", "verify", "scan", "recall", "decide"]


def _rerun(gateway: RunningGateway, message_id: str) -> Outcome:
    """What `gateway parked rerun` does, beside a gateway that serves."""

    async def run() -> Outcome:
        async with Line(gateway.ground) as line:
            return await rerun(line, gateway.named["acme"], message_id)

    return asyncio.run(run())


def test_it_is_parked_seen_and_taken_after_the_fix(gateway: RunningGateway) -> None:
    """One message for every stage of the line, and a good one between them."""
    gateway.start(*(Fault(stage, "raise", marker=f"break-{stage}", times=0) for stage in STAGES))
    parked = {stage: _park(gateway, stage) for stage in STAGES}
    assert len(gateway.outbox()) == len(gateway.tickets()) == len(STAGES)

    gateway.restart()
    for message_id in parked.values():
        assert isinstance(_rerun(gateway, message_id), Accepted)
    assert [m["disposition"] for m in gateway.messages()] == ["ticketed"] * len(STAGES) * 2
    assert {f"Question break-{stage}" for stage in STAGES} <= {t["subject"] for t in gateway.tickets()}
    assert gateway.audit().problems == []


def _park(gateway: RunningGateway, stage: str) -> str:
    """Send what breaks at `stage` and look at what became of it; the message id."""
    name = f"break-{stage}"
    content = mail(name, author=f"{name}@customer.test")
    reply = gateway.send(content)
    assert (reply.code, reply.text) == (250, f"2.0.0 {reply.trace} accepted")
    [parked] = [m for m in gateway.messages(disposition="parked") if m["trace"] == reply.trace]
    assert parked["reason"] == "crashed"
    assert gateway.raw("acme", parked["id"]) == content

    trace = gateway.trace(reply.trace)
    assert trace["outcome"] == "parked"
    assert {"detail": f"InjectedFault in stage {stage}"} in [e["detail"] for e in trace["events"]]
    assert "secret internals" not in str(trace)

    assert gateway.send(content).trace == reply.trace
    assert gateway.send(mail(f"after-{stage}", author=f"after-{stage}@customer.test")).code == 250
    assert gateway.tickets()[0]["subject"] == f"Question after-{stage}"
    assert f"{name}@customer.test" not in [o["recipient"] for o in gateway.outbox()]
    return str(parked["id"])


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
