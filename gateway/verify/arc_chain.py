"""Does a chain of ARC sets hold? (RFC 8617 section 5.2, steps 4 to 7) Pure: keys and body hashes are given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dkim.canonicalization import Relaxed

from gateway.verify.arc_sets import ArcSet
from gateway.verify.dkim_key import Key, KeyRecords, usable_keys
from gateway.verify.dkim_message import BodyForm, BodyHash, Field, Message, without_b
from gateway.verify.dkim_signature import Signature, verifying_key
from gateway.verify.tag_list import Unusable

WAVE = 10
"""Sets whose keys are asked for together, newest first. A chain ends at the first key that is missing, so that nobody can
make us ask a stranger's zone for a hundred names; real chains are shorter than a wave."""
SIGNATURES = 10
"""How many signatures are looked at, newest first. Each may cover the whole header, and those below the newest only tell
`header.oldest-pass`, which RFC 8617 section 5.2 leaves to us. All seals are verified, at a cost that grows with the header."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain to be verified: the message, its sets from the oldest on, what each seal signs, and the body's hashes."""

    message: Message
    sets: tuple[ArcSet, ...]
    digests: tuple[bytes, ...]
    hashes: Mapping[BodyForm, BodyHash]

    def waves(self) -> Iterator[tuple[ArcSet, ...]]:
        """The sets in waves, newest first."""
        newest_first = self.sets[::-1]
        for start in range(0, len(newest_first), WAVE):
            yield newest_first[start : start + WAVE]


def forms_of(sets: Sequence[ArcSet]) -> set[BodyForm]:
    """The body forms worth hashing: the newest signature's, and of those below it the ones over the whole body."""
    *older, newest = (one.signature for one in sets[-SIGNATURES:])
    forms = {s.form for s in older if isinstance(s, Signature) and s.form.length is None}
    return forms | ({newest.form} if isinstance(newest, Signature) else set())


def seal_digests(sets: Sequence[ArcSet]) -> tuple[bytes, ...]:
    """What each seal signs: all sets up to its own, its own `b=` empty (section 5.1.1). Every field is hashed once."""
    below = hashlib.sha256()
    digests = []
    for one in sets:
        below.update(
            _relaxed(one.results, one.results.value) + _relaxed(one.signature_field, one.signature_field.value)
        )
        seal = one.seal.field
        own = below.copy()
        own.update(_relaxed(seal, without_b(seal.value)).removesuffix(b"\r\n"))
        digests.append(own.digest())
        below.update(_relaxed(seal, seal.value))
    return tuple(digests)


def _relaxed(field: Field, value: bytes) -> bytes:
    ((name, canonical),) = Relaxed.canonicalize_headers([(field.raw_name, value)])
    return bytes(name + b":" + canonical)


def key_names(chain: Chain, wave: Sequence[ArcSet]) -> list[str]:
    """The keys a wave needs. A signature whose body hash does not match needs none."""
    names = {one.seal.key_name for one in wave}
    signatures = [one.signature for one in wave if _is_looked_at(chain, one)]
    names |= {s.key_name for s in signatures if isinstance(s, Signature) and _body_holds(chain, s)}
    return sorted(names)


def _is_looked_at(chain: Chain, one: ArcSet) -> bool:
    return one.instance > len(chain.sets) - SIGNATURES


def _body_holds(chain: Chain, signature: Signature) -> bool:
    body = chain.hashes.get(signature.form)
    return body is not None and body.digest == signature.body_hash


def refuse_changed(chain: Chain) -> None:
    """What can be said without DNS: the newest signature is unusable, or the body has changed since. Raises Unusable."""
    newest = chain.sets[-1]
    try:
        _require_body(chain, newest)
    except Unusable as reason:
        raise _about("ARC-Message-Signature", newest, reason) from reason


def verify_wave(chain: Chain, wave: Sequence[ArcSet], keys: Mapping[str, KeyRecords], oldest_passing: int) -> int:
    """The lowest instance whose signature holds in an unbroken row from the newest, `oldest_passing` before this wave.

    Raises Unusable: `fail` where anything that must verify does not, else `temperror` where DNS would not say.
    """
    problems: list[Unusable] = []
    newest = len(chain.sets)
    for one in wave:
        try:
            if one.instance == oldest_passing - 1 and _is_looked_at(chain, one):
                _verify_signature(chain, one, keys)
                oldest_passing = one.instance
        except Unusable as reason:
            if one.instance == newest:
                problems.append(_about("ARC-Message-Signature", one, reason))
        try:
            _verify_seal(
                one.seal.octets, chain.digests[one.instance - 1], _keys(keys, one.seal.key_name, one.seal.algorithm)
            )
        except Unusable as reason:
            problems.append(_about("ARC-Seal", one, reason))
    if problems:
        raise next((p for p in problems if p.result == "fail"), problems[0])
    return oldest_passing


def _about(name: str, one: ArcSet, reason: Unusable) -> Unusable:
    result = "temperror" if reason.result == "temperror" else "fail"
    return Unusable(result, f"the {name} with i={one.instance} of {one.seal.domain}: {reason.detail}")


def _require_body(chain: Chain, one: ArcSet) -> Signature:
    signature = one.signature
    if isinstance(signature, Unusable):
        raise signature
    if not _body_holds(chain, signature):
        raise Unusable("fail", "the body has changed")
    length = signature.form.length
    if length is not None and length > chain.hashes[signature.form].body_octets:
        raise Unusable("fail", "l= is more than the body has")
    return signature


def _verify_signature(chain: Chain, one: ArcSet, keys: Mapping[str, KeyRecords]) -> None:
    signature = _require_body(chain, one)
    usable = _keys(keys, signature.key_name, signature.algorithm)
    if verifying_key(chain.message, one.signature_field, signature, usable) is None:
        raise Unusable("fail", "it does not match the header")


def _verify_seal(octets: bytes, digest: bytes, keys: Sequence[Key]) -> None:
    if not any(key.verifies(octets, digest) for key in keys):
        raise Unusable("fail", "it does not match the sets")


def _keys(keys: Mapping[str, KeyRecords], name: str, algorithm: str) -> list[Key]:
    """Keys in test mode are as none (RFC 6376 section 3.6.1, t=y). Raises Unusable."""
    usable = [key for key in usable_keys(keys[name], algorithm) if not key.testing]
    if not usable:
        raise Unusable("fail", "the key is in test mode (t=y)")
    return usable
