"""A report in plain values: what a trace keeps of it, and what `gateway verify` and `policy test` show. All of it, up to an end.

Made for every message. Whoever wrote it may have chosen the names and the answers, so nothing here is long, and nothing in
it is a control character.
"""

from __future__ import annotations

from typing import Any

from gateway.core.addresses import without_controls
from gateway.core.reports import AuthReport, AuthResult, ProofCandidate

ANSWERS_TOLD = 40
CANDIDATES_TOLD = 20
WORDS = 240
"""Characters of one reason or answer."""


def told(report: AuthReport) -> dict[str, Any]:
    """The checks, the candidates for each proof, the path, and what DNS said: JSON-able.

    `dns` is `{"name TYPE": answer}` in the order asked; `more_dns` how many more there were. The verdict itself and its
    reason are not repeated: they are the outcome of the stage.
    """
    detail: dict[str, Any] = {
        "level": report.level.value,
        "by": report.by,
        "path": report.path.value,
        "path_reason": report.path_reason[:WORDS],
        "forwarder": report.forwarder,
        "results": [_result(r) for r in report.results],
        "candidates": [_candidate(c) for c in report.candidates[:CANDIDATES_TOLD]],
        "dns": {
            without_controls(f"{a.question} {a.type}"): without_controls(a.answer) for a in report.dns[:ANSWERS_TOLD]
        },
    }
    if more := len(report.dns) - ANSWERS_TOLD:
        detail |= {"more_dns": more} if more > 0 else {}
    if report.drifts:
        detail["drifts"] = [{"what": d.what, "before": d.before, "after": d.after} for d in report.drifts]
    return detail


def auth_object(report: AuthReport) -> dict[str, Any]:
    """`told` with the verdict and its reason in front, as commands print it."""
    return {"sender": report.sender.value, "reason": report.reason, **told(report)}


def _result(found: AuthResult) -> dict[str, str]:
    return {
        "method": found.method,
        "result": found.result,
        **dict(found.properties),
        **({"detail": found.detail} if found.detail else {}),
    }


def _candidate(one: ProofCandidate) -> dict[str, str]:
    return {
        "proof": one.proof,
        "domain": one.domain,
        "outcome": one.outcome.value,
        "why": without_controls(one.why)[:WORDS],
    }
