"""Which text is shown, charsets, and the text of HTML."""

from __future__ import annotations

import base64
import random
import time

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from gateway.parse import html_limits, parse
from gateway.parse.charsets import codec_for
from gateway.parse.html_limits import is_too_complex
from gateway.parse.html_text import text_of
from gateway.parse.usual import UNUSUAL

from .shapes import message, multipart

PLAIN = "Content-Type: text/plain\n\nhello"
HTML = "Content-Type: text/html\n\n<p>hi</p>"


@pytest.mark.parametrize(
    ("content", "text", "html"),
    [
        (multipart(PLAIN, HTML, kind="alternative"), "hello", "<p>hi</p>"),
        (multipart(HTML, kind="alternative"), "hi", "<p>hi</p>"),
        (multipart(HTML, "Content-Type: image/png\n\nx", kind="related"), "hi", "<p>hi</p>"),
        (multipart(PLAIN, "Content-Type: image/png\n\nx", "Content-Type: text/plain\n\nworld"), "hello\nworld", None),
        (multipart(HTML, "\n<list footer>"), "hi\n<list footer>", "<p>hi</p>\n<pre>&lt;list footer&gt;</pre>"),
        (multipart(PLAIN, "Content-Type: text/plain; name=log.txt\n\nlog"), "hello", None),
        (multipart(PLAIN, "Content-Disposition: attachment\n\nlog"), "hello", None),
        (multipart(PLAIN, "Content-Type: text/html\n\n<p>x</p>", kind="related"), "hello", None),
        (multipart("Content-Type: image/png\n\nx"), "", None),
        (message("Content-Type: text/calendar"), "", None),
        (message("Content-Type: application/pdf"), "", None),
        (message("Content-Type: text/html", body="<p>hi"), "hi", "<p>hi"),
    ],
)
def test_the_text_of_a_message_is_what_its_reader_sees(content: bytes, text: str, html: str | None) -> None:
    parsed = parse(content)
    assert (parsed.text, parsed.html) == (text, html)


PROGRAM = base64.b64encode(b"MZ" + bytes(range(256)) * 8).decode()


