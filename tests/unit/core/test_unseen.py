from __future__ import annotations

import unicodedata

import pytest

from gateway.core.unseen import without_unseen


@pytest.mark.parametrize("text", ["", "plain", "żółć 日本語 مرحبا", "a\u00a0b c\u3000d", "e\u0301"])
def test_what_is_seen_stays(text: str) -> None:
    assert without_unseen(text) == text


def test_every_format_character_that_words_are_split_with_goes() -> None:
    usual = {"\u0600", "\u06dd", "\u070f"}  # Arabic number signs and their like are shown
    found = [
        chr(c)
        for c in (0xAD, 0x61C, *range(0x180B, 0x1810), *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFEFF)
    ]
    assert without_unseen("x".join(found)) == "x" * (len(found) - 1)
    assert all(without_unseen(c) == c for c in usual)
    assert all(unicodedata.category(c) in ("Cf", "Mn") for c in found)


def test_runs_of_them_cost_no_more_than_the_text_is_long() -> None:
    assert without_unseen("\u200b" * 1_000_000 + "x") == "x"
