"""A stranger's HTML is shown without running, loading or styling anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from gateway.parse import sanitised

_RUNS = frozenset(
    {"script", "iframe", "object", "embed", "style", "svg", "math", "form", "meta", "link", "base", "frame"}
)


def test_every_payload_of_the_corpora_comes_out_harmless(corpora: Path) -> None:
    """Read back by a browser's parser: no element that runs or loads, no handler, no other scheme."""
    payloads = json.loads((corpora / "html-payloads.json").read_text("utf-8"))
    texts = [p if isinstance(p, str) else json.dumps(p) for p in payloads]
    assert len(texts) > 50
    for text in texts:
        for node in LexborHTMLParser(sanitised(text)).css("body *"):
            assert node.tag not in _RUNS, text
            assert not any(name.startswith("on") or name == "style" for name in node.attributes), text
            assert not (node.attributes.get("src") or "cid:").lower().removeprefix("cid:").count(":"), text
            assert (node.attributes.get("href") or "https:").split(":")[0] in {
                "http",
                "https",
                "mailto",
                "tel",
                "cid",
            }, text


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ('<img src="https://x.example/p.gif">', "<img>"),
        ('<img src="//x.example/p.gif">', "<img>"),
        ('<img src="cid:logo" alt="Logo">', '<img src="cid:logo" alt="Logo">'),
        ('<p style="position:fixed">Hi</p>', "<p>Hi</p>"),
        ('<a href="//evil.example">x</a>', '<a rel="noopener noreferrer nofollow">x</a>'),
        ("<script>alert(1)</script>ok", "ok"),
    ],
)
def test_nothing_loads_and_nothing_leaves_its_place(given: str, wanted: str) -> None:
    assert sanitised(given) == wanted
