"""All that might have proven the author, and why it did or did not. Pure; made for every message, so it makes little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.core.reports import AuthResult, Path, ProofCandidate, ProofOutcome
from gateway.verify.verdict import Candidate, Findings, Judgement, spf_objection

_WON, _LOST = ProofOutcome.WON, ProofOutcome.LOST


def candidates_of(results: Sequence[AuthResult], found: Findings, verdict: Judgement) -> tuple[ProofCandidate, ...]:
    """Each signature, SPF, ARC, and what was found at a known forwarder's border."""
    return (
        *_signatures(results, found, verdict),
        _spf(results, found, verdict),
        *_arc(results, found, verdict),
        *_border(found, verdict),
    )


def _signatures(results: Sequence[AuthResult], found: Findings, verdict: Judgement) -> Iterator[ProofCandidate]:
    judged = iter(found.dkim)
    won = False
    for result in results:
        if result.method != "dkim" or result.result == "none":
            continue
        domain = dict(result.properties).get("header.d", "")
        if result.result not in ("pass", "temperror"):
            yield ProofCandidate(
                "dkim", domain, _LOST, f"{result.result}: {result.detail}" if result.detail else result.result
            )
            continue
        candidate = next(judged)
        wins = not won and _is_winner(candidate, verdict)
        won = won or wins
        yield ProofCandidate(
            "dkim", domain, _WON if wins else _LOST, _why(candidate, result, found, proven=won and not wins)
        )


def _is_winner(candidate: Candidate, verdict: Judgement) -> bool:
    return (
        candidate.result == "pass"
        and candidate.aligned is True
        and verdict.by == f"{candidate.method}:{candidate.domain}"
    )


def _why(candidate: Candidate, result: AuthResult, found: Findings, *, proven: bool) -> str:
    if candidate.result != "pass":
        return f"{candidate.result}: {result.detail}" if result.detail else candidate.result
    if candidate.aligned is None:
        return f"it passes, but DNS would not say whether {candidate.domain} is aligned with {found.author}"
    if not candidate.aligned:
        return f"it passes, but {candidate.domain} is not aligned with {found.author}"
    return "it would prove as much as the one that won" if proven else f"it passes and is aligned with {found.author}"


def _spf(results: Sequence[AuthResult], found: Findings, verdict: Judgement) -> ProofCandidate:
    spf = found.spf
    if spf.result not in ("pass", "temperror"):
        detail = next((r.detail for r in results if r.method == "spf"), "")
        return ProofCandidate("spf", spf.domain, _LOST, f"{spf.result}: {detail}" if detail else spf.result)
    if _is_winner(spf, verdict):
        return ProofCandidate("spf", spf.domain, _WON, f"it passes and is aligned with {found.author}")
    if spf.result == "pass" and spf.aligned:
        doubt = "" if found.journey.certain else "DNS would not say whether the client is the mailbox's forwarder"
        objection = spf_objection(found) or doubt
        return ProofCandidate(
            "spf", spf.domain, _LOST, f"it passes, but {objection}" if objection else "DKIM proved it already"
        )
    result = AuthResult("spf", spf.result)
    return ProofCandidate("spf", spf.domain, _LOST, _why(spf, result, found, proven=False))


def _arc(results: Sequence[AuthResult], found: Findings, verdict: Judgement) -> Iterator[ProofCandidate]:
    result = next((r for r in results if r.method == "arc"), None)
    if result is None or result.result == "none":
        return
    sealer = found.arc.sealer
    if sealer:
        won = verdict.by == f"arc:{sealer}"
        why = f"{sealer} sealed that DMARC passed for {found.author}"
        yield ProofCandidate(
            "arc", sealer, _WON if won else _LOST, why if won else f"not needed: {verdict.by} proved it already"
        )
    elif result.result != "pass":
        yield ProofCandidate("arc", "", _LOST, f"{result.result}: {result.detail}")
    elif found.journey.path is not Path.FORWARDER:
        yield ProofCandidate("arc", "", _LOST, "ARC counts only through the mailbox's known forwarder")
    else:
        yield ProofCandidate("arc", "", _LOST, found.arc.why or f"not needed: {verdict.by} proved it already")


def _border(found: Findings, verdict: Judgement) -> Iterator[ProofCandidate]:
    for candidate in found.border.tried:
        if candidate.outcome is _WON and not verdict.by.startswith("border-"):
            yield ProofCandidate(
                candidate.proof, candidate.domain, _LOST, f"not needed: {verdict.by} proved it already"
            )
        else:
            yield candidate
