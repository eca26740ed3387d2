"""A relay that refuses, puts off, hangs and cuts: our mail is never lost, and doubled only by a cut after the dot."""

from __future__ import annotations

from typing import Any

from gateway.store import outbox_changes
from tests.faults.relay import CUT, HANG, TAKE, Relay
from tests.servers.gateway import RunningGateway, mail, wait_until

QUICK = {"retry_seconds": 0.3}
ANNA, BERT = "anna@customer.test", "bert@customer.test"


def _owed(gateway: RunningGateway, state: str, count: int = 1) -> list[dict[str, Any]]:
    return wait_until(lambda: found if len(found := gateway.outbox(state=state)) == count else [], f"{count} {state}")


def _attempts(gateway: RunningGateway, row: dict[str, Any]) -> list[dict[str, Any]]:
    return [e for e in gateway.trace(row["trace"])["events"] if e["stage"] == "deliver"]


def test_a_refusal_is_final_and_shows_the_relays_words(gateway: RunningGateway, relay: Relay) -> None:
    relay.answer = lambda r: "550 5.7.1 we do not like this" if r == ANNA else TAKE
    gateway.start(tune=QUICK)
    gateway.send(mail("refused"))
    [row] = _owed(gateway, "failed")
    assert row["last_reply"] == "550 5.7.1 we do not like this"
    [event] = _attempts(gateway, row)
    assert (event["outcome"], event["detail"]["code"]) == ("failed", 550)
    gateway.send(mail("next", author=BERT))
    _owed(gateway, "delivered")
    assert len(relay.to(ANNA)) == 1
    assert [m["disposition"] for m in gateway.messages()] == ["ticketed", "ticketed"]

    relay.answer = lambda _recipient: TAKE
    assert outbox_changes.retry_outbox(gateway.store, gateway.named["acme"], row["id"]) == 1
    _owed(gateway, "delivered", 2)
    first, second = relay.to(ANNA)
    assert (first.message_id, first.unsigned) == (second.message_id, second.unsigned)


def test_greylisting_is_tried_again_until_it_is_taken(gateway: RunningGateway, relay: Relay) -> None:
    answers = ["451 4.7.1 greylisted", "450 4.2.0 still greylisted", TAKE]
    relay.answer = lambda _recipient: answers.pop(0)
    gateway.start(tune=QUICK)
    gateway.send(mail("grey"))
    [row] = _owed(gateway, "delivered")
    assert row["attempts"] == 3
    assert [e["outcome"] for e in _attempts(gateway, row)] == ["retry", "retry", "delivered"]
    assert len({t.unsigned for t in relay.seen}) == 1
    assert len(relay.taken) == 1


def test_a_first_refusal_to_wait_is_kept_with_the_time_of_the_next_try(gateway: RunningGateway, relay: Relay) -> None:
    """On the real schedule; `gateway outbox retry` does not wait for it."""
    relay.answer = lambda _recipient: "451 4.7.1 greylisted"
    gateway.start()
    gateway.send(mail("grey"))
    row = wait_until(lambda: next((o for o in gateway.outbox() if o["attempts"] == 1), None), "a first attempt")
    assert (row["state"], row["last_reply"]) == ("pending", "451 4.7.1 greylisted")
    assert row["next_at"] > row["created_at"]
    relay.answer = lambda _recipient: TAKE
    outbox_changes.retry_outbox(gateway.store, gateway.named["acme"], row["id"])
    _owed(gateway, "delivered")


def test_a_relay_that_hangs_on_some_mail_does_not_hold_up_the_rest(gateway: RunningGateway, relay: Relay) -> None:
    relay.answer = lambda r: HANG if r == ANNA else TAKE
    gateway.start(tune={"attempt_seconds": 5.0, "retry_seconds": 60})
    gateway.send(mail("hangs"))
    wait_until(lambda: relay.to(ANNA), "the relay hangs")
    for n in range(20):
        gateway.send(mail(n, author=f"customer{n}@customer.test"))
    _owed(gateway, "delivered", 20)
    row = wait_until(lambda: next((o for o in gateway.outbox(state="pending") if o["attempts"]), None), "a time-out")
    [event] = _attempts(gateway, row)
    assert (event["outcome"], event["detail"]["code"]) == ("retry", 0)
    assert "uncertain" in event["detail"]


def test_a_cut_after_the_dot_sends_the_same_bytes_with_the_same_message_id(
    gateway: RunningGateway, relay: Relay
) -> None:
    answers = [CUT, TAKE]
    relay.answer = lambda _recipient: answers.pop(0)
    gateway.start(tune=QUICK)
    gateway.send(mail("cut"))
    [row] = _owed(gateway, "delivered")
    first, second = relay.seen
    assert first.message_id == second.message_id == f"<{row['message_id']}>"
    assert first.unsigned == second.unsigned
    assert "uncertain" in _attempts(gateway, row)[0]["detail"]
    assert gateway.audit().problems == []


def test_a_relay_that_was_away_gets_everything_once_when_it_is_back(gateway: RunningGateway, relay: Relay) -> None:
    relay.stop()
    gateway.start(tune=QUICK)
    for n in range(5):
        gateway.send(mail(n, author=f"customer{n}@customer.test"))
    wait_until(lambda: any(o["attempts"] for o in _owed(gateway, "pending", 5)), "an attempt at least")
    wait_until(lambda: "relay left alone" in gateway.log.read_text(), "the outage is in the log")
    relay.start()
    _owed(gateway, "delivered", 5)
    assert len({t.message_id for t in relay.taken}) == len(relay.taken) == 5


def test_what_is_owed_survives_a_kill_before_it_is_sent(gateway: RunningGateway, relay: Relay) -> None:
    relay.stop()
    gateway.start()
    gateway.send(mail("owed"))
    gateway.kill_group()
    relay.start()
    gateway.start(tune=QUICK)
    outbox_changes.retry_outbox(gateway.store, gateway.named["acme"], None)
    _owed(gateway, "delivered")
    assert len(relay.taken) == 1


def test_a_relay_that_hangs_does_not_hold_up_the_stop(gateway: RunningGateway, relay: Relay) -> None:
    relay.answer = lambda _recipient: HANG
    gateway.start()
    gateway.send(mail("hangs"))
    wait_until(lambda: relay.seen, "the relay hangs")
    assert gateway.stop(20) == 0
    [row] = gateway.outbox(state="pending")
    assert "uncertain" in _attempts(gateway, row)[0]["detail"]
    relay.answer = lambda _recipient: TAKE
    gateway.start()
    outbox_changes.retry_outbox(gateway.store, gateway.named["acme"], None)
    _owed(gateway, "delivered")
    assert len({t.message_id for t in relay.seen}) == 1
    assert len({t.unsigned for t in relay.seen}) == 1
