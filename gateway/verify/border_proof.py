"""Does what the known forwarder recorded at its border prove the author?

Two things may: the author's SPF, evaluated by us for the address the forwarder saw (RFC 7208 as the forwarder could have done
it), and what the forwarder found itself, where it wrote `dmarc=pass` into an Authentication-Results field above its border
(RFC 8601 section 5: below it, anybody may have written one). Both lift to via-forwarder, and no further.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.envelope import Envelope
from gateway.core.forwarder import Form, Forwarder
from gateway.core.ports import Resolver
from gateway.core.reports import ProofCandidate, ProofOutcome
from gateway.verify import dmarc
from gateway.verify.arc_proof import doubt_of_results
from gateway.verify.border import Border, border_of, return_path
from gateway.verify.dkim_message import Field, Message
from gateway.verify.envelope_form import form_of, is_bound
from gateway.verify.results_parser import Malformed, parse_results
from gateway.verify.rewriting import rewriting_of
from gateway.verify.spf import Identity, evaluate, identity_of_path

SPF, RESULTS = "border-spf", "border-results"


@dataclass(frozen=True, slots=True)
class BorderProof:
    """`words` say how the forwarder's border proves the author, empty where it does not; `doubt` what DNS would not say of it.
    `tried` are the candidates, the one that proves first.
    """

    words: str = ""
    doubt: str = ""
    tried: tuple[ProofCandidate, ...] = ()


NO_BORDER = BorderProof()


async def border_proof(
    forwarder: Forwarder, message: Message, envelope: Envelope, policy: dmarc.Policy, resolver: Resolver
) -> BorderProof:
    """Judge the author, whose domain `policy` was found for, at the border of the known forwarder.

    Never ask this for an author of the account's own domains: there only DKIM proves (T22).
    """
    author = policy.walk.start
    border = border_of(message.fields, forwarder)
    if border is None:
        where = f"no Received field of {forwarder.border} with a client stands where it stood in the challenge"
        return _lost(author, where if forwarder.border else f"{forwarder.name} records no client")
    spf = await _by_spf(forwarder, border, envelope, policy, resolver)
    if spf.words:
        return spf
    results = _by_results(forwarder, border, author)
    tried = (*results.tried, *spf.tried) if results.words else (*spf.tried, *results.tried)
    return BorderProof(results.words, spf.doubt, tried)


def _lost(domain: str, why: str, proof: str = SPF, doubt: str = "") -> BorderProof:
    return BorderProof("", doubt, (ProofCandidate(proof, domain, ProofOutcome.LOST, why),))


def _won(domain: str, words: str, proof: str) -> BorderProof:
    return BorderProof(words, "", (ProofCandidate(proof, domain, ProofOutcome.WON, words),))


async def _by_spf(
    forwarder: Forwarder, border: Border, envelope: Envelope, policy: dmarc.Policy, resolver: Resolver
) -> BorderProof:
    path = _reverse_path(forwarder, border, envelope)
    if not path:
        return _lost(policy.walk.start, "nothing tells the reverse-path the forwarder took the message with")
    identity: Identity = identity_of_path(path)
    if not identity.domain:
        return _lost(path, "the reverse-path at the border names no domain")
    aligned = await dmarc.aligned(policy, identity.domain, resolver, strict=policy.strict_spf)
    if aligned is False:
        return _lost(identity.domain, f"{identity.domain} is not aligned with {policy.walk.start}")
    found = await evaluate(identity, border.address, border.said, resolver)
    if found.result == "pass" and aligned:
        words = (
            f"the client {forwarder.name} took the mail from, {border.address}, may send for {identity.domain} (SPF)"
        )
        return _won(identity.domain, words, SPF)
    if found.result in ("pass", "temperror"):
        doubt = f"DNS would not say whether {border.address}, which {forwarder.name} recorded, may send for {identity.domain}"
        return _lost(identity.domain, doubt, doubt=doubt)
    return _lost(identity.domain, f"SPF of {identity.domain} gives {found.result} for {border.address}")


def _reverse_path(forwarder: Forwarder, border: Border, envelope: Envelope) -> str:
    """The one the forwarder took the message with: as it still is, as its rewriting hides it, or as Return-Path keeps it.

    What a rewriting says needs no proof of its own: SPF has to pass for it at the border. Gmail's form names the user who
    forwards, not who wrote.
    """
    path, recipients = envelope.reverse_path, envelope.recipients
    form = form_of(path, recipients)
    replaced = forwarder.form is Form.REPLACED and is_bound(forwarder, path, recipients)
    if form is Form.UNCHANGED and not replaced:
        return path or ""
    rewriting = rewriting_of(path, recipients)
    if form in (Form.SRS0, Form.SRS1, Form.MICROSOFT_SRS) and rewriting is not None and rewriting.original:
        return rewriting.original
    return (return_path(border.above) or "") if forwarder.keeps_return_path else ""


def _by_results(forwarder: Forwarder, border: Border, author: str) -> BorderProof:
    """By the lowest field above the border that has anything to say of DMARC: the first to see the message wrote it."""
    payload = next((f.value for f in reversed(border.above) if _tells_dmarc(f)), None)
    if payload is None:
        return NO_BORDER
    doubt = doubt_of_results(payload, author, forwarder.name, "its Authentication-Results")
    if doubt:
        return _lost(author, doubt, RESULTS)
    return _won(author, f"{forwarder.name} wrote above its border that DMARC passed for {author}", RESULTS)


def _tells_dmarc(field: Field) -> bool:
    if field.name != b"authentication-results":
        return False
    try:
        return any(result.method == "dmarc" for result in parse_results(field.value).results)
    except Malformed:
        return False
