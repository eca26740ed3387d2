"""Authentication-Results of others: what large providers really write, and what was written to be misread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.reports import AuthReport, AuthResult, Level, Path, Sender
from gateway.verify.results import authentication_results
from gateway.verify.results_parser import MAX_RESULTS, Malformed, only_property, parse_results

GOOGLE = b""" mx.google.com;\r
       dkim=pass header.i=@ietf.org header.s=ietf1 header.b=jqk/rz+o;\r
       dkim=neutral (body hash did not verify) header.i=@stalw.art header.b=QS+O8z2Y;\r
       spf=pass (google.com: domain of jmap-bounces@ietf.org designates 50.223.129.194 as permitted sender)\r
        smtp.mailfrom="msprvs1=1=bounces@ietf.org";\r
       dmarc=fail (p=NONE sp=NONE dis=NONE) header.from=stalw.art\r
"""
MICROSOFT = (
    b"spf=pass (sender IP is 192.0.2.1)\r\n smtp.mailfrom=contoso.test; dkim=pass (signature was verified)\r\n"
    b" header.d=contoso.test;dmarc=pass action=none\r\n header.from=contoso.test;compauth=pass reason=100\r\n"
)
MICROSOFT_SEALED = (
    b" mx.microsoft.com 1; spf=pass (sender ip is 192.0.2.1) smtp.rcpttodomain=acme.test smtp.mailfrom=contoso.test;"
    b" dmarc=pass (p=none sp=none pct=100) action=none header.from=contoso.test; dkim=pass (signature was verified)"
    b" header.d=contoso.test; arc=pass (0 oda=1 ltdi=1 spf=[1,1,smtp.mailfrom=contoso.test]"
    b" dmarc=[1,1,header.from=contoso.test])\r\n"
)


def test_googles_are_read():
    found = parse_results(GOOGLE)
    assert found.authserv_id == "mx.google.com"
    assert [(r.method, r.result) for r in found.results] == [
        ("dkim", "pass"), ("dkim", "neutral"), ("spf", "pass"), ("dmarc", "fail")]  # fmt: skip
    assert found.only("dkim") is None
    assert found.only("dmarc") == AuthResult(
        "dmarc", "fail", (("header.from", "stalw.art"),), "p=NONE sp=NONE dis=NONE"
    )
    assert only_property(found.only("spf"), "smtp.mailfrom") == "msprvs1=1=bounces@ietf.org"
    assert only_property(found.results[0], "header.b") == "jqk/rz+o"


def test_microsofts_without_an_authserv_id_are_read():
    found = parse_results(MICROSOFT)
    assert found.authserv_id == ""
    assert [(r.method, r.result) for r in found.results] == [
        ("spf", "pass"), ("dkim", "pass"), ("dmarc", "pass"), ("compauth", "pass")]  # fmt: skip
    assert found.only("dmarc").properties == (("action", "none"), ("header.from", "contoso.test"))


def test_microsofts_sealed_ones_are_read_and_a_comment_says_nothing():
    found = parse_results(MICROSOFT_SEALED)
    assert found.authserv_id == "mx.microsoft.com"
    assert only_property(found.only("dmarc"), "header.from") == "contoso.test"
    assert found.only("arc").properties == ()


@pytest.mark.parametrize("text", [b"mx.test; none", b"mx.test 1; none", b" (x) mx.test (y) ; (z) none (w)", b"mx.test"])
def test_no_results_are_no_results(text):
    found = parse_results(text)
    assert (found.authserv_id, found.results) == ("mx.test", ())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"mx.test; dmarc=pass header.from=a.test", "a.test"),
        (b"mx.test;dmarc=pass header.from=a.test;", "a.test"),
        (b'mx.test; DMARC / 1 = PASS (fine) reason="p=none; really" Header . From = a.test (c)', "a.test"),
        (b'"mx.test" 1; dmarc=pass header.from="a.test"', "a.test"),
        (b'mx.test; dmarc=pass header.from="a\\".test"', 'a".test'),
        (b"mx.test;\r\n\tdmarc=pass\r\n\theader.from=\r\n\ta.test\r\n", "a.test"),
        (b"mx.test; dmarc=pass (a (nested \\) b) c) header.from=a.test", "a.test"),
        (b"mx.test; dmarc=pass smtp.mailfrom=<> header.from=a.test", "a.test"),
        (b'mx.test; dmarc=pass smtp.mailfrom="a b"@c.test header.from=a.test', "a.test"),
        (b"mx.test; dmarc=pass smtp.remote-ip=2001:db8::1 header.from=a.test", "a.test"),
        ("mx.test; dmarc=pass header.from=bücher.test".encode(), "bücher.test"),
    ],
)  # fmt: skip
def test_the_grammar_of_rfc_8601_is_read(text, value):
    dmarc = parse_results(text).only("dmarc")
    assert (dmarc.result, only_property(dmarc, "header.from")) == ("pass", value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b";",
        b"mx.test; dmarc",
        b"mx.test; dmarc=",
        b"mx.test; =pass",
        b"mx.test dmarc=pass",
        b"mx.test 1 2; none",
        b"mx.test; dmarc=pass;; spf=pass",
        b"mx.test; dmarc=pass header.from",
        b"mx.test; dmarc=pass header.from=",
        b"mx.test; dmarc=pass header.from=a.test(.evil.test",
        b"mx.test; dmarc=pass header.from=a.test(.evil.test)",
        b'mx.test; dmarc=pass header.from=a.test".evil.test',
        b'mx.test; dmarc=pass header.from="a.test".evil.test',
        b'mx.test; dmarc=pass header.from="a.test',
        b"mx.test; dmarc=pass header.from=a.test, evil.test",
        b"mx.test; dmarc=pass header.from=a.test <evil.test>",
        b"mx.test; dmarc=pass header.from=a.test\x00.evil.test",
        b"mx.test; dmarc=pass header.from=a.test\rx",
        b"mx.test; dmarc=pass\ndkim=pass",
        b"mx.test; dmarc=pass (never ends",
        b"mx.test; dmarc=pass (ends in a \\",
        b"mx.test; dmarc=pass header.from=\xff.test",
        b"mx.test" + b"; spf=pass" * (MAX_RESULTS + 1),
        b"mx.test; spf=pass " + b"a.b=c " * 100,
        b"mx.test; spf=pass " + b" " * 70_000,
    ],
)  # fmt: skip
def test_what_two_readers_could_read_differently_counts_for_nothing(text):
    with pytest.raises(Malformed):
        parse_results(text)


def test_a_property_said_twice_has_no_value():
    dmarc = parse_results(b"mx.test; dmarc=pass header.from=a.test header.from=b.test").only("dmarc")
    assert only_property(dmarc, "header.from") is None


@given(st.binary(max_size=60) | st.lists(st.sampled_from(list(b'a.=;()\\" \r\n/1<>@\xc3')), max_size=40).map(bytes))
def test_no_octets_break_the_parser(octets):
    try:
        parse_results(b"mx.test; dmarc=pass " + octets)
    except Malformed:
        return


@given(st.text(max_size=40), st.text(max_size=40))
def test_what_we_write_is_read_back_whatever_strangers_put_into_it(detail, value):
    written = AuthResult("spf", "pass", (("smtp.mailfrom", value),), detail)
    after = AuthResult("dmarc", "fail", (("header.from", "a.test"),))
    report = AuthReport(
        (written, after), Sender.UNVERIFIED, Level.NONE, "", Path.UNKNOWN, None, "", "", client_vouched=False
    )
    found = parse_results(authentication_results(report, "gw.test", smtputf8=True).encode())
    assert [(r.method, r.result) for r in found.results] == [("spf", "pass"), ("dmarc", "fail")]
    assert only_property(found.only("dmarc"), "header.from") == "a.test"
