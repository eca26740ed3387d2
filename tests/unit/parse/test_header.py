"""Fields, encoded-words, dates, references, automatic mail."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.core.errors import TooComplex
from gateway.parse import parse
from gateway.parse.dates import read_date

from .shapes import message


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= aus Bonn", "Grüße aus Bonn"),
        (b"=?UTF-8?B?R3LDvMOf?=\r\n =?UTF-8?B?ZQ==?=", "Grüße"),
        (b"=?utf-8?b?w?= =?utf-8?b?w?=", "\ufffd"),
        (b"=?utf-8?b?4pyT4p?= =?utf-8?b?yT?=", "✓✓"),
        (b"=?utf-8?q?=E2=9C?= =?utf-8?q?=93?=", "✓"),
        (b"=?utf-8*de?q?a?= =?iso-8859-1?q?=E4?=", "aä"),
        (b"a=?utf-8?q?b?=c", "abc"),
        (b"=?utf-8?q?two words?=", "two words"),
        (b"=?iso-8859-1?q?Fr\xf6sche?=", "Frösche"),
        ("=?utf-8?q?Frösche?=".encode(), "Frösche"),
        ("=?koi8-r?q?日?=".encode(), "日".encode().decode("koi8-r")),
        (b"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?gb2312?b?xOO6ww==?=", "你好"),
        (b"=?x-nonsense?q?caf=C3=A9?=", "café"),
        (b"=?zlib?q?abc?=", "abc"),
        (b"=?utf-8?q?=FF=FE=E4?=", "ÿþä"),
        (b"=?utf-8?q?=0D=0ABcc:_x=00?=", "Bcc: x"),
        (b"=?utf-8?b?", "=?utf-8?b?"),
        (b"plain\ttext\r\n\tfolded", "plain text folded"),
        (b"caf\xe9", "café"),
        ("日本".encode(), "日本"),
    ],
)
def test_subjects_are_decoded(raw: bytes, expected: str) -> None:
    assert parse(message(b"Subject: " + raw)).subject == expected


def test_single_fields_that_repeat_are_defects_and_the_topmost_counts() -> None:
    parsed = parse(message("Subject: one", "Subject: two", "Message-ID: <1@x>", "Message-ID: <2@x>"))
    assert (parsed.subject, parsed.message_id) == ("one", "1@x")
    assert parsed.defects == ("duplicate-message-id", "duplicate-subject")
    assert parsed.header_values("subject") == ("one", "two")


def test_headers_keep_their_order_and_received_is_counted() -> None:
    parsed = parse(message("Received: a", "X-A: 1", "Received: b"))
    assert [name for name, _ in parsed.headers] == ["From", "Received", "X-A", "Received"]
    assert parsed.received_count == 2


@pytest.mark.parametrize(
    ("content", "subject", "text", "defect"),
    [
        (b"\r\n\nSubject: s\r\n\r\nt", "s", "t", "blank-lines-before-header"),
        (b"From mbox Thu Jan 1\r\nSubject: s\r\n\r\nt", "s", "t", ""),
        (b">From mbox\nSubject: s\n\nt", "s", "t", ""),
        (b"From mbox", "", "", ""),
        (b"Subject: s\r\nbroken fold\r\nX-A: b\r\n\r\nt", "s", "t", "malformed-header-line"),
        (b"Subject: s\r\nthis is text\r\nand more", "s", "this is text\nand more", "no-blank-line-behind-header"),
        (b"just text", "", "just text", "no-header"),
        (b"Subject: s", "s", "", ""),
        (b"", "", "", ""),
        (b"Subject : s\r\n\r\nt", "s", "t", ""),
        (b"Subject: s\n\nt\n", "s", "t\n", ""),
        (b"Subject: s\r\n \r\n\r\nt", "s", "t", ""),
    ],
)
def test_headers_are_found_where_senders_put_them(content: bytes, subject: str, text: str, defect: str) -> None:
    parsed = parse(content)
    assert (parsed.subject, parsed.text) == (subject, text)
    assert not defect or defect in parsed.defects


def test_bare_line_feeds_read_like_crlf() -> None:
    content = message("Subject: a\r\n b", "To: c@d.example", body="one\r\ntwo\r\n")
    crlf, lf = parse(content), parse(content.replace(b"\r\n", b"\n"))
    assert (crlf.headers, crlf.text, crlf.body_digest) == (lf.headers, lf.text, lf.body_digest)


@pytest.mark.parametrize(
    "content",
    [
        b"X: " + b"a" * 262_144 + b"\r\n\r\n",
        b"X: a\r\n" * 1001,
        b"\n" * 300_000,
        b"X: a\r\n" + b" b\r\n" * 70_000,
    ],
    ids=["one-field", "fields", "blank-lines", "folds"],
)
def test_headers_over_the_limit_are_too_complex(content: bytes) -> None:
    with pytest.raises(TooComplex):
        parse(content)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fri, 21 Nov 2025 10:00:05 +0100", datetime(2025, 11, 21, 9, 0, 5, tzinfo=UTC)),
        ("21 Nov 2025 10:00 -0230", datetime(2025, 11, 21, 12, 30, tzinfo=UTC)),
        ("Fri, 21 Nov 25 10:00:05 GMT", datetime(2025, 11, 21, 10, 0, 5, tzinfo=UTC)),
        ("21 Nov 99 10:00:05 EST", datetime(1999, 11, 21, 15, 0, 5, tzinfo=UTC)),
        ("21 Nov 101 10:00:05", datetime(2001, 11, 21, 10, 0, 5, tzinfo=UTC)),
        ("21 November 2025 23:59:60 XYZ (comment)", datetime(2025, 11, 21, 23, 59, 59, tzinfo=UTC)),
        ("Thu Nov 21 10:00:05 2024", datetime(2024, 11, 21, 10, 0, 5, tzinfo=UTC)),
        ("Tue, 21 Nov 0000 10:00:00 +0000", None),
        ("1 Jan 0001 00:00:00 +2300", None),
        ("31 Dec 9999 23:00:00 -2300", None),
        ("21 Nov 2025 10:00:00 +9999", None),
        ("31 Feb 2025 10:00:00 +0000", None),
        ("21 Foo 2025 10:00:00 +0000", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates_become_utc_or_nothing(text: str, expected: datetime | None) -> None:
    assert read_date(text) == expected


def test_a_date_that_names_no_moment_is_a_defect() -> None:
    assert parse(message("Date: soon")).defects == ("bad-date",)
    assert parse(message("Date: Fri, 21 Nov 2025 10:00:05 +0100")).date == datetime(2025, 11, 21, 9, 0, 5, tzinfo=UTC)


def test_references_come_before_in_reply_to_and_once() -> None:
    parsed = parse(message("References: <1@x> <2@x>\r\n <2@x>", "In-Reply-To: <3@x>", "Message-ID:\r\n <4@\r\n x>"))
    assert parsed.references == ("1@x", "2@x", "3@x")
    assert parsed.message_id == "4@x"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("In-Reply-To: Your message of Monday by a@b.example", ()),
        ("In-Reply-To: 1@x", ("1@x",)),
        ("In-Reply-To: Your message <1@x>", ("1@x",)),
        ("References: 1@x, 2@x", ("1@x", "2@x")),
        ("References: <[x]@y>", ("[x]@y",)),
        ("References: <>" + "<" + "a" * 1000 + "@x>", ()),
    ],
)
def test_references_are_found_as_they_are_written(field: str, expected: tuple[str, ...]) -> None:
    assert parse(message(field)).references == expected


def test_of_thousands_of_references_the_first_and_the_newest_stay() -> None:
    found = parse(message("References: " + " ".join(f"<{n}@x>" for n in range(5000)))).references
    assert len(found) == 100
    assert (found[0], found[-1]) == ("0@x", "4999@x")


@pytest.mark.parametrize(
    ("fields", "automatic", "is_list"),
    [
        ([], "", False),
        (["Auto-Submitted: no"], "", False),
        (["Auto-Submitted: auto-replied (vacation)"], "auto-submitted", False),
        (["Auto-Submitted: auto-generated; owner-email=a@b.example"], "auto-submitted", False),
        (["X-Auto-Response-Suppress: All"], "", False),
        (["X-Autoreply: yes"], "auto-submitted", False),
        (["X-Autoreply: no"], "", False),
        (["X-Autorespond: your subject"], "auto-submitted", False),
        (["Precedence: auto_reply"], "auto-submitted", False),
        (["Precedence: Bulk"], "list", True),
        (["Precedence: first-class"], "", False),
        (["List-Id: <l.example>"], "list", True),
        (["List-Unsubscribe: <mailto:x@l.example>"], "list", True),
        (["List-Id: <l.example>", "Auto-Submitted: auto-generated"], "auto-submitted", True),
    ],
)
def test_automatic_mail_is_known_by_its_header(fields: list[str], automatic: str, is_list: bool) -> None:
    parsed = parse(message(*fields))
    assert (parsed.automatic, parsed.is_list) == (automatic, is_list)


def test_defects_are_short_and_few() -> None:
    parsed = parse(message(*(f"Content-X{n}: a\r\nContent-X{n}: b" for n in range(200))))
    assert len(parsed.defects) == 50
