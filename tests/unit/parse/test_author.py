"""Who a message is from: exactly one address that all parsers agree on, or nobody."""

from __future__ import annotations

from email.utils import getaddresses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.message import Address
from gateway.parse import parse
from gateway.parse.author import Named, named_in

from .shapes import message


@pytest.mark.parametrize(
    ("value", "address", "name"),
    [
        ("a@b.example", "a@b.example", ""),
        ("<a@b.example>", "a@b.example", ""),
        ("Carol Jones <carol@b.example>", "carol@b.example", "Carol Jones"),
        ('"Jones, Carol" <carol@b.example>', "carol@b.example", "Jones, Carol"),
        ('"carol@other.example" <carol@b.example>', "carol@b.example", "carol@other.example"),
        ("[Acme] Support (via web) <s@b.example>", "s@b.example", "[Acme] Support (via web)"),
        ("carol@b.example (Carol Jones)", "carol@b.example", "Carol Jones"),
        ("=?utf-8?q?J=C3=B6rg?= <j@b.example>", "j@b.example", "Jörg"),
        ("=?utf-8?q?carol=40b.example?= <c@b.example>", "c@b.example", "carol@b.example"),
        ('"=?utf-8?q?J=C3=B6rg?=" <j@b.example>', "j@b.example", "Jörg"),
        ('"Foo \\"bar\\"" <a@b.example>', "a@b.example", 'Foo "bar"'),
        ("\r\n A long name\r\n <a@B.Example>", "a@b.example", "A long name"),
        ("Jörg <jörg@bücher.example>", "jörg@xn--bcher-kva.example", "Jörg"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]", ""),
    ],
)
def test_one_mailbox_is_the_author(value: str, address: str, name: str) -> None:
    parsed = parse(message(f"From: {value}"))
    assert parsed.author == Address(address, name)
    assert parsed.author_domains == (address.rpartition("@")[2],)
    assert not parsed.defects


@pytest.mark.parametrize(
    "value",
    [
        "a@evil.example <b@good.example>",
        "a@evil.example, b@good.example",
        "a@evil.example b@good.example",
        "<a@evil.example> <b@good.example>",
        "<@a.example,@b.example:c@good.example>",
        "Group: a@good.example;",
        "undisclosed-recipients:;",
        "Doe, John <a@good.example>",
        '"a@evil.example"@good.example',
        "=?utf-8?q?a=40evil.example?=@good.example",
        "=?utf-8?q?=3Ca=40evil.example=3E?= <b@good.example>",
        "legitimate.example(.attack.example <a@good.example>",
        "a@legitimate.example(.attack.example)",
        "a@legitimate.example'",
        "a@good.example\\@evil.example",
        "<a @good.example>",
        "<a@good.example",
        "<a@good.example> b",
        '"a <b@good.example>',
        "MAILER-DAEMON <>",
        "nobody",
        "",
        "a@good.example\u202e",
    ],
)
def test_whatever_parsers_read_differently_has_no_author(value: str) -> None:
    parsed = parse(message(f"From: {value}"))
    assert parsed.author is None
    assert "ambiguous-author-syntax" in parsed.defects


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"Subject: x\r\n\r\n", "missing"),
        (b"From: a@b.example\r\nFrom: a@b.example\r\n\r\n", "several-fields"),
        (b"From: a@b.example\r\nfROM : c@d.example\r\n\r\n", "several-fields"),
        (b"From : a@b.example\r\n\r\n", "malformed-field"),
        (b"From\r\n : a@b.example\r\n\r\n", "malformed-field"),
        (b"From:\0 a@b.example\r\n\r\n", "malformed-field"),
        (b"From: a@b.example\r\0\r\n\r\n", "malformed-field"),
        (b" From: a@evil.example\r\nFrom: a@b.example\r\n\r\n", "malformed-field"),
        (b"no field\r\nFrom: a@b.example\r\n\r\n", "malformed-field"),
        (b"From: a@b.example\r\nSubject: x\rFrom: c@d.example\r\n\r\n", "bare-cr"),
    ],
)
def test_a_doubtful_header_has_no_author(content: bytes, reason: str) -> None:
    parsed = parse(content)
    assert parsed.author is None
    assert f"ambiguous-author-{reason}" in parsed.defects


@pytest.mark.parametrize(
    "value", ["Carol <c@x.example>", "a@x.example, b@x.example", "a@x.example <b@x.example>", "", "x"]
)
def test_another_field_is_read_as_from_is(value: str) -> None:
    found = named_in(message(f"Reply-To: {value}"), "reply-to")
    assert found.address == parse(message(f"From: {value}")).author
    assert found.doubt == ("" if found.address else "syntax")


@pytest.mark.parametrize(
    ("fields", "doubt"),
    [
        (("Subject: x",), "missing"),
        (("Reply-To: a@x.example", "REPLY-TO: a@x.example"), "several-fields"),
        (("Reply-To : a@x.example",), "malformed-field"),
        (("Reply-To: a@x.example", "Subject: x\rReply-To: b@x.example"), "bare-cr"),
    ],
)
def test_another_field_in_doubt_names_nobody(fields: tuple[str, ...], doubt: str) -> None:
    assert named_in(message(*fields), "reply-to") == Named(None, doubt)


def test_domains_of_an_ambiguous_author_are_all_that_any_parser_might_see() -> None:
    parsed = parse(message("From: a@one.example <b@two.example>", "From: =?utf-8?q?c=40three.example?= <x@..>"))
    assert parsed.author_domains == ("one.example", "two.example", "three.example")


def test_the_address_shown_is_the_address_judged() -> None:
    assert parse(message('From: "a@evil.example" <b@good.example>')).from_shown == '"a@evil.example" <b@good.example>'
    assert parse(message("From: Carol <b@good.example>")).from_shown == "Carol <b@good.example>"
    assert parse(message("From: b@good.example")).from_shown == "b@good.example"
    assert parse(message("From: a@b.example", "From: c@d.example")).from_shown == "a@b.example, c@d.example"


def test_raw_8_bit_names_do_not_cost_the_author() -> None:
    parsed = parse(message(b"From: J\xf6rg <j@b.example>"))
    assert parsed.author == Address("j@b.example", "Jörg")
    assert parsed.defects == ("8bit-header",)


_PIECES = [
    '"',
    "a@b.example",
    "<",
    ">",
    "(",
    ")",
    ",",
    ":",
    ";",
    "\\",
    " ",
    "x",
    "=?utf-8?q?a=40b?=",
    "@",
    "c@d.example",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join))
@example("a@evil.example <b@good.example>")
def test_the_standard_library_finds_no_other_address_than_the_author(value: str) -> None:
    author = parse(message(f"From: {value}")).author
    if author:
        others = {address for _, address in getaddresses([value]) if "@" in address}
        assert others <= {author.address}
