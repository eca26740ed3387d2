"""The one grammar for addresses, and how two are compared."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.addresses import (
    AddrSpec,
    BadAddress,
    base_local,
    canonical,
    normal_domain,
    parse_addr_spec,
    quote_local,
    without_controls,
)


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("a@b.test", "a", "b.test"),
        ("A.b+c@B.TEST", "A.b+c", "b.test"),
        ("!#$%&'*+-/=?^_`{|}~@b.test", "!#$%&'*+-/=?^_`{|}~", "b.test"),
        ('"a b"@b.test', "a b", "b.test"),
        ('"a@b"@c.test', "a@b", "c.test"),
        (r'"a\"\\b"@c.test', r'a"\b', "c.test"),
        ('"plain"@c.test', "plain", "c.test"),
        ("a@b.test.", "a", "b.test"),
        ("a@_dmarc.b.test", "a", "_dmarc.b.test"),
        ("a@localhost", "a", "localhost"),
        ("a@[192.0.2.1]", "a", "[192.0.2.1]"),
        ("a@[IPv6:2001:DB8::1]", "a", "[IPv6:2001:db8::1]"),
        ("a@[ipv6:::1]", "a", "[IPv6:::1]"),
        ("ä@bücher.test", "ä", "xn--bcher-kva.test"),
        ("a\u0308@b.test", "ä", "b.test"),
        ("a@BÜCHER。test", "a", "xn--bcher-kva.test"),
        ("a@faß.test", "a", "xn--fa-hia.test"),
        ("用户@例子.test", "用户", "xn--fsqu00a.test"),
        ("x" * 255 + "@b.test", "x" * 255, "b.test"),
    ],
)
def test_an_address_is_read_as_it_was_meant(text: str, local: str, domain: str) -> None:
    assert parse_addr_spec(text) == AddrSpec(local, domain)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "a",
        "a@",
        "@b.test",
        "a@b@c.test",
        "a b@c.test",
        "a@b c.test",
        " a@b.test",
        "a@b.test ",
        "<a@b.test>",
        ".a@b.test",
        "a.@b.test",
        "a..b@c.test",
        "a,b@c.test",
        "a;b@c.test",
        "a:b@c.test",
        "(c)a@b.test",
        "a\\b@c.test",
        '"a@b.test',
        '"a"b@c.test',
        '"a"',
        '""@b.test',
        '"a\nb"@c.test',
        '"a\\\x01"@b.test',
        'a"b"@c.test',
        '"a"@',
        "a@.b.test",
        "a@b..test",
        "a@b.test..",
        "a@-b.test",
        "a@b-.test",
        "a@b!.test",
        "a@" + "x" * 64 + ".test",
        "a@.",
        "a@" + ".".join(["x" * 60] * 5),
        "x" * 256 + "@b.test",
        "ä" * 128 + "@b.test",
        "x" * 600 + "@b.test",
        "a\0@b.test",
        "a@b\0.test",
        "a\r@b.test",
        "a\x7f@b.test",
        "a\u200b@b.test",
        "a\u00a0@b.test",
        "a\u202e@b.test",
        "a\ud800@b.test",
        "a\ufeff@b.test",
        "a\u2028@b.test",
        "a\ue000@b.test",
        '"a\u200b"@b.test',
        "a@b\ud800.test",
        "a@[1.2.3]",
        "a@[1.2.3.4",
        "a@[01.2.3.4]",
        "a@[IPv6:x]",
        "a@[IPv6:::1%eth0]",
        "a@[IPv6:::1%\r\nBcc: x]",
        "a@[]",
        "a@[1.2.3.4].test",
        "a@\u0378.test",
        "a@xn--.\u00fc",
        "a\uff20b.test",
        "@relay.test:a@b.test",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        parse_addr_spec(text)


@pytest.mark.parametrize("local", ["a..b", ".a", "a.", "..."])
def test_stray_dots_are_taken_from_real_authors_only(local: str) -> None:
    assert parse_addr_spec(f"{local}@docomo.test", lenient=True).local == local
    with pytest.raises(BadAddress):
        parse_addr_spec(f"{local}@docomo.test")


def test_an_address_shows_itself_quoted_where_it_must() -> None:
    assert str(AddrSpec("a b", "c.test")) == '"a b"@c.test'
    assert str(AddrSpec('a"\\', "c.test")) == r'"a\"\\"@c.test'
    assert quote_local("a..b") == '"a..b"'
    assert AddrSpec("a", "c.test").is_ascii
    assert not AddrSpec("ä", "c.test").is_ascii


@given(st.text(max_size=40), st.booleans())
def test_what_is_read_is_read_again_the_same(text: str, lenient: bool) -> None:
    for whole in (f"{text}@c.test", f'"{text}"@c.test', f"a@{text}"):
        try:
            spec = parse_addr_spec(whole, lenient=lenient)
        except BadAddress:
            continue
        assert parse_addr_spec(str(spec)) == spec
        assert str(spec).isprintable() or not str(spec).isascii()
        assert without_controls(str(spec)) == str(spec)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Carol@Customer.TEST", "carol@customer.test"),
        ("ÄRGER@b.test", "a\u0308rger@b.test"),
        ("a@bücher.test", "A@xn--bcher-kva.test"),
        ('"carol"@b.test', "carol@b.test"),
        ("a..b@c.test", '"a..b"@c.test'),
        ("a@b.test.", "a@b.test"),
        (" No Address ", "no address"),
    ],
)
def test_one_address_written_in_two_ways_is_one(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("henryⅣ@b.test", "henryiv@b.test"),
        ("ｃarol@b.test", "carol@b.test"),
        ("сarol@b.test", "carol@b.test"),
        ("mıke@b.test", "mike@b.test"),
        ("carol+a@b.test", "carol@b.test"),
        ("c.arol@b.test", "carol@b.test"),
        ("a@раураl.test", "a@paypal.test"),
        ("carol@b.test", "carol@c.test"),
    ],
)
def test_compatibility_forms_and_look_alikes_merge_no_strangers(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@given(st.text(min_size=1, max_size=40))
def test_a_canonical_address_is_its_own_canonical_form(local: str) -> None:
    once = canonical(f"{local}@c.test")
    assert canonical(once) == once


@pytest.mark.parametrize(
    ("local", "base"),
    [("Support+x+y", "support"), ("support", "support"), ("+x", "+x"), ("+", "+"), ("STRASSE", "strasse")],
)
def test_a_tag_is_no_part_of_what_is_looked_up(local: str, base: str) -> None:
    assert base_local(local) == base


@pytest.mark.parametrize(
    ("text", "washed"),
    [
        ("plain", "plain"),
        ("a\r\nBcc: x", "a  Bcc: x"),
        ("a\tb\vc\fd\x85e\u2028f\u2029g", "a b c d e f g"),
        ("nul\0 esc\x1b[31m del\x7f", "nul esc[31m del"),
        ("lone \ud800 surrogate \udcff", "lone  surrogate "),
        ("Grüße 你好 \U0001f600", "Grüße 你好 \U0001f600"),
    ],
)
def test_what_enters_a_header_is_one_line_without_controls(text: str, washed: str) -> None:
    assert without_controls(text) == washed


@given(st.text())
def test_nothing_washed_can_break_a_line_or_an_encoder(text: str) -> None:
    washed = without_controls(text)
    washed.encode("utf-8")
    assert len(washed.splitlines()) <= 1
    assert not any(unicodedata.category(c) == "Cc" for c in washed)


def test_a_domain_is_its_own_normal_form() -> None:
    for domain in ("B.test", "bücher.test", "[IPv6:2001:DB8::1]", "[192.0.2.1]"):
        assert normal_domain(normal_domain(domain)) == normal_domain(domain)
