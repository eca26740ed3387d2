"""ARC: who passed this message on, and do their seals hold? (RFC 8617)"""

from __future__ import annotations

from gateway.core.ports import AuthEvidence
from gateway.core.reports import AuthResult
from gateway.verify.arc_chain import Chain, forms_of, key_names, refuse_changed, seal_digests, verify_wave
from gateway.verify.arc_sets import ArcSet, has_arc, read_sets
from gateway.verify.dkim_message import Message
from gateway.verify.evidence import compute, txt_of_all
from gateway.verify.reading import hashes_of, message_of
from gateway.verify.tag_list import Unusable

SHOWN_SEALERS = 10


class ArcCheck:
    """One result for the whole chain. It is evidence: whom to believe is `arc_proof`'s business (T20)."""

    name = "arc"
    only_asks = True

    async def check(self, evidence: AuthEvidence) -> tuple[AuthResult, ...]:
        """`none`, `pass`, `fail`; temperror for what DNS or the time left would not say (RFC 8601 section 2.7.5)."""
        try:
            message = await message_of(evidence)
            if not has_arc(message):
                return (AuthResult("arc", "none", (), "no ARC fields"),)
            return (await _judge(evidence, message),)
        except TimeoutError:
            return (AuthResult("arc", "temperror", _client(evidence), "no time left to verify the chain"),)


async def _judge(evidence: AuthEvidence, message: Message) -> AuthResult:
    sets: tuple[ArcSet, ...] = ()
    try:
        sets = await compute(evidence, read_sets, message, evidence.envelope.received_at.timestamp())
        oldest = await _verify(evidence, await _chain(evidence, message, sets))
    except Unusable as reason:
        return AuthResult(
            "arc", reason.result, _client(evidence), "; ".join(filter(None, (reason.detail, _sealed(sets))))
        )
    # RFC 8617 section 5.2, step 5: zero says that every signature holds
    passed = ("header.oldest-pass", str(oldest if oldest > 1 else 0))
    return AuthResult("arc", "pass", (passed, *_client(evidence)), _sealed(sets))


async def _chain(evidence: AuthEvidence, message: Message, sets: tuple[ArcSet, ...]) -> Chain:
    hashes = await hashes_of(evidence, forms_of(sets))
    return Chain(message, sets, await compute(evidence, seal_digests, sets), hashes)


async def _verify(evidence: AuthEvidence, chain: Chain) -> int:
    """The lowest instance whose signature holds. Raises Unusable."""
    refuse_changed(chain)
    oldest = len(chain.sets) + 1
    for wave in chain.waves():
        keys = await txt_of_all(key_names(chain, wave), evidence.resolver)
        oldest = await compute(evidence, verify_wave, chain, wave, keys, oldest)
    return oldest


def _client(evidence: AuthEvidence) -> tuple[tuple[str, str], ...]:
    """RFC 8617 section 10.2: what RFC 8601 calls the originating connection is the one to us."""
    client = evidence.envelope.client
    return (("smtp.remote-ip", client.ip),) if client else ()


def _sealed(sets: tuple[ArcSet, ...]) -> str:
    """The sealers, newest first: who says so, and over whom."""
    if not sets:
        return ""
    names = [one.seal.domain for one in reversed(sets)]
    more = f" and {len(names) - SHOWN_SEALERS} more" if len(names) > SHOWN_SEALERS else ""
    return f"sealed by {', '.join(names[:SHOWN_SEALERS])}{more}"


CHECK = ArcCheck()
