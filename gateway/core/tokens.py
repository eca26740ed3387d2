"""Identifiers that only we can make: they carry an HMAC of at least 128 bits and survive lower-casing (base32).

A token by itself opens nothing (RFC 5322 Message-IDs are seen by every reader of a thread); it proves that we once
named this ticket to somebody. What that is worth is decided by who uses it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass

_MAC_BYTES = 16
_ROW_BYTES = 7
"""So many octets of an outbox id, from its random end, tell the notices of one ticket apart."""


def new_trace_id() -> str:
    """16 base32 characters: the second word of the reply to the final dot."""
    return base64.b32encode(os.urandom(10)).decode("ascii")


def _b32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def _unb32(text: str) -> bytes | None:
    padded = text.upper() + "=" * (-len(text) % 8)
    try:
        return base64.b32decode(padded)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class AnswerToken:
    """What an agent's token address names: a ticket's number and the agent's number within the account."""

    ticket_number: int
    agent_number: int


class Tokens:
    """Makes and reads tokens under the secret keys: the first signs, all of them verify (rotation)."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def _mac(self, key: bytes, purpose: str, account_id: str, payload: bytes) -> bytes:
        text = purpose.encode() + b"\0" + account_id.encode() + b"\0" + payload
        return hmac.new(key, text, hashlib.sha256).digest()[:_MAC_BYTES]

    def _seal(self, purpose: str, account_id: str, payload: bytes) -> str:
        return _b32(payload + self._mac(self._keys[0], purpose, account_id, payload))

    def _open(self, purpose: str, account_id: str, token: str, size: int) -> bytes | None:
        raw = _unb32(token)
        if raw is None or len(raw) != size + _MAC_BYTES:
            return None
        payload, mac = raw[:size], raw[size:]
        good = [hmac.compare_digest(mac, self._mac(k, purpose, account_id, payload)) for k in self._keys]
        return payload if any(good) else None

    def message_id(self, account_id: str, ticket_number: int, outbox_id: str, domain: str) -> str:
        """The Message-ID (without brackets) of what an outbox row sends about a ticket: the same for every attempt.

        Kept short: mail programs fold or even encode an In-Reply-To that does not fit a line.
        """
        payload = ticket_number.to_bytes(5, "big") + bytes.fromhex(outbox_id)[-_ROW_BYTES:]
        return f"{self._seal('message-id', account_id, payload)}@{domain}"

    def ticket_of_message_id(self, account_id: str, message_id: str) -> int | None:
        """The ticket number a Message-ID of ours names, None when it is not ours or not for this account."""
        payload = self._open("message-id", account_id, message_id.partition("@")[0], 5 + _ROW_BYTES)
        return int.from_bytes(payload[:5], "big") if payload else None

    def answer_local(self, account_id: str, ticket_number: int, agent_number: int) -> str:
        """The local part `answer+<token>` an agent's answers come to."""
        payload = ticket_number.to_bytes(5, "big") + agent_number.to_bytes(3, "big")
        return "answer+" + self._seal("answer", account_id, payload)

    def read_answer_local(self, account_id: str, local: str) -> AnswerToken | None:
        """What `answer+<token>` names, None when it is no token of ours for this account."""
        prefix, _, token = local.partition("+")
        if prefix.lower() != "answer":
            return None
        payload = self._open("answer", account_id, token, 8)
        return AnswerToken(int.from_bytes(payload[:5], "big"), int.from_bytes(payload[5:], "big")) if payload else None

    def bounce_local(self, account_id: str, outbox_id: str) -> str:
        """The local part `bounce+<token>` of a notification's reverse-path."""
        return "bounce+" + self._seal("bounce", account_id, bytes.fromhex(outbox_id))

    def read_bounce_local(self, account_id: str, local: str) -> str | None:
        """The outbox id that a bounce address names, None when it is no token of ours for this account."""
        prefix, _, token = local.partition("+")
        if prefix.lower() != "bounce":
            return None
        payload = self._open("bounce", account_id, token, 16)
        return payload.hex() if payload else None

    def challenge_token(self, account_id: str, challenge_id: str) -> str:
        """37 characters that name a forwarding challenge. Short: SRS puts the whole reverse-path into a local part."""
        return self._seal("challenge", account_id, bytes.fromhex(challenge_id)[-_ROW_BYTES:])

    def is_challenge_token(self, account_id: str, token: str) -> bool:
        """Whether we made it, for this account."""
        return self._open("challenge", account_id, token, _ROW_BYTES) is not None
