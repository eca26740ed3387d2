"""Whom to believe of an ARC chain that holds. Pure.

Anybody can seal, and seal whatever results he likes (RFC 8617 section 9.4). A chain therefore counts only where the mailbox's
known forwarder brought it, and only as far down as its sealers are named by the operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.reports import Path
from gateway.verify.arc_sets import ArcSet
from gateway.verify.dkim_message import Message, repeated
from gateway.verify.dkim_signature import Signature
from gateway.verify.results_parser import Malformed, only_property, parse_results
from gateway.verify.tag_list import domain_or_none


@dataclass(frozen=True, slots=True)
class Hop:
    """What one sealer says: `payload` is its ARC-Authentication-Results without the instance."""

    sealer: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Witness:
    """A chain that passed. `hops` are newest first; `objection` says why the newest signature binds too little."""

    hops: tuple[Hop, ...]
    objection: str = ""


@dataclass(frozen=True, slots=True)
class ArcProof:
    """`sealer` saw the author's DMARC pass; empty where no chain counts, and `why` says why one that passed does not."""

    sealer: str = ""
    why: str = ""


NO_ARC = ArcProof()


def witness_of(message: Message, sets: Sequence[ArcSet]) -> Witness:
    """What the sealers of a chain that passed say, sets oldest first."""
    newest_first = tuple(Hop(one.seal.domain, one.payload) for one in reversed(sets))
    return Witness(newest_first, _objection(message, sets[-1]))


def _objection(message: Message, newest: ArcSet) -> str:
    """As of a DKIM-Signature (T18, T19): what is not bound may have been put there after the sealer looked."""
    signature = newest.signature
    if not isinstance(signature, Signature) or b"from" not in signature.signed:
        return "the newest seal does not cover From"
    if signature.form.length is not None:
        return "the newest seal covers a part of the body (l=)"
    field = repeated(message, signature.signed)
    return f"there is more than one {field} field" if field else ""


def arc_proof(witness: Witness, path: Path, author: str, trusted: frozenset[str], *, own: bool = False) -> ArcProof:
    """Whether a chain that passed proves the author's domain `author` (A-labels), and by whose word.

    `trusted` are the sealers the operator names, compared with `d=` as it stands: who seals for a subdomain is
    not who seals for the domain. From the newest set down they must all be named; the oldest results of that run count.
    `own`: the author's domain is the account's own, where only DKIM proves (T22).
    """
    if path is not Path.FORWARDER:
        return ArcProof(why="ARC counts only through the mailbox's known forwarder")
    if own:
        return ArcProof(why="ARC does not prove the account's own domains")
    if witness.objection:
        return ArcProof(why=witness.objection)
    oldest = _oldest_of_run(witness.hops, trusted)
    if oldest is None:
        return ArcProof(why=f"{witness.hops[0].sealer} is no trusted ARC sealer")
    doubt = _doubt(oldest, author)
    return ArcProof(why=doubt) if doubt else ArcProof(oldest.sealer, f"{oldest.sealer} sealed that DMARC passed")


def _oldest_of_run(hops: Sequence[Hop], trusted: frozenset[str]) -> Hop | None:
    oldest = None
    for hop in hops:
        if hop.sealer not in trusted:
            break
        oldest = hop
    return oldest


def _doubt(hop: Hop, author: str) -> str:
    """Why these results do not say that the author's DMARC passed; empty when they do."""
    return doubt_of_results(hop.payload, author, hop.sealer, f"the results sealed by {hop.sealer}")


def doubt_of_results(payload: bytes, author: str, who: str, what: str) -> str:
    """Why results that `who` wrote do not say that DMARC passed for `author` (A-labels); empty when they do."""
    try:
        results = parse_results(payload)
    except Malformed as error:
        return f"{what} cannot be read: {error}"
    dmarc = results.only("dmarc")
    if dmarc is None or dmarc.result != "pass":
        found = dmarc.result if dmarc else "no single dmarc result"
        return f"{who} did not see DMARC pass: {found}"
    judged = domain_or_none((only_property(dmarc, "header.from") or "").encode())
    if judged != author:
        return f"{who} saw DMARC pass for {judged or 'no domain it names'}, not for {author}"
    return ""
