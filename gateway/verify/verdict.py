"""The verdict on the author: pure, from what the checks, DMARC and the path have found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.forwarder import Drift
from gateway.core.place import Place
from gateway.core.reports import AuthReport, AuthResult, DnsAnswer, Level, ProofCandidate, Sender
from gateway.verify.arc_proof import NO_ARC, ArcProof
from gateway.verify.border_proof import NO_BORDER, BorderProof
from gateway.verify.dmarc import Policy
from gateway.verify.forwarder import Journey


@dataclass(frozen=True, slots=True)
class Candidate:
    """An authenticated domain that may prove the author. `aligned` is None where DNS would not say."""

    method: str
    domain: str
    result: str
    aligned: bool | None
    selector: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """All that the verdict is made from. `author` is the author's domain in A-labels.

    `has_client` is False for mail that came without an SMTP client (pipe, pull): its path cannot be judged.
    """

    author: str
    has_client: bool
    policy: Policy
    dkim: tuple[Candidate, ...]
    spf: Candidate
    journey: Journey
    place: Place
    arc: ArcProof = NO_ARC
    border: BorderProof = NO_BORDER


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, why, and DMARC's own result (RFC 9989 section 5, as RFC 8601 names it)."""

    sender: Sender
    by: str
    reason: str
    dmarc: str
    dmarc_detail: str = ""
    level: Level = Level.NONE


def judge(found: Findings) -> Judgement:
    """Who wrote this, by which proof. A temperror is never a proof and never a failure."""
    if proven := by_himself(found):
        return proven
    if found.arc.sealer:
        return _by_arc(found)
    if found.border.words:
        return _by_border(found)
    objection = spf_objection(found)
    if doubt := _open_question(found, objection):
        return Judgement(Sender.INDETERMINATE, "", doubt, "temperror", doubt)
    return _unproven(found, objection)


def by_himself(found: Findings) -> Judgement | None:
    """The verdict where the author's own domain proves him, None where it does not."""
    proof = next((c for c in found.dkim if c.result == "pass" and c.aligned), None)
    if proof is not None:
        words = f"the author's domain {found.author} signed it (DKIM, {_signer(proof, found.author)})"
        return Judgement(Sender.VERIFIED, f"dkim:{proof.domain}", words, _dmarc(found, "pass"), level=Level.VERIFIED)
    if _passes(found.spf) and found.journey.certain and not spf_objection(found):
        words = f"the client may send for the author's domain {found.author} (SPF of {found.spf.domain})"
        return Judgement(Sender.VERIFIED, f"spf:{found.spf.domain}", words, _dmarc(found, "pass"), level=Level.VERIFIED)
    return None


def _by_arc(found: Findings) -> Judgement:
    """Another's word for what it saw: enough to join a conversation, never to speak as an agent (T20)."""
    by = f"arc:{found.arc.sealer}"
    words = f"{found.arc.sealer} sealed that DMARC passed for {found.author} before the mail was forwarded (ARC)"
    detail = f"overridden by {by}"
    return Judgement(Sender.VERIFIED, by, words, _dmarc(found, "fail"), detail, Level.VIA_FORWARDER)


def _by_border(found: Findings) -> Judgement:
    """What the known forwarder recorded when it took the mail: worth as much as another's word for it."""
    forwarder = found.journey.forwarder
    by = f"border-spf:{forwarder.name if forwarder else ''}"
    detail = f"overridden by {by}"
    return Judgement(Sender.VERIFIED, by, found.border.words, _dmarc(found, "fail"), detail, Level.VIA_FORWARDER)


def _passes(candidate: Candidate) -> bool:
    return candidate.result == "pass" and candidate.aligned is True


def _signer(proof: Candidate, author: str) -> str:
    return f"selector {proof.selector}" if proof.domain == author else f"as {proof.domain}, selector {proof.selector}"


def _dmarc(found: Findings, result: str) -> str:
    """Without a record there is no DMARC to pass or fail; a proof stands without it."""
    if found.policy.failed:
        return "temperror"
    return result if found.policy.applied else "none"


def spf_objection(found: Findings) -> str:
    """Why a passing SPF would prove nothing of this author, empty when it would."""
    if is_own(found.author, found.place):
        return "it is one of this account's own domains, where only DKIM proves"
    if found.journey.may_be_forwarded:
        return "the client forwards mail of many authors"
    rewriting = found.journey.rewriting
    if rewriting is not None and rewriting.by_forwarder:
        return f"the reverse-path is rewritten ({rewriting.form})"
    return ""


def is_own(domain: str, place: Place) -> bool:
    """Whether a domain is the account's own, or below one of them."""
    return any(domain == own or domain.endswith("." + own) for own in place.own_domains)


