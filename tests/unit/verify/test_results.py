"""The Authentication-Results field: what strangers wrote must not become a field of its own."""

from __future__ import annotations

from gateway.core.reports import AuthReport, AuthResult, Level, Path, Sender
from gateway.verify.results import authentication_results


def report(*results: AuthResult) -> AuthReport:
    return AuthReport(results, Sender.UNVERIFIED, Level.NONE, "", Path.UNKNOWN, None, "", "")


def test_every_result_has_its_line():
    text = authentication_results(
        report(
            AuthResult("spf", "pass", (("smtp.mailfrom", "carol@customer.test"),)),
            AuthResult("dkim", "pass", (("header.d", "customer.test"), ("header.b", "ab/c+d==")), "Subject not signed"),
            AuthResult("dmarc", "pass", (("header.from", "customer.test"),)),
        ),
        "mx.gw.test",
    )
    assert text == (
        "mx.gw.test;\r\n"
        "\tspf=pass smtp.mailfrom=carol@customer.test;\r\n"
        '\tdkim=pass (Subject not signed) header.d=customer.test header.b="ab/c+d==";\r\n'
        "\tdmarc=pass header.from=customer.test"
    )


def test_no_results_are_none():
    assert authentication_results(report(), "mx.gw.test") == "mx.gw.test; none"


def test_hostile_values_are_quoted_escaped_and_kept_on_their_line():
    hostile = 'a"b\\c\r\nX-Evil: 1\x00;dkim=pass header.d=bank.test'
    text = authentication_results(
        report(AuthResult("spf", "fail", (("smtp.mailfrom", hostile),), "it's (nested) \\ \r\nX-Evil: 2")), "mx.gw.test"
    )
    assert "\x00" not in text
    assert all(line.startswith("\t") for line in text.split("\r\n")[1:])
    assert '\\"b\\\\c' in text
    assert "\\(nested\\) \\\\" in text
    assert text.count("\r\n") == text.count("\n") == text.count("\r")


def test_other_characters_are_ascii_unless_the_message_is_international():
    found = report(AuthResult("spf", "pass", (("smtp.mailfrom", "jürgen@münchen.test"),)))
    assert authentication_results(found, "mx.gw.test").isascii()
    assert "jürgen" in authentication_results(found, "mx.gw.test", smtputf8=True)


def test_long_values_are_cut_and_long_lines_folded():
    found = report(AuthResult("spf", "permerror", (("smtp.mailfrom", "x" * 5000),), "word " * 2000))
    lines = authentication_results(found, "mx.gw.test").split("\r\n")
    assert max(map(len, lines)) < 400
    assert sum(len(line) > 78 for line in lines) <= 1