@pytest.mark.parametrize(
    ("fields", "body", "text"),
    [
        ("Content-Type: text/plain; name=run.exe", "hello", None),
        ("Content-Type: text/html; name=disc.iso", "hello", None),
        ("Content-Type: text/plain; name=mail.msg", "hello", None),
        ("Content-Type: text/plain\nContent-Disposition: inline; filename=run.com", "hello", None),
        ("Content-Type: text/plain\nContent-Transfer-Encoding: base64", PROGRAM, None),
        ("Content-Type: text/plain; name=notes.txt", "hello", "hello"),
        ("Content-Type: text/plain; name=body", "hello", "hello"),
        ("Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64",
         base64.b64encode(("hello " * 20).encode("utf-16")).decode(), "hello " * 20),
        ("Content-Type: text/plain", "a" + "\0" * 5 + "b", "ab"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("within", ["alone", "mixed", "alternative"])
def test_what_calls_itself_text_and_is_a_file_is_attached(
    fields: str, body: str, text: str | None, within: str
) -> None:
    """The first part was shown as text whatever it was, and judged as no file: a program went out with its ticket."""
    part = f"{fields}\n\n{body}"
    content = message(fields, body=body) if within == "alone" else multipart(part, HTML, kind=within)
    first = parse(content).parts[0]
    assert first.is_attachment is (text is None)
    if within == "alone":
        assert parse(content).text.strip() == (text or "").strip()


LONG_RUSSIAN = "Здравствуйте! Прошу прислать счёт за ноябрь и акт сверки, как мы говорили по телефону. " * 4


@pytest.mark.parametrize(
    ("charset", "octets", "text", "defects"),
    [
        ("utf-8", "Grüße".encode(), "Grüße", ()),
        ("iso-8859-1", b"\x93quoted\x94", "“quoted”", ()),
        ("ks_c_5601-1987", "한국".encode("cp949"), "한국", ()),
        ("gb2312", "你好".encode("gb18030"), "你好", ()),
        ("us-ascii", "Grüße".encode(), "Grüße", ("bad-charset",)),
        ("utf-8", "Grüße".encode("cp1252") * 3, "GrüßeGrüßeGrüße", ("bad-charset",)),
        ("utf-8", b"a" * 50 + b"\xc3", "a" * 50 + "\ufffd", ()),
        ("utf-8", LONG_RUSSIAN.encode("koi8-r"), LONG_RUSSIAN, ("bad-charset",)),
        ("x-unheard-of", "Grüße".encode(), "Grüße", ("unknown-charset",)),
        ("zlib", b"abc", "abc", ("unknown-charset",)),
        ("a\0b", b"abc", "abc", ("ambiguous-header", "unknown-charset")),
        ("utf-7", b"+2AA-x", "x", ()),
        ("", "Grüße".encode(), "Grüße", ()),
        ("", b"caf\xe9", "café", ()),
    ],
)
def test_bodies_are_read_in_the_charset_they_are_in(
    charset: str, octets: bytes, text: str, defects: tuple[str, ...]
) -> None:
    parsed = parse(message(f'Content-Type: text/plain; charset="{charset}"', body=octets))
    assert parsed.text == text
    assert tuple(d for d in parsed.defects if d != UNUSUAL) == defects


def test_only_text_codecs_are_reachable() -> None:
    assert {
        codec_for(name) for name in ("rot13", "hex", "idna", "punycode", "unicode_escape", "base64", "mbcs", "")
    } == {None}


def test_control_characters_are_washed_out_of_text() -> None:
    parsed = parse(message(body=b"a\0b\x1b[31mc\r\nd\re\tf\x7f\xc2\x85"))
    assert parsed.text == "ab[31mc\nd\ne\tf"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two<br>three</p>", "one\n\ntwo\nthree"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<b>a</b> <i>b</i>\n c", "a b c"),
        ("a<br><br>b", "a\n\nb"),
        ("<ul><li>a<li>b</ul>c", "- a\n- b\n\nc"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\nc"),
        ("<pre>a\n  b\n</pre>c", "a\n  b\n\nc"),
        ("<textarea>a\n b</textarea>", "a b"),
        ("x<hr>y", "x\n" + "_" * 32 + "\ny"),
        ("answer<blockquote>q<blockquote>r</blockquote></blockquote>", "answer\n\n> q\n>\n> > r"),
        ("<script>a</script><style>b</style><title>c</title>d<!-- e --><!doctype f><?g?></ h>i", "di"),
        ("a<!-->b<!--->c<!-- d --!>e", "abce"),
        ("&lt;&amp;&#8364;&nbsp;x", "<&€ x"),
        ("&#" + "9" * 5000 + ";x&#xD800;", "\ufffdx\ufffd"),
        ('<a href="https://x.example/?a=1&amp;b=2">here</a>!', "here <https://x.example/?a=1&b=2>!"),
        ("<a href='https://x.example/'>https://x.example/</a>", "https://x.example/"),
        ("<a href=mailto:a@b.example>mail</a><a>x</a></a>", "mailx"),
        ("1 < 2 <3", "1 < 2 <3"),
        ('a <b title="x>y">c</b>', "a c"),
        ("a<b", "a<b"),
        ("a<script>never ends", "a"),
        ("a<!-- never ends", "a"),
        ("a<!never", "a"),
        ("a<plaintext><b>", "a<b>"),
        ("a</blockquote></pre>b", "a\n\nb"),
        ("", ""),
    ],
)
def test_html_becomes_the_lines_a_reader_sees(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 257,
        "<b>x<div></b>" * 300,
        "<a " + "x=y " * 201 + ">" + "z" * 8192,
        "<br>" * 100_001,
        "a" * 2_000_001,
        "".join(f"<font size={n}>" for n in range(250)) + "<p>x" * 5000,
        "<svg><title><div>" + "z" * 8192,
        "<table><td><b></td></table></div>" * 2000,
        "<ul><li><i></ul>" * 1000,
    ],
    ids=["deep", "misnested", "attributes", "tags", "long", "reopened", "foreign-raw", "cells", "surplus"],
)
def test_html_that_would_block_a_sanitiser_is_not_shown_but_its_text_is(html: str) -> None:
    parsed = parse(message("Content-Type: text/html", body="hello" + html))
    assert parsed.html is None
    assert parsed.text.startswith("hello")
    assert parsed.defects == ("html-too-complex",)


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 256 + "</div>" * 256,
        "<a " + "x=y " * 1500 + ">short is harmless</a>",
        "<p>a" * 5000,
        "<ul>" + "<li>a" * 5000 + "</ul>",
        "<table>" + "<tr><td><font size=2>a<td>b" * 400 + "</table>",
        "<dl>" + "<dt>a<dd>b" * 2000 + "</dl>",
        "<div><span>a</span><br></div>" * 5000,
        "</div>" * 1000,
        "<b></i></u>" + "<button></b></button>" + "</span>",
        "<div><object></div></object></div>",
    ],
    ids=["256-deep", "short", "p", "li", "td", "dd", "flat", "end-tags", "stray", "barrier"],
)
def test_ordinary_html_is_shown_however_sloppy(html: str) -> None:
    assert not is_too_complex(html)


