"""What the check of one document may cost: ten thousand regexes are as many compilations."""

from __future__ import annotations

import time

import pytest

from gateway.policy import regex_budget
from gateway.policy.loader import load
from gateway.policy.patterns import BadPattern
from gateway.policy.problems import PolicyError
from gateway.policy.values import Known


def _blocking(patterns: list[str]) -> str:
    return "block:\n" + "\n".join(f"- {{subject: {{regex: '{p}'}}}}" for p in patterns)


def _problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load(text, Known())
    return [p.message for p in caught.value.problems]


@pytest.mark.parametrize("pattern", [r"(?i)\pL{{1,{}}}x", "[a-z]{{1,9{}}}x", "(?=x{})"])
def test_a_document_full_of_costly_regexes_is_told_so_in_moments(pattern: str) -> None:
    started = time.thread_time()
    said = _problems(_blocking([pattern.format(n % 90 + 1) + f"{n}" for n in range(5000)]))
    assert time.thread_time() - started < 8  # some of these took minutes
    assert sum("not looked at" in message for message in said) == 1
    assert len(said) <= regex_budget.MOST_MISTAKES + 1


def test_the_limit_is_named_with_the_cure() -> None:
    said = _problems(_blocking([f"x{n}.{{1,999}}" for n in range(30)]))
    assert len(said) == 1
    assert "at most 200,000 are taken: repeat less (+ or * instead of {1,200}), or use `contains`" in said[0]


def test_five_hundred_rules_with_a_thousand_regexes_are_taken() -> None:
    load(_blocking([f"(?i)order {n}.*(late|broken|lost) [0-9]{{1,8}}" for n in range(1000)]), Known())


def test_a_regex_of_many_rules_is_paid_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex_budget, "MOST_INSTRUCTIONS_TOGETHER", 100)
    with regex_budget.one_document():
        for _ in range(50):
            regex_budget.check("x.{1,3}")


def test_a_regex_far_too_large_is_refused_without_half_a_second_of_work() -> None:
    started = time.thread_time()
    for n in range(5):
        with pytest.raises(BadPattern, match="repeat less"):
            regex_budget.check(rf"(?i)[\pL\pN]{{1,{300 + n}}}")
    assert time.thread_time() - started < 1.5
