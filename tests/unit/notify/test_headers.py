from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InvalidInput
from gateway.core.message import Address
from gateway.notify import headers


def read_back(name: str, words: list[str]) -> str:
    raw = headers.field(name, words) + b"\r\n"
    return str(email.message_from_bytes(raw, policy=email.policy.default)[name])


@pytest.mark.parametrize(
    "subject",
    [
        "Printer on fire",
        "Drucker brennt: Größe 42, Straße",
        "Принтер горит, " * 10,
        "打印机着火了" * 30,
        "👩‍🚒 fire " * 20,
        "x" * 190,
        "literal =?utf-8?Q?=0D=0ABcc:_eve@evil.example?= stays text",
        '"quoted" \\ and <angled>',
    ],
)
def test_a_subject_is_read_back_as_it_was(subject: str) -> None:
    raw = headers.field("Subject", headers.text(subject))

    assert raw.isascii()
    assert all(len(line) <= 78 for line in raw.split(b"\r\n"))
    # The library turns a literal encoded-word inside an encoded-word into text once, as readers do.
    assert read_back("Subject", headers.text(subject)) == " ".join(subject.split())[:200]


def test_a_subject_with_line_ends_becomes_one_line() -> None:
    assert headers.text("a\r\nBcc: eve@evil.example\x00\x0b\u2028b") == ["a", "Bcc:", "eve@evil.example", "b"]


def test_direction_marks_do_not_reach_a_header() -> None:
    assert headers.one_line("invoice\u202efdp.exe") == "invoicefdp.exe"


def test_long_texts_are_cut_with_an_ellipsis() -> None:
    cut = headers.one_line("word " * 100)

    assert len(cut) <= 200
    assert cut.endswith("…")


@pytest.mark.parametrize("name", ["Carol Jones", 'Carol "the boss" O\\Neil', "Søren Ægir", "田中", "a=?b?=c", "x" * 90])
def test_a_display_name_is_read_back_as_it_was(name: str) -> None:
    raw = headers.field("From", headers.mailbox(Address("carol@customer.example", name))) + b"\r\n"

    author = email.message_from_bytes(raw, policy=email.policy.default)["From"].addresses

    assert [(a.display_name, a.addr_spec) for a in author] == [(name, "carol@customer.example")]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "carol",
        "carol@customer.example\r\nBcc: eve@evil.example",
        "<carol@customer.example>",
        "Carol <carol@customer.example>",
        "carol@customer.example, eve@evil.example",
        '"eve@evil.example x"@',
        "a b@customer.example",
        "e\u0301va@customer.example",  # would be written as another sequence of octets
        '"carol"@customer.example',  # would be written without its quotes
    ],
)
def test_an_address_that_would_be_read_as_another_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="cannot write to"):
        headers.exact_address(address)


def test_a_quoted_local_part_with_an_address_inside_stays_one_address() -> None:
    """Nodemailer CVE-2025-13033: the mail went to the address inside the quotes."""
    inside = '"eve@evil.example x"@customer.example'

    raw = headers.field("To", headers.mailbox(Address(inside))) + b"\r\n"

    assert email.message_from_bytes(raw, policy=email.policy.default)["To"].addresses[0].domain == "customer.example"
    assert headers.exact_address(inside) == inside


def test_a_domain_of_another_script_is_written_as_a_labels() -> None:
    assert headers.exact_address("carol@bücher.example") == "carol@xn--bcher-kva.example"


def test_message_ids_that_are_none_are_left_out() -> None:
    thread = [
        "good@a.example",
        "bad id@a.example",
        "x\r\nBcc: eve@evil.example",
        "<bracketed@a.example>",
        "no-at",
        "@",
        "a@" + "b" * 300,
    ]

    assert headers.message_ids(thread) == ["<good@a.example>", "<bracketed@a.example>"]


def test_a_long_thread_keeps_its_first_and_its_newest_message() -> None:
    kept = headers.message_ids([f"{n}@a.example" for n in range(50)])

    assert len(kept) == 20
    assert (kept[0], kept[1], kept[-1]) == ("<0@a.example>", "<31@a.example>", "<49@a.example>")


@pytest.mark.parametrize("word", ["a\r\nb", "a\nb", "\x00", "a\x7f", "\ud800", " ", "", "\u2028"])
def test_an_unwashed_word_is_an_error_and_never_a_header(word: str) -> None:
    with pytest.raises(ValueError, match="not fit"):
        headers.field("Subject", ["fine", word])


def test_a_word_too_long_for_a_line_is_an_error() -> None:
    with pytest.raises(ValueError, match="998"):
        headers.field("Subject", ["x" * 999])


def test_a_field_name_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="name"):
        headers.field("X: y\r\nBcc", ["z"])


@given(st.text(max_size=300))
def test_no_text_makes_a_second_field_or_a_long_line(text: str) -> None:
    words = headers.text(text)
    if words:
        raw = headers.field("Subject", words)
        assert raw.isascii()
        assert raw.endswith(b"\r\n")
        assert [line[:1] for line in raw[:-2].split(b"\r\n")[1:]] == [b" "] * raw[:-2].count(b"\r\n")
        assert b"\r" not in raw.replace(b"\r\n", b"")
        assert b"\n" not in raw.replace(b"\r\n", b"")
        assert read_back("Subject", words) == headers.one_line(text)
