"""Identifiers that only we can make."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.clock import new_id, now
from gateway.core.tokens import AnswerToken, Tokens, new_trace_id

KEY, OLD = b"k" * 32, b"o" * 32
ACCOUNT, OTHER = "0" * 32, "1" * 32
TOKENS = Tokens([KEY])
ROW = new_id()


def made(tokens: Tokens = TOKENS, account: str = ACCOUNT) -> dict[str, str]:
    return {
        "message-id": tokens.message_id(account, 7, ROW, "acme.gw.test"),
        "answer": tokens.answer_local(account, 7, 3),
        "bounce": tokens.bounce_local(account, ROW),
    }


def read(kind: str, text: str, tokens: Tokens = TOKENS, account: str = ACCOUNT) -> object:
    readers = {
        "message-id": tokens.ticket_of_message_id,
        "answer": tokens.read_answer_local,
        "bounce": tokens.read_bounce_local,
    }
    return readers[kind](account, text)


NAMED = {"message-id": 7, "answer": AnswerToken(7, 3), "bounce": ROW}
KINDS = sorted(NAMED)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [str, str.lower, str.upper, str.swapcase])
def test_a_token_is_read_back_in_any_case(kind: str, change: object) -> None:
    assert read(kind, change(made()[kind])) == NAMED[kind]  # type: ignore[operator]


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_of_one_account_one_purpose_and_one_key(kind: str) -> None:
    assert read(kind, made()[kind], account=OTHER) is None
    assert read(kind, made()[kind], Tokens([OLD])) is None
    for other in KINDS:
        if other != kind:
            assert read(other, made()[kind]) is None


@pytest.mark.parametrize("kind", KINDS)
def test_after_rotation_old_tokens_are_read_and_new_ones_made(kind: str) -> None:
    rotated = Tokens([KEY, OLD])
    assert read(kind, made(Tokens([OLD]))[kind], rotated) == NAMED[kind]
    assert made(rotated)[kind] == made(Tokens([KEY]))[kind]
    assert read(kind, made(rotated)[kind], Tokens([OLD])) is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_changed_character_that_matters_makes_it_a_forgery(kind: str) -> None:
    token = made()[kind]
    prefix = 0 if kind == "message-id" else len(kind) + 1
    body = token[prefix:].partition("@")[0]
    for i, c in enumerate(body[:-1]):  # the last character has spare bits
        forged = body[:i] + ("b" if c != "b" else "c") + body[i + 1 :]
        assert read(kind, token[:prefix] + forged) is None


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text(max_size=80))
def test_anything_else_is_no_token_and_never_an_error(kind: str, text: str) -> None:
    assert read(kind, text) is None
    assert read(kind, f"{kind}+{text}") is None
    assert read(kind, f"{text}@acme.gw.test") is None


@pytest.mark.parametrize(
    "text", ["answer", "answer+", "answer+=", "answer+ſſ", "+", "bounce+" + "a" * 52, "answer+" + "a" * 39]
)
def test_service_names_without_a_token_of_ours_are_none(text: str) -> None:
    assert TOKENS.read_answer_local(ACCOUNT, text) is None
    assert TOKENS.read_bounce_local(ACCOUNT, text) is None


def test_local_parts_fit_into_an_address_and_carry_128_bits_of_proof() -> None:
    for kind in ("answer", "bounce"):
        assert len(made()[kind]) <= 64
    raw = base64.b32decode(made()["answer"].partition("+")[2].upper() + "=")
    assert len(raw) - 8 >= 16


def test_trace_ids_are_sixteen_base32_characters_of_their_own() -> None:
    ids = {new_trace_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(i) == 16 and set(i) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for i in ids)


def test_ids_are_uuid_version_7_and_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1_700_000_000_000_000_000
    monkeypatch.setattr("gateway.core.clock.time.time_ns", lambda: clock)
    first = new_id()
    clock += 1_000_000
    second = new_id()
    assert first < second
    assert (len(first), first[12], first[16] in "89ab") == (32, "7", True)
    assert int(first[:12], 16) == 1_700_000_000_000


def test_the_present_is_aware() -> None:
    assert now().utcoffset() is not None


def test_a_challenges_token_is_known_by_its_account_alone_in_any_case() -> None:
    token = TOKENS.challenge_token(ACCOUNT, new_id())
    assert len(token) == 37
    assert TOKENS.is_challenge_token(ACCOUNT, token.upper())
    assert not TOKENS.is_challenge_token(new_id(), token)
    assert not TOKENS.is_challenge_token(ACCOUNT, ("a" if token[0] != "a" else "b") + token[1:])
    assert not TOKENS.is_challenge_token(ACCOUNT, made()["bounce"].partition("+")[2])
