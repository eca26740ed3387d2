"""`spam: {score_over: 6}`: rspamd's score is above this; `spam: true|false`: whether it, or the known forwarder, says spam."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from gateway.policy.condition import Test
from gateway.policy.patterns import PatternBook
from gateway.policy.reading import Reading
from gateway.policy.spam import SCORE, fact, said_of_spam
from gateway.policy.values import Model, mistake


class SpamParams(Model):
    """`true`, `false`, or a score."""

    is_: bool | None = None
    score_over: Annotated[float, Field(ge=-1000, le=1000)] | None = None

    @model_validator(mode="after")
    def _something(self) -> SpamParams:
        if self.is_ is None and self.score_over is None:
            raise mistake("this is empty: write true, false or {score_over: 6}")
        return self


def _word(value: Any) -> Any:
    if isinstance(value, bool):
        return {"is_": value}
    if isinstance(value, dict) and "is_" in value:
        raise mistake("write `spam: true` or `spam: false`")
    return value


class _Spam:
    name = "spam"
    Params = Annotated[SpamParams, BeforeValidator(_word, json_schema_input_type=bool | SpamParams)]

    def test(self, params: SpamParams, book: PatternBook) -> Test:
        del book  # no pattern to enter
        if params.score_over is None:
            wanted = bool(params.is_)
            return Test(lambda r: bool(said_of_spam(r.facts)) == wanted, str(wanted).lower(), _said)
        limit = params.score_over
        return Test(lambda r: _is_over(r, limit), f"a score over {limit:g}", _score)


def _is_over(reading: Reading, limit: float) -> bool:
    score = fact(reading.facts, SCORE)
    return isinstance(score, float | int) and score > limit


def _said(reading: Reading) -> str:
    return said_of_spam(reading.facts) or "(nobody calls it spam)"


def _score(reading: Reading) -> str:
    """Without a score, why: a rule that waits for one must not look as if mail were harmless."""
    score, state = fact(reading.facts, SCORE), fact(reading.facts, "rspamd.state")
    if score is None:
        return f"(no score: rspamd {state})" if state else "(no score: no rspamd)"
    return f"{score:g}" if isinstance(score, float | int) else str(score)


CONDITION: Any = _Spam()