def _depth(node: LexborNode | None) -> int:
    deepest, waiting = 0, [(node, 1)]
    while waiting:
        here, depth = waiting.pop()
        deepest = max(deepest, depth)
        child = here.child if here else None
        while child is not None:
            waiting.append((child, depth + 1))
            child = child.next
    return deepest


def test_no_soup_of_tags_gets_deeper_than_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_limits, "DEPTH", 40)
    monkeypatch.setattr(html_limits, "SURPLUS", 40)
    names = [
        "div",
        "p",
        "b",
        "span",
        "table",
        "tr",
        "td",
        "li",
        "ul",
        "a",
        "font",
        "select",
        "option",
        "button",
        "svg",
        "math",
        "textarea",
        "template",
        "object",
        "h1",
        "form",
        "noscript",
        "x-y",
    ]
    names += [
        "tbody",
        "caption",
        "path",
        "foreignObject",
        "desc",
        "title",
        "script",
        "style",
        "frameset",
        "nobr",
        "dd",
        "ruby",
        "rt",
        "body",
        "html",
        "head",
        "colgroup",
    ]
    odd = ["</x>", "<!--", "-->", "<![CDATA[", "]]>", "'", '"', "<a b='", '<a b="', ">", "text", "<br>", "<", "</"]
    dice = random.Random(7)
    for _ in range(3000):
        pieces = (
            dice.choice(odd) if dice.random() < 0.15 else f"<{dice.choice(['', '', '/'])}{dice.choice(names)}>"
            for _ in range(dice.randint(1, 8))
        )
        soup = "".join(pieces) * 120
        if not is_too_complex(soup):
            assert _depth(LexborHTMLParser(soup).root) <= 40 + 40 + 5, soup[:200]


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" * 2_000_000,
        b"<div>" * 50_000,
        b"<a " * 600_000,
        b'<a b=">"' * 200_000,
        b"<!--" * 500_000,
        b"<p>" * 300_000,
        b"&#" * 900_000,
    ],
    ids=["blank-lines", "div", "open-tags", "quotes", "comments", "p", "references"],
)
def test_html_bombs_cost_linear_time(body: bytes) -> None:
    begun = time.process_time()
    parse(message("Content-Type: text/html", body=body))
    assert time.process_time() - begun < 3