def _open_question(found: Findings, objection: str) -> str:
    """What DNS would not say and might have proven or disproven the author, empty for nothing."""
    for candidate in found.dkim:
        if candidate.aligned is not False and (candidate.result == "temperror" or _hidden(candidate)):
            return f"DNS would not say whether {candidate.domain or found.author} signed it"
    spf = found.spf
    if not objection and spf.aligned is not False:
        if spf.result == "temperror" or _hidden(spf):
            return f"DNS would not say whether the client may send for {spf.domain or found.author}"
        if spf.result == "pass" and not found.journey.certain:
            return "DNS would not say whether the client is the mailbox's forwarder"
    if found.border.doubt:
        return found.border.doubt
    if found.policy.failed:
        return f"DNS would not give the DMARC policy of {found.author}"
    return ""


def _hidden(candidate: Candidate) -> bool:
    """It passes, and only the alignment is unknown."""
    return candidate.result == "pass" and candidate.aligned is None


def _unproven(found: Findings, objection: str) -> Judgement:
    published = found.policy.applied
    if _passes(found.spf):
        words = f"SPF passes for {found.spf.domain}, but proves nothing: {objection}"
        return Judgement(Sender.UNVERIFIED, "", words, _dmarc(found, "fail"), f"SPF not counted: {objection}")
    dmarc = _dmarc(found, "fail")
    if published not in ("quarantine", "reject"):
        words = f"neither DKIM nor SPF proves that {found.author} sent it"
        return Judgement(Sender.UNVERIFIED, "", words, dmarc)
    failure = f"{found.author} publishes p={published} and neither DKIM nor SPF proves it"
    journey = found.journey
    if journey.may_be_forwarded:
        who = "a forwarder probably" if journey.forwarder is None else f"the forwarder {journey.forwarder.name}"
        words = f"{failure}; {who} brought it, which may explain that ({journey.why})"
        return Judgement(Sender.UNVERIFIED, "", words, dmarc)
    if not found.has_client:
        return Judgement(Sender.UNVERIFIED, "", f"{failure}; there is no client address to judge the path by", dmarc)
    if not journey.certain:
        words = f"{failure}, and DNS would not say whether a forwarder explains that"
        return Judgement(Sender.INDETERMINATE, "", words, dmarc)
    return Judgement(Sender.FORGED, "", f"{failure}; no forwarder explains that", dmarc)


def report(
    results: Sequence[AuthResult],
    found: Findings,
    verdict: Judgement,
    *,
    drifts: tuple[Drift, ...] = (),
    candidates: tuple[ProofCandidate, ...] = (),
    dns: tuple[DnsAnswer, ...] = (),
) -> AuthReport:
    """The report of a message with one author."""
    return AuthReport(
        results=(*results, _dmarc_result(found, verdict)),
        sender=verdict.sender,
        level=verdict.level,
        by=verdict.by,
        path=found.journey.path,
        forwarder=found.journey.forwarder.name if found.journey.forwarder else None,
        published_policy=found.policy.applied,
        reason=_reason(found, verdict),
        client_vouched=found.journey.client_vouched,
        path_reason=found.journey.why,
        drifts=drifts,
        candidates=candidates,
        dns=dns,
    )


def _reason(found: Findings, verdict: Judgement) -> str:
    """With the reason why a chain that passed does not help an author whom nothing proves."""
    if verdict.sender is Sender.VERIFIED or not found.arc.why:
        return verdict.reason
    return f"{verdict.reason}; {found.arc.why}"


def _dmarc_result(found: Findings, verdict: Judgement) -> AuthResult:
    """With the registered properties of RFC 9989 section 10: header.from, polrec.p, polrec.domain."""
    properties = [("header.from", found.author)]
    record = found.policy.record
    if record is not None and found.policy.applied:
        properties.append(("polrec.p", found.policy.applied))
        if record.domain != found.author:
            properties.append(("polrec.domain", record.domain))
    return AuthResult("dmarc", verdict.dmarc, tuple(properties), verdict.dmarc_detail)


def ambiguous_report(results: Sequence[AuthResult], journey: Journey, why: str) -> AuthReport:
    """The report of a message that does not name exactly one author (T16)."""
    return AuthReport(
        results=(*results, AuthResult("dmarc", "permerror", (), why)),
        sender=Sender.UNVERIFIED,
        level=Level.NONE,
        by="",
        path=journey.path,
        forwarder=journey.forwarder.name if journey.forwarder else None,
        published_policy="",
        reason=why,
        client_vouched=journey.client_vouched,
        path_reason=journey.why,
    )
