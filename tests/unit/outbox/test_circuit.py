"""What is remembered of a relay that failed, and for how long."""

from __future__ import annotations

import pytest

from gateway.outbox.circuit import FIRST_PAUSE, Circuit, Standing, Trouble


def standing(circuit: Circuit) -> Standing:
    return circuit.standing


def paused(circuit: Circuit, at: float) -> float:
    """How long from `at` until it is looked at again."""
    seconds = 0.0
    while not circuit.knock_due(at + seconds):
        seconds += 0.5
    return seconds


def test_the_first_failure_ends_trust_and_says_so_once() -> None:
    circuit = Circuit()
    assert circuit.failed(Trouble.SILENT, 100.0)
    assert standing(circuit) is Standing.AWAY
    assert not circuit.failed(Trouble.SILENT, 100.1)
    assert paused(circuit, 100.0) == FIRST_PAUSE


def test_sixteen_that_fail_at_once_count_as_one() -> None:
    circuit = Circuit()
    for n in range(16):
        circuit.failed(Trouble.SILENT, 100.0 + n / 100)
    assert paused(circuit, 100.0) == FIRST_PAUSE


@pytest.mark.parametrize("trouble", list(Trouble))
def test_pauses_double_up_to_what_the_trouble_allows(trouble: Trouble) -> None:
    circuit, at, pauses = Circuit(), 100.0, []
    for _ in range(14):
        circuit.failed(trouble, at)
        pauses.append(paused(circuit, at))
        at += pauses[-1]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == trouble.value


def test_a_knock_answered_is_a_trial_and_mail_answered_the_end_of_it() -> None:
    circuit = Circuit()
    circuit.failed(Trouble.SILENT, 100.0)
    circuit.knocked()
    assert standing(circuit) is Standing.ON_TRIAL
    assert [circuit.answered(), circuit.answered()] == [True, False]
    assert standing(circuit) is Standing.WELL
    circuit.failed(Trouble.SILENT, 200.0)
    assert paused(circuit, 200.0) == FIRST_PAUSE


def test_what_greets_well_and_fails_with_mail_waits_longer_each_time() -> None:
    """Each trial costs a message some seconds: a pause of ten would let one in every ten seconds suffer."""
    circuit, at, pauses = Circuit(), 100.0, []
    for _ in range(10):
        circuit.failed(Trouble.SILENT, at)
        pauses.append(paused(circuit, at))
        at += pauses[-1]
        circuit.knocked()
    assert pauses[-1] == Trouble.STALLED.value


def test_a_change_by_an_admin_has_it_looked_at_now() -> None:
    circuit = Circuit()
    for n in range(20):
        circuit.failed(Trouble.REFUSED, 1000.0 * n)
    assert not circuit.knock_due(19_001.0)
    circuit.hurry()
    assert circuit.knock_due(19_001.0)
