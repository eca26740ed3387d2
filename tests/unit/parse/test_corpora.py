"""Mail that nobody in the project wrote: never an exception, never an invalid string, and what others read in it."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.parse import decode_part, parse

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def strings_of(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for item in value for text in strings_of(item)]
    if is_dataclass(value):
        return [text for field in fields(value) for text in strings_of(getattr(value, field.name))]
    return []


@pytest.mark.parametrize("folder", ["messages", "bounces", "replies", "dkim", "arc"])
def test_every_file_is_read_into_valid_strings(corpora: Path, folder: str) -> None:
    files = [path for path in (corpora / folder).rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        if len(content) > 200_000 and path.suffix in (".json", ".yml"):
            continue
        parsed = parse(content)
        for text in strings_of(parsed):
            assert not CONTROLS.search(text), path
        for part in parsed.parts:
            assert 0 <= part.start <= part.end <= len(content), path
            decode_part(content, part)
        assert not parsed.text.strip() or parsed.text_new.strip(), path


@pytest.mark.parametrize("folder", ["messages", "bounces"])
def test_line_feeds_alone_are_read_like_crlf(corpora: Path, folder: str) -> None:
    for path in (corpora / folder).rglob("*.eml"):
        lf = path.read_bytes().replace(b"\r\n", b"\n")
        one, other = parse(lf), parse(lf.replace(b"\n", b"\r\n"))
        for name in ("headers", "author", "text", "text_new", "html", "body_digest", "defects"):
            assert getattr(one, name) == getattr(other, name), (path, name)


def test_most_bounces_are_known_as_automatic(corpora: Path) -> None:
    """The rest are reports without a MIME type or a header that says so: the null reverse-path tells of them."""
    found = [parse(path.read_bytes()).automatic for path in (corpora / "bounces" / "messages").iterdir()]
    assert len(found) == 271
    assert sum(1 for why in found if why) >= 166


def _wanted(path: Path) -> tuple[str, list[str], int, str | None]:
    """Subject, addresses of From, number of attachments, and the text where all of it is text."""
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    header = {h["name"]: h["value"] for h in expected["parts"][0]["headers"] if isinstance(h["name"], str)}
    subject = (header.get("subject") or {}).get("Text", "")
    author = header.get("from")
    mailboxes = (author.get("Address", {}).get("List") or []) if isinstance(author, dict) else []
    bodies = [expected["parts"][n]["body"] for n in expected["text_body"]]
    texts = [b["Text"] for b in bodies if isinstance(b, dict) and "Text" in b]
    addresses = [m["address"].lower() for m in mailboxes if m.get("address")]
    return subject, addresses, len(expected["attachments"]), "\n".join(texts) if len(texts) == len(bodies) else None


def test_another_parser_reads_the_same(corpora: Path) -> None:
    """64 messages with the results of Stalwart's parser.

    Measured: author 64, attachments 64, subject 59, text 50 of 52. The other seven hold raw 8-bit text (in an
    encoded-word, or of undeclared charset) that Stalwart gives as U+FFFD, and that is read as windows-1252 here.
    """
    agreed = {"subject": 0, "author": 0, "attachments": 0, "text": 0}
    paths = sorted((corpora / "messages").glob("stalwart-*/*.eml"))
    assert len(paths) == 64
    for path in paths:
        parsed = parse(path.read_bytes())
        subject, addresses, attachments, text = _wanted(path)
        author = [parsed.author.address.lower()] if parsed.author else []
        agreed["subject"] += subject.split() == parsed.subject.split()
        agreed["author"] += (addresses if len(addresses) == 1 else []) == author
        agreed["attachments"] += attachments == sum(1 for part in parsed.parts if part.is_attachment)
        agreed["text"] += text is not None and text.split() == parsed.text.split()
    assert agreed["author"] == 64
    assert agreed["attachments"] == 64
    assert agreed["subject"] >= 59
    assert agreed["text"] >= 50
