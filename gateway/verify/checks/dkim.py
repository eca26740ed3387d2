"""DKIM: which domains signed this message, and do their signatures hold? (RFC 6376)"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.ports import AuthEvidence, Resolver
from gateway.core.reports import AuthResult
from gateway.verify.dkim_key import Key, KeyRecords, usable_keys
from gateway.verify.dkim_message import BodyForm, BodyHash, Field, Message, repeated
from gateway.verify.dkim_signature import Signature, properties_of, read_signature, verifying_key
from gateway.verify.evidence import compute, is_inline, txt_of_all
from gateway.verify.reading import hashes_of, message_of
from gateway.verify.tag_list import Unusable

MAX_SIGNATURES = 10

_WORTH_SIGNING = {b"subject": "Subject", b"content-type": "Content-Type"}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A DKIM-Signature field with its reading, or the reason why it has none."""

    field: Field
    reading: Signature | Unusable


class DkimCheck:
    """One result per signature, topmost first, up to a cap."""

    name = "dkim"
    only_asks = True

    async def check(self, evidence: AuthEvidence) -> tuple[AuthResult, ...]:
        """Judge every signature on the bytes received; what DNS or the time left would not say is temperror."""
        envelope = evidence.envelope
        try:
            message = await message_of(evidence)
            found = message.named(b"dkim-signature")
            if not found:
                return (AuthResult("dkim", "none", (), "no signature"),)
            candidates = [
                _candidate(message, field, envelope.received_at.timestamp()) for field in found[:MAX_SIGNATURES]
            ]
            signatures = [c.reading for c in candidates if isinstance(c.reading, Signature)]
            forms = [s.form for s in signatures]
            if is_inline(evidence):
                keys, hashes = await _fetch_keys(signatures, evidence.resolver), await hashes_of(evidence, forms)
            else:
                keys, hashes = await asyncio.gather(
                    _fetch_keys(signatures, evidence.resolver), hashes_of(evidence, forms)
                )
            results = await compute(evidence, _judge_all, message, candidates, keys, hashes)
        except TimeoutError:
            return (AuthResult("dkim", "temperror", (), "no time left to verify the signatures"),)
        return results + _beyond(len(found) - MAX_SIGNATURES)


def _candidate(message: Message, field: Field, received_at: float) -> _Candidate:
    if message.fault:
        return _Candidate(field, Unusable("permerror", message.fault))
    try:
        return _Candidate(field, read_signature(field.value, received_at))
    except Unusable as reason:
        return _Candidate(field, reason)


def _beyond(number: int) -> tuple[AuthResult, ...]:
    if number <= 0:
        return ()
    return (AuthResult("dkim", "policy", (), f"{number} more signatures were not looked at"),)


async def _fetch_keys(signatures: Sequence[Signature], resolver: Resolver) -> dict[str, KeyRecords]:
    return await txt_of_all(sorted({s.key_name for s in signatures}), resolver)


def _judge_all(
    message: Message,
    candidates: Sequence[_Candidate],
    keys: Mapping[str, KeyRecords],
    hashes: Mapping[BodyForm, BodyHash],
) -> tuple[AuthResult, ...]:
    results = []
    for candidate in candidates:
        try:
            result, detail = _judge(message, candidate, keys, hashes)
        except Unusable as reason:
            result, detail = reason.result, reason.detail
        except Exception as error:  # noqa: BLE001 - the guard is the point: one hostile signature must not hide the others
            result, detail = "permerror", f"the signature could not be evaluated ({type(error).__name__})"
        results.append(AuthResult("dkim", result, properties_of(candidate.field.value), detail))
    return tuple(results)


def _judge(
    message: Message, candidate: _Candidate, keys: Mapping[str, KeyRecords], hashes: Mapping[BodyForm, BodyHash]
) -> tuple[str, str]:
    """Result and detail. Raises Unusable."""
    signature = candidate.reading
    if isinstance(signature, Unusable):
        raise signature
    usable = usable_keys(keys[signature.key_name], signature.algorithm)
    body = hashes[signature.form]
    if body.digest != signature.body_hash:
        return _failed(usable, "the body has changed")
    key = verifying_key(message, candidate.field, signature, usable)
    if key is None:
        return _failed(usable, "the signature does not match the header")
    _refuse_by_policy(message, signature, key, body)
    return "pass", _unsigned(message, signature)


def _failed(keys: Sequence[Key], detail: str) -> tuple[str, str]:
    """A failure under a key in test mode is as no signature (RFC 6376 section 3.6.1, t=y)."""
    return ("neutral", f"{detail}; the key is in test mode") if keys[0].testing else ("fail", detail)


def _refuse_by_policy(message: Message, signature: Signature, key: Key, body: BodyHash) -> None:
    """What verifies and still proves nothing (RFC 8601 section 2.7.1: `policy`). Raises Unusable."""
    length = signature.form.length
    if key.strict and signature.identity_domain != signature.domain:
        raise Unusable("permerror", "the key's t=s forbids i= below d=")
    if length is not None and length > body.body_octets:
        raise Unusable("permerror", "l= is more than the body has")
    if length is not None and length < body.body_octets:
        raise Unusable("policy", f"l= covers {length} of the body's {body.body_octets} octets")
    if name := repeated(message, signature.signed):
        raise Unusable("policy", f"more than one {name} field")
    if key.testing:
        raise Unusable("policy", "the key is in test mode (t=y)")


def _unsigned(message: Message, signature: Signature) -> str:
    """A weakness to show, no reason to doubt: most real signatures leave Content-Type out (T18)."""
    names = [shown for name, shown in _WORTH_SIGNING.items() if message.named(name) and name not in signature.signed]
    return f"{' and '.join(names)} not signed" if names else ""


CHECK = DkimCheck()
