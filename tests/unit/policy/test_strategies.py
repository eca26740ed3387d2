from __future__ import annotations

import pytest

from gateway.core.ports import AgentCandidate
from gateway.policy.actions.assign import all_strategies


def agent(name, open_=0, today=0, last_turn=0):
    return AgentCandidate(name, f"{name}@acme.example", open_, today, last_turn)


def test_the_strategies_of_this_version():
    assert set(all_strategies()) == {"round-robin", "least-open", "least-today"}


@pytest.mark.parametrize("name", ["round-robin", "least-open", "least-today"])
def test_nobody_to_choose_from(name):
    assert all_strategies()[name].choose([]) is None


def test_round_robin_takes_whoever_was_chosen_longest_ago():
    team = [agent("a", last_turn=5), agent("b", open_=9, last_turn=2), agent("c", last_turn=0, open_=99)]
    assert all_strategies()["round-robin"].choose(team).id == "c"


def test_least_open_and_least_today_count_what_they_say():
    team = [agent("a", open_=1, today=9), agent("b", open_=2, today=0)]
    assert all_strategies()["least-open"].choose(team).id == "a"
    assert all_strategies()["least-today"].choose(team).id == "b"


@pytest.mark.parametrize("name", ["round-robin", "least-open", "least-today"])
def test_ties_go_in_turn_and_then_by_id_whatever_the_order(name):
    strategy = all_strategies()[name]
    assert strategy.choose([agent("b", last_turn=1), agent("a", last_turn=2)]).id == "b"
    assert strategy.choose([agent("b"), agent("a")]).id == "a"


@pytest.mark.parametrize("name", ["round-robin", "least-open", "least-today"])
def test_a_run_is_fair(name):
    turns = {"a": 0, "b": 0, "c": 0}
    got = {"a": 0, "b": 0, "c": 0}
    for turn in range(1, 10):
        chosen = all_strategies()[name].choose([agent(x, got[x], got[x], turns[x]) for x in ("c", "a", "b")])
        turns[chosen.id] = turn
        got[chosen.id] += 1
    assert got == {"a": 3, "b": 3, "c": 3}
